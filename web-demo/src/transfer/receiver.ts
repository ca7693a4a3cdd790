//! The receiving end of a transfer: grants credit, checks every block, writes it, and says what is on disk.

import { type Bytes, equal, toHex } from "./bytes.ts";
import type { Clock } from "./clock.ts";
import {
	type Cancel,
	fromPayload,
	isCancel,
	isHello,
	isManifestPage,
	type Stats,
	toPayload,
} from "./control.ts";
import { decodeFrame, type Frame, type FrameToWrite } from "./frame.ts";
import { Inbound } from "./inbound.ts";
import { IncomingList } from "./incoming-list.ts";
import type { Lane } from "./lane.ts";
import { ControlOutbox } from "./outbox.ts";
import { ProgressMeter } from "./progress.ts";
import { type Failure, isFinal, type TransferState } from "./state.ts";
import { isDiskFull, type Storage } from "./storage.ts";
import { HASH_LENGTH, transferRoot } from "./tree.ts";
import { Window } from "./window.ts";

/** What a receiver works with. */
export interface ReceiverParts {
	readonly lane: Lane;
	readonly clock: Clock;
	onState(state: TransferState): void;
	/** The lane that was given last carries everything; the one before may close. */
	onAdopted?(): void;
}

// A block that comes damaged this often will not come whole.
const MOST_REFUSALS = 5;
const TELEMETRY_MS = 1_000;

/** A lane, and the attempt that the sender made over it; 0 before its hello. */
interface Way {
	epoch: number;
	readonly control: ControlOutbox;
}

/** Receives files over a lane. */
export class Receiver {
	readonly #parts: ReceiverParts;
	#way: Way;
	#window = new Window();
	readonly #list = new IncomingList();
	readonly #inbound = new Map<number, Inbound>();
	/** The sender's root of a file whose blocks are not all here. */
	readonly #promised = new Map<number, Bytes>();
	readonly #roots: (Bytes | undefined)[] = [];
	#state: TransferState = { kind: "opening" };
	/** A lane that was given and on which the sender has said nothing yet. */
	#nextWay: Way | null = null;
	#storage: Storage | null = null;
	#meter: ProgressMeter;
	#done = 0;
	#startedAt = 0;
	#stats: Stats | null = null;
	#pingAt: number | null = null;
	#roundTripMs = Number.POSITIVE_INFINITY;
	#timer = () => {};

	constructor(parts: ReceiverParts) {
		this.#parts = parts;
		this.#meter = new ProgressMeter(0, 0, parts.clock, () => {});
		this.#way = this.#open(parts.lane);
	}

	/** Goes on over another lane as soon as the sender does; then the old one may close. */
	adopt(lane: Lane): void {
		this.#nextWay = this.#open(lane);
	}

	/** How it stands. */
	get state(): TransferState {
		return this.#state;
	}

	/** Bytes that were received and are neither on disk nor thrown away. */
	get heldBytes(): number {
		return this.#window.held;
	}

	/** Consents: from here on the sender may send. Does nothing unless files are offered. */
	accept(storage: Storage): void {
		if (this.#state.kind !== "offered") return;
		this.#storage = storage;
		this.#startedAt = this.#parts.clock.now();
		this.#meter = new ProgressMeter(this.#state.totalBytes, this.#list.files.length, this.#parts.clock, () =>
			this.#report(),
		);
		this.#meter.start();
		this.#report();
		this.#grant();
		this.#observe();
	}

	/** Ends the transfer at both ends, or declines it. */
	cancel(): void {
		if (isFinal(this.#state)) return;
		this.#say({ type: "cancel", payload: toPayload({ reason: "cancelled" } satisfies Cancel) });
		this.#end({ kind: "cancelled", by: "this-side" });
	}

	#open(lane: Lane): Way {
		const way: Way = { epoch: 0, control: new ControlOutbox(lane.control) };
		const onClose = () => this.#onLaneClose(way);
		lane.control.open({
			onFrame: (bytes) => this.#onFrame(way, bytes, "control"),
			onDrain: () => way.control.flush(),
			onClose,
		});
		lane.data.open({
			onFrame: (bytes) => this.#onFrame(way, bytes, "data"),
			onDrain: () => {},
			onClose,
		});
		return way;
	}

	#onLaneClose(way: Way): void {
		if (way === this.#nextWay) this.#nextWay = null;
		// While another lane is on its way, the end of this one is no loss.
		else if (way === this.#way && this.#nextWay === null) {
			this.#end({ kind: "failed", failure: "lane-closed", at: "this-side" });
		}
	}

	#say(frame: Omit<FrameToWrite, "epoch">): void {
		this.#way.control.send({ ...frame, epoch: this.#way.epoch });
	}

