//! Two lanes joined in memory: frames take their time, overtake each other, get damaged, and stop when closed.

import type { Bytes } from "../../src/transfer/bytes.ts";
import type { Lane, Pipe, PipeEvents, SendResult } from "../../src/transfer/lane.ts";

/** How the way between the two ends behaves. */
export interface Way {
	/** Picks which of `waiting` data frames arrives next; absent: the oldest. */
	pick?(waiting: number): number;
	/** May change or watch a data frame on its way. */
	onData?(frame: Bytes): Bytes;
	/** Which control frames from the far end arrive; absent: all. */
	passControl?(frame: Bytes): boolean;
	/** Bytes that a pipe takes before it is full. */
	readonly capacity?: number;
}

/** Both ends of one connection. */
export interface JoinedLanes {
	readonly near: Lane;
	readonly far: Lane;
	close(): void;
}

/** Joins two lanes. */
export function joinLanes(way: Way = {}): JoinedLanes {
	const capacity = way.capacity ?? 1024 * 1024;
	const inOrder = () => 0;
	const unchanged = (frame: Bytes) => frame;
	const passControl = way.passControl ?? (() => true);
	const onControl = (frame: Bytes) => (passControl(frame) ? frame : null);
	const pick = way.pick ?? inOrder;
	const onData = way.onData ?? unchanged;
	const control = [new End(capacity), new End(capacity)] as const;
	const data = [new End(capacity), new End(capacity)] as const;
	control[0].join(control[1], inOrder, unchanged);
	control[1].join(control[0], inOrder, onControl);
	data[0].join(data[1], pick, onData);
	data[1].join(data[0], pick, onData);
	return {
		near: { control: control[0], data: data[0] },
		far: { control: control[1], data: data[1] },
		close: () => {
			for (const end of [...control, ...data]) end.close();
		},
	};
}

/** Null: lost. */
type Change = (frame: Bytes) => Bytes | null;

class End implements Pipe {
	readonly #capacity: number;
	#waiting: Bytes[] = [];
	#buffered = 0;
	#wanted = false;
	#closed = false;
	#running = false;
	#events: PipeEvents | null = null;
	#peer: End | null = null;
	#pick: (waiting: number) => number = () => 0;
	#change: Change = (frame) => frame;

	constructor(capacity: number) {
		this.#capacity = capacity;
	}

	join(peer: End, pick: (waiting: number) => number, change: Change): void {
		this.#peer = peer;
		this.#pick = pick;
		this.#change = change;
	}

	open(events: PipeEvents): void {
		this.#events = events;
		setImmediate(() => {
			if (!this.#closed) events.onDrain();
		});
	}

	send(frame: Bytes): SendResult {
		if (this.#closed) return "closed";
		if (this.#buffered + frame.length > this.#capacity) {
			this.#wanted = true;
			return "full";
		}
		this.#waiting.push(new Uint8Array(frame));
		this.#buffered += frame.length;
		this.#run();
		return "sent";
	}

	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#waiting = [];
		this.#events?.onClose();
	}

	onArrival(frame: Bytes): void {
		this.#events?.onFrame(frame);
	}

	#run(): void {
		if (this.#running) return;
		this.#running = true;
		setImmediate(() => {
			this.#running = false;
			if (this.#closed) return;
			const [frame] = this.#waiting.splice(this.#pick(this.#waiting.length), 1);
			if (frame === undefined) return;
			this.#buffered -= frame.length;
			const changed = this.#change(frame);
			if (changed !== null) this.#peer?.onArrival(changed);
			if (this.#wanted && this.#buffered <= this.#capacity / 2) {
				this.#wanted = false;
				this.#events?.onDrain();
			}
			if (this.#waiting.length > 0) this.#run();
		});
	}
}
