//! The unit that travels: a 32-byte header and its payload.
//!
//! ```text
//!  0       1       2       3       4                       8                      12
//!  +-------+-------+---------------+-----------------------+-----------------------+
//!  |version| type  | flags         | epoch                 | file                  |
//!  +-------+-------+---------------+-----------------------+-----------------------+
//! 12                      16                      20                      24      32
//!  +-----------------------+-----------------------+-----------------------+-------+
//!  | block                 | offset in the block   | length of the payload | seq   |
//!  +-----------------------+-----------------------+-----------------------+-------+
//! ```
//! Big endian. Fields that a type does not use are zero.

import type { Bytes } from "./bytes.ts";

/** The version of this format. */
export const FRAME_VERSION = 1;
/** Bytes before the payload. */
export const HEADER_LENGTH = 32;
/** The longest frame, header included: above 64 KiB some browsers' SCTP stacks refuse a message. */
export const MAX_FRAME_LENGTH = 64 * 1024;
/** The longest payload. */
export const MAX_PAYLOAD_LENGTH = MAX_FRAME_LENGTH - HEADER_LENGTH;

/** What a frame is. */
export const FRAME_TYPES = {
	/** Part of a block: file, block, offset. */
	data: 1,
	/** Who one is and what one can: JSON. */
	hello: 16,
	/** Some of the files: JSON. */
	manifestPage: 17,
	/** Asks for a block once more: file, block. */
	need: 19,
	/** A block's SHA-256: file, block. */
	block: 20,
	/** How many bytes of data may have been sent in all: seq. */
	credit: 21,
	/** A block is on disk: file, block. */
	ack: 22,
	/** Wants a pong with the same seq. */
	ping: 23,
	pong: 24,
	/** What the receiver measures: JSON. */
	stats: 25,
	/** The transfer ends here: JSON. */
	cancel: 28,
	/** A file's tree root, as the sender read it: file. */
	complete: 30,
	/** A file's tree root, as it lies on disk: file. */
	done: 31,
} as const;

/** The name of a frame's type. */
export type FrameType = keyof typeof FRAME_TYPES;

/** A frame in parts. */
export interface Frame {
	readonly type: FrameType;
	/** Which attempt at the transfer this belongs to. */
	readonly epoch: number;
	readonly file: number;
	readonly block: number;
	readonly offset: number;
	readonly seq: number;
	readonly payload: Bytes;
}

/** A frame to be written: what is absent is zero or empty. */
export type FrameToWrite = Pick<Frame, "type" | "epoch"> & Partial<Frame>;

const NAMES: ReadonlyMap<number, FrameType> = new Map(
	Object.entries(FRAME_TYPES).flatMap(([name, code]) => (isFrameType(name) ? [[code, name] as const] : [])),
);

function isFrameType(name: string): name is FrameType {
	return Object.hasOwn(FRAME_TYPES, name);
}

/** Writes a frame. */
export function encodeFrame(frame: FrameToWrite): Bytes {
	const { type, epoch, file = 0, block = 0, offset = 0, seq = 0, payload } = frame;
	const length = payload?.length ?? 0;
	const bytes = new Uint8Array(HEADER_LENGTH + length);
	const view = new DataView(bytes.buffer);
	view.setUint8(0, FRAME_VERSION);
	view.setUint8(1, FRAME_TYPES[type]);
	view.setUint32(4, epoch);
	view.setUint32(8, file);
	view.setUint32(12, block);
	view.setUint32(16, offset);
	view.setUint32(20, length);
	view.setUint32(24, Math.floor(seq / 2 ** 32));
	view.setUint32(28, seq % 2 ** 32);
	if (payload !== undefined) bytes.set(payload, HEADER_LENGTH);
	return bytes;
}

/** Reads a frame without copying its payload; null if it is none of this version. */
export function decodeFrame(bytes: Bytes): Frame | null {
	if (bytes.length < HEADER_LENGTH || bytes.length > MAX_FRAME_LENGTH) return null;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	const type = NAMES.get(view.getUint8(1));
	if (view.getUint8(0) !== FRAME_VERSION || type === undefined) return null;
	if (view.getUint32(20) !== bytes.length - HEADER_LENGTH) return null;
	const seq = view.getUint32(24) * 2 ** 32 + view.getUint32(28);
	if (!Number.isSafeInteger(seq)) return null;
	return {
		type,
		epoch: view.getUint32(4),
		file: view.getUint32(8),
		block: view.getUint32(12),
		offset: view.getUint32(16),
		seq,
		payload: bytes.subarray(HEADER_LENGTH),
	};
}