	#onFrame(way: Way, bytes: Bytes, pipe: "control" | "data"): void {
		// One that is done still answers a sender whose last news got lost with a lane.
		if (isFinal(this.#state) && this.#state.kind !== "done") return;
		// A lane that was left may still bring what it held.
		if (way !== this.#way && way !== this.#nextWay) return;
		const frame = decodeFrame(bytes);
		if (frame === null || (frame.type === "data") !== (pipe === "data")) return this.#fail("protocol");
		if (frame.type === "hello") return this.#onHello(way, frame);
		if (way !== this.#way || frame.epoch !== way.epoch) return;
		if (this.#state.kind === "done" && frame.type !== "complete") return;
		switch (frame.type) {
			case "data":
				return this.#onData(frame);
			case "manifestPage":
				return this.#onManifestPage(frame);
			case "block":
				return this.#onBlockHash(frame);
			case "complete":
				return this.#onComplete(frame);
			case "ping":
				return this.#say({ type: "pong", seq: frame.seq });
			case "pong":
				return this.#onPong();
			case "cancel":
				return this.#onCancel(frame);
			case "need":
			case "credit":
			case "ack":
			case "stats":
			case "done":
				return this.#fail("protocol");
		}
	}

	#onHello(way: Way, frame: Frame): void {
		const hello = fromPayload(frame.payload, isHello);
		if (hello?.role !== "sender" || frame.epoch <= this.#way.epoch || way.epoch !== 0) {
			return this.#fail("protocol");
		}
		if (!this.#list.announce(hello)) return this.#fail("protocol");
		const first = way === this.#way;
		way.epoch = frame.epoch;
		this.#way = way;
		// The first lane's hello may come when another is there already, whose turn is next.
		if (!first) this.#nextWay = null;
		this.#say({
			type: "hello",
			payload: toPayload({ role: "receiver", filesKnown: this.#list.files.length }),
		});
		if (first) return;
		// What is being written goes on; the rest of what the old lane brought comes again.
		this.#window = new Window();
		this.#pingAt = null;
		for (const inbound of this.#inbound.values()) inbound.forget();
		if (this.#storage !== null) this.#grant();
		this.#parts.onAdopted?.();
	}

	#onManifestPage(frame: Frame): void {
		const page = fromPayload(frame.payload, isManifestPage);
		if (page === null || !this.#list.add(page)) return this.#fail("protocol");
		const { complete, files, totalBytes } = this.#list;
		if (!complete) return;
		this.#become({ kind: "offered", files, totalBytes });
	}

	#onData({ file, block, offset, payload }: Frame): void {
		if (!this.#window.receive(payload.length)) return this.#fail("protocol");
		const window = this.#window;
		const inbound = this.#file(file);
		switch (inbound?.onPart(block, offset, payload)) {
			case undefined:
				// A part for a file that is whole, or for none of the list.
				return this.#roots[file] === undefined
					? this.#fail("protocol")
					: this.#settled(window, payload.length);
			case "violation":
				return this.#fail("protocol");
			case "surplus":
				return this.#settled(window, payload.length);
			case "ready":
				return this.#settle(file, block);
			case "waiting":
				return this.#checkMemory();
		}
	}

	/** Credit bounds bytes; this bounds what is allocated for them: a block's memory is taken with its first part. */
	#checkMemory(): void {
		let open = 0;
		for (const inbound of this.#inbound.values()) open += inbound.open;
		if (open > Math.ceil(this.#window.width / this.#list.blockLength) + 2) this.#fail("protocol");
	}

	#onBlockHash({ file, block, payload }: Frame): void {
		if (payload.length !== HASH_LENGTH) return this.#fail("protocol");
		// Before consent nothing is held, so a hash has no place yet either.
		const step = this.#file(file)?.onHash(block, payload);
		if (step === "violation") return this.#fail("protocol");
		if (step === "ready") this.#settle(file, block);
		// It lies on disk already: the news of that got lost with a lane.
		if (step === "surplus" || this.#roots[file] !== undefined) this.#say({ type: "ack", file, block });
	}

	#onComplete({ file, payload }: Frame): void {
		if (payload.length !== HASH_LENGTH) return this.#fail("protocol");
		const known = this.#roots[file] ?? this.#promised.get(file);
		if (known !== undefined && !equal(known, payload)) return this.#fail("damaged");
		const inbound = this.#file(file);
		if (inbound === null) {
			// It is whole already: the news of that got lost with a lane.
			return known === undefined ? this.#fail("protocol") : this.#say({ type: "done", file, payload: known });
		}
		this.#promised.set(file, payload);
		void this.#finishFile(file, inbound);
	}

	/** The file, opened with its first message; null if it is not on the list or is whole already. */
	#file(file: number): Inbound | null {
		const known = this.#inbound.get(file);
		if (known !== undefined) return known;
		const entry = this.#list.files[file];
		const storage = this.#storage;
		if (entry === undefined || storage === null) return null;
		if (this.#roots[file] !== undefined) return null;
		const sink = storage.open(file, entry);
		// Whoever awaits it hears of a failure too; this is the one who hears it if nobody awaits.
		sink.catch((error) => this.#onSinkFailure(error));
		const inbound = new Inbound(entry, this.#list.blockLength, sink);
		this.#inbound.set(file, inbound);
		return inbound;
	}

	#settle(file: number, block: number): void {
		const inbound = this.#inbound.get(file);
		const window = this.#window;
		if (inbound === undefined) return;
		inbound.settle(block).then(
			(outcome) => {
				if (isFinal(this.#state)) return;
				const length = inbound.lengthOf(block);
				if (outcome.kind === "durable") {
					this.#meter.durable(length);
					this.#say({ type: "ack", file, block });
				} else if (outcome.times > MOST_REFUSALS) {
					return this.#fail("damaged");
				} else {
					this.#say({ type: "need", file, block });
				}
				this.#settled(window, length);
				void this.#finishFile(file, inbound);
			},
			(error) => this.#onSinkFailure(error),
		);
	}

	/** In the window of the lane that brought the bytes; it may be another one's by now. */
	#settled(window: Window, bytes: number): void {
		window.settle(bytes);
		this.#grant();
	}

	#grant(): void {
		const seq = this.#window.grant();
		if (seq !== null) this.#say({ type: "credit", seq });
	}

	async #finishFile(file: number, inbound: Inbound): Promise<void> {
		const promised = this.#promised.get(file);
		if (promised === undefined || !inbound.whole || this.#roots[file] !== undefined) return;
		this.#roots[file] = promised;
		try {
			if (!equal(await inbound.root(), promised)) return this.#fail("damaged");
			await inbound.close();
		} catch (error) {
			return this.#onSinkFailure(error);
		}
		if (isFinal(this.#state)) return;
		this.#inbound.delete(file);
		this.#promised.delete(file);
		this.#say({ type: "done", file, payload: promised });
		this.#done += 1;
		this.#meter.fileDone();
		if (this.#done < this.#list.files.length) return;
		const root = toHex(await transferRoot(this.#roots.filter((known) => known !== undefined)));
		const milliseconds = this.#parts.clock.now() - this.#startedAt;
		this.#end({ kind: "done", root, totalBytes: this.#meter.totalBytes, milliseconds });
	}

	/** Once a second: measures the round trip, fits the window, tells the sender. */
	#observe(): void {
		const now = this.#parts.clock.now();
		const bytesPerSecond = this.#meter.bytesPerSecond;
		if (Number.isFinite(this.#roundTripMs)) this.#window.fit(bytesPerSecond, this.#roundTripMs);
		const { durableBytes } = this.#meter;
		this.#stats = { durableBytes, bytesPerSecond, windowBytes: this.#window.width };
		this.#say({ type: "stats", payload: toPayload(this.#stats) });
		if (this.#pingAt === null) {
			this.#pingAt = now;
			this.#say({ type: "ping" });
		}
		this.#timer = this.#parts.clock.after(TELEMETRY_MS, () => this.#observe());
	}

	#onPong(): void {
		if (this.#pingAt === null) return;
		// The least is the path's own; more is what waits in queues, and a window must not grow from that.
		this.#roundTripMs = Math.min(this.#roundTripMs, this.#parts.clock.now() - this.#pingAt);
		this.#pingAt = null;
	}

	#onCancel(frame: Frame): void {
		const reason = fromPayload(frame.payload, isCancel)?.reason ?? "protocol";
		if (reason === "cancelled") return this.#end({ kind: "cancelled", by: "other-side" });
		this.#end({ kind: "failed", failure: reason, at: "other-side" });
	}

	#onSinkFailure(error: unknown): void {
		this.#fail(isDiskFull(error) ? "disk-full" : "sink-failed");
	}

	#fail(failure: Exclude<Failure, "lane-closed">): void {
		if (isFinal(this.#state)) return;
		this.#say({ type: "cancel", payload: toPayload({ reason: failure } satisfies Cancel) });
		this.#end({ kind: "failed", failure, at: "this-side" });
	}

	#report(): void {
		this.#become({ kind: "moving", progress: this.#meter.progress(this.#stats) });
	}

	#end(state: TransferState): void {
		if (isFinal(this.#state)) return;
		this.#meter.stop();
		this.#timer();
		const unfinished = [...this.#inbound.values()];
		this.#inbound.clear();
		this.#promised.clear();
		this.#state = state;
		// The end is told when nothing is left behind, so that whoever hears it may stop this thread.
		void Promise.all(unfinished.map((inbound) => inbound.abort())).then(() => this.#parts.onState(state));
	}

	#become(state: TransferState): void {
		this.#state = state;
		this.#parts.onState(state);
	}
}
