//! Where bytes come from and where they go, as the engine sees it.

import type { Bytes } from "./bytes.ts";
import type { FileEntry } from "./control.ts";

/** A file that is sent. */
export interface Source {
	readonly entry: FileEntry;
	/** Reads exactly `length` bytes; fails if the file is no longer as it was. */
	read(offset: number, length: number): Promise<Bytes>;
}

/** A file that is received. */
export interface Sink {
	/** Writes at a place; resolves when the bytes are as safe as this sink makes them. */
	write(offset: number, bytes: Bytes): Promise<void>;
	/** The file is whole. */
	close(): Promise<void>;
	/** The file will never be whole: leaves nothing behind. */
	abort(): Promise<void>;
}

/** Makes a sink for each file, when its first block arrives. */
export interface Storage {
	open(file: number, entry: FileEntry): Promise<Sink>;
}

/** A sink's failure because the disk, or the browser's share of it, is full. */
export function isDiskFull(error: unknown): boolean {
	return error instanceof DOMException && error.name === "QuotaExceededError";
}
