//! Files in memory, at both ends.

import type { Bytes } from "../../src/transfer/bytes.ts";
import type { FileEntry } from "../../src/transfer/control.ts";
import type { Sink, Source, Storage } from "../../src/transfer/storage.ts";

/** A file in memory to send. */
export function memorySource(name: string, bytes: Bytes): Source {
	return {
		entry: { name, size: bytes.length },
		read: async (offset, length) => bytes.slice(offset, offset + length),
	};
}

/** Keeps what arrives, and how each file ended. */
export class MemoryStorage implements Storage {
	readonly files = new Map<number, { bytes: Bytes; fate: "open" | "closed" | "aborted" }>();
	/** Holds every write back until it resolves. */
	gate: Promise<void> = Promise.resolve();
	/** Thrown by every write if set. */
	failure: Error | null = null;

	/** Whether a file is whole and is these bytes. */
	holds(file: number, bytes: Bytes): boolean {
		const kept = this.files.get(file);
		return kept?.fate === "closed" && Buffer.compare(kept.bytes, bytes) === 0;
	}

	async open(file: number, entry: FileEntry): Promise<Sink> {
		const kept: { bytes: Bytes; fate: "open" | "closed" | "aborted" } = {
			bytes: new Uint8Array(entry.size),
			fate: "open",
		};
		this.files.set(file, kept);
		return {
			write: async (offset, bytes) => {
				await this.gate;
				if (this.failure !== null) throw this.failure;
				kept.bytes.set(bytes, offset);
			},
			close: async () => {
				kept.fate = "closed";
			},
			abort: async () => {
				kept.fate = "aborted";
			},
		};
	}
}
