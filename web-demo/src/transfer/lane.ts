//! What the engine sees of the network: a lane, which is one connection with two pipes. Never WebRTC itself.

import type { Bytes } from "./bytes.ts";

/** What became of a frame: `full` means not taken, try again after `onDrain`. */
export type SendResult = "sent" | "full" | "closed";

/** What a pipe tells. */
export interface PipeEvents {
	/** A frame arrived. The bytes belong to the callee. */
	onFrame(bytes: Bytes): void;
	/** There is room again after a `full`; also called when the pipe opens. */
	onDrain(): void;
	/** It is over; nothing follows. */
	onClose(): void;
}

/** A way for frames that arrive whole. A pipe that is not open yet is full. */
export interface Pipe {
	/** Takes the frame unless the pipe is full or closed. */
	send(frame: Bytes): SendResult;
	/** Says who listens; called once. */
	open(events: PipeEvents): void;
}

/** One connection. */
export interface Lane {
	/** In order. */
	readonly control: Pipe;
	/** In any order. */
	readonly data: Pipe;
}
