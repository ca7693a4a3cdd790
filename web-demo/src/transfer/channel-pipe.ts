//! A pipe over an RTCDataChannel, in whichever thread the channel lives.

import type { Bytes } from "./bytes.ts";
import type { Pipe, PipeEvents, SendResult } from "./lane.ts";

/** The part of RTCDataChannel that a pipe uses. */
export type Channel = Pick<
	RTCDataChannel,
	| "binaryType"
	| "bufferedAmount"
	| "bufferedAmountLowThreshold"
	| "readyState"
	| "send"
	| "onbufferedamountlow"
	| "onclose"
	| "onmessage"
	| "onopen"
>;

// Enough to keep SCTP busy between two events of this thread; far below the 16 MiB at which Chromium's send throws.
const HIGH_WATER = 1024 * 1024;

/** Sends and receives frames as binary messages of a data channel. */
export class ChannelPipe implements Pipe {
	readonly #channel: Channel;

	constructor(channel: Channel) {
		this.#channel = channel;
		channel.binaryType = "arraybuffer";
		channel.bufferedAmountLowThreshold = HIGH_WATER / 2;
	}

	open(events: PipeEvents): void {
		const channel = this.#channel;
		channel.onmessage = ({ data }: MessageEvent<unknown>) => {
			// Text is no frame; an empty one is refused like any other that is too short.
			events.onFrame(data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array());
		};
		channel.onbufferedamountlow = () => events.onDrain();
		channel.onopen = () => events.onDrain();
		channel.onclose = () => events.onClose();
		if (channel.readyState === "open") queueMicrotask(() => events.onDrain());
		if (channel.readyState === "closed") queueMicrotask(() => events.onClose());
	}

	send(frame: Bytes): SendResult {
		const channel = this.#channel;
		switch (channel.readyState) {
			case "connecting":
				return "full";
			case "closing":
			case "closed":
				return "closed";
			case "open":
				break;
		}
		// An empty buffer takes any frame: a frame may not wait for an event that cannot come.
		if (channel.bufferedAmount > 0 && channel.bufferedAmount + frame.length > HIGH_WATER) return "full";
		try {
			channel.send(frame);
			return "sent";
		} catch {
			// WebRTC §6.2: OperationError when the buffer is full. Whether it has closed is told by its event.
			return "full";
		}
	}
}
