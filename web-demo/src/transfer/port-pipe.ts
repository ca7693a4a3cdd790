//! A pipe that goes through a MessagePort to the thread where its data channel lives, for browsers that cannot
//! transfer the channel itself.

import { type Check, isCount, isOneOf, isShape } from "@causeway/client/guard";
import type { Bytes } from "./bytes.ts";
import type { Pipe, PipeEvents, SendResult } from "./lane.ts";

// Both bounds add up: what waits here and what the channel at the far end of the port buffers.
const HIGH_WATER = 1024 * 1024;

type Note =
	| { readonly kind: "frame"; readonly bytes: ArrayBuffer }
	/** So many bytes were taken by the channel. */
	| { readonly kind: "taken"; readonly bytes: number }
	| { readonly kind: "open" }
	| { readonly kind: "close" };

const isTaken = isShape({ kind: isOneOf("taken"), bytes: isCount });
const isSign = isShape({ kind: isOneOf("open", "close") });
const isBuffer: Check<ArrayBuffer> = (value): value is ArrayBuffer => value instanceof ArrayBuffer;
const isFrame = isShape({ kind: isOneOf("frame"), bytes: isBuffer });
const isNote: Check<Note> = (value): value is Note => isFrame(value) || isTaken(value) || isSign(value);

/** The end of the port where the engine is. */
export class PortPipe implements Pipe {
	readonly #port: MessagePort;
	#state: "connecting" | "open" | "closed" = "connecting";
	#outstanding = 0;
	#wanted = true;

	constructor(port: MessagePort) {
		this.#port = port;
	}

	open(events: PipeEvents): void {
		this.#port.onmessage = ({ data }: MessageEvent<unknown>) => {
			if (!isNote(data)) return;
			switch (data.kind) {
				case "frame":
					return events.onFrame(new Uint8Array(data.bytes));
				case "taken":
					this.#outstanding -= data.bytes;
					break;
				case "open":
					this.#state = "open";
					break;
				case "close":
					this.#state = "closed";
					return events.onClose();
			}
			if (!this.#wanted || this.#outstanding > HIGH_WATER / 2) return;
			this.#wanted = false;
			events.onDrain();
		};
	}

	send(frame: Bytes): SendResult {
		if (this.#state === "closed") return "closed";
		if (this.#state === "connecting" || this.#outstanding + frame.length > HIGH_WATER) {
			this.#wanted = true;
			return "full";
		}
		this.#outstanding += frame.length;
		this.#port.postMessage({ kind: "frame", bytes: frame.buffer } satisfies Note, [frame.buffer]);
		return "sent";
	}
}

/** Carries frames between a pipe of this thread and a port: the end of the port where the channel is. */
export function bridge(pipe: Pipe, port: MessagePort): void {
	const waiting: Bytes[] = [];
	let opened = false;
	const say = (note: Note, transfer: Transferable[] = []) => port.postMessage(note, transfer);
	const flush = () => {
		for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
			const { length } = next;
			if (pipe.send(next) !== "sent") return;
			waiting.shift();
			say({ kind: "taken", bytes: length });
		}
	};
	port.onmessage = ({ data }: MessageEvent<unknown>) => {
		if (!isFrame(data)) return;
		waiting.push(new Uint8Array(data.bytes));
		flush();
	};
	pipe.open({
		onFrame: (frame) => say({ kind: "frame", bytes: frame.buffer }, [frame.buffer]),
		onDrain: () => {
			if (!opened) say({ kind: "open" });
			opened = true;
			flush();
		},
		onClose: () => say({ kind: "close" }),
	});
}
