//! The control messages whose payload is JSON: what they hold, and the guards they pass on arrival.

import { type Check, isCount, isListOf, isOneOf, isShape, isString } from "@causeway/client/guard";
import type { Bytes } from "./bytes.ts";
import { MAX_PAYLOAD_LENGTH } from "./frame.ts";

/** The first message of either side. */
export type Hello =
	| {
			readonly role: "sender";
			readonly files: number;
			readonly totalBytes: number;
			/** Bytes in every block but a file's last. */
			readonly blockLength: number;
	  }
	| {
			readonly role: "receiver";
			/** How many entries of the list it has: the sender goes on behind them. */
			readonly filesKnown: number;
	  };

/** A file as the sender announces it. */
export interface FileEntry {
	/** As it is called at the sender. The receiver must not trust it as a path. */
	readonly name: string;
	readonly size: number;
}

/** Some of the files, in order; `first` is the index of the first among them. */
export interface ManifestPage {
	readonly first: number;
	readonly files: readonly FileEntry[];
}

/** Why one side ends the transfer. */
export const CANCEL_REASONS = [
	"cancelled",
	"source-changed",
	"sink-failed",
	"disk-full",
	"damaged",
	"protocol",
] as const;

/** One of them. */
export type CancelReason = (typeof CANCEL_REASONS)[number];

/** The end of the transfer, said by either side. */
export interface Cancel {
	readonly reason: CancelReason;
}

/** What the receiver measures, once a second. */
export interface Stats {
	readonly durableBytes: number;
	readonly bytesPerSecond: number;
	readonly windowBytes: number;
}

const isSenderHello = isShape({
	role: isOneOf("sender"),
	files: isCount,
	totalBytes: isCount,
	blockLength: isCount,
});
const isReceiverHello = isShape({ role: isOneOf("receiver"), filesKnown: isCount });

/** Guards HELLO. */
export const isHello: Check<Hello> = (value): value is Hello =>
	isSenderHello(value) || isReceiverHello(value);
/** Guards MANIFEST_PAGE. */
export const isManifestPage: Check<ManifestPage> = isShape({
	first: isCount,
	files: isListOf(isShape({ name: isString, size: isCount })),
});
/** Guards CANCEL. */
export const isCancel: Check<Cancel> = isShape({ reason: isOneOf(...CANCEL_REASONS) });
/** Guards STATS. */
export const isStats: Check<Stats> = isShape({
	durableBytes: isCount,
	bytesPerSecond: isCount,
	windowBytes: isCount,
});

/** A message as a payload. */
export function toPayload(message: Hello | ManifestPage | Cancel | Stats): Bytes {
	return new TextEncoder().encode(JSON.stringify(message));
}

/** Reads a payload; null if it is not what `check` wants. */
export function fromPayload<T>(payload: Bytes, check: Check<T>): T | null {
	try {
		const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
		return check(value) ? value : null;
	} catch {
		return null;
	}
}

/** Cuts the list of files, from the entry `from` on, into pages that fit into a frame, made one at a time. */
export function* manifestPages(files: readonly FileEntry[], from: number): Generator<ManifestPage> {
	let first = from;
	let page: FileEntry[] = [];
	let length = 0;
	for (const [index, { name, size }] of files.entries()) {
		if (index < from) continue;
		// Six bytes is the longest that JSON makes of one UTF-16 unit; 64 hold the rest of the entry.
		const bound = 6 * name.length + 64;
		if (page.length > 0 && length + bound > MAX_PAYLOAD_LENGTH - 64) {
			yield { first, files: page };
			first = index;
			page = [];
			length = 0;
		}
		page.push({ name, size });
		length += bound;
	}
	if (page.length > 0) yield { first, files: page };
}
