//! Control frames on their way out: what the pipe does not take waits, in order.

import { encodeFrame, type FrameToWrite } from "./frame.ts";
import type { Pipe } from "./lane.ts";

/** A queue before the control pipe. Its length is bounded by what makes frames: blocks in flight, and one page at a time. */
export class ControlOutbox {
	readonly #pipe: Pipe;
	readonly #waiting: ReturnType<typeof encodeFrame>[] = [];

	constructor(pipe: Pipe) {
		this.#pipe = pipe;
	}

	/** Whether everything was taken by the pipe. */
	get idle(): boolean {
		return this.#waiting.length === 0;
	}

	/** Sends now or as soon as possible. */
	send(frame: FrameToWrite): void {
		this.#waiting.push(encodeFrame(frame));
		this.flush();
	}

	/** To be called when the pipe has room. */
	flush(): void {
		for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
			if (this.#pipe.send(next) !== "sent") return;
			this.#waiting.shift();
		}
	}
}
