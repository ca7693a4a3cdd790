//! Storage in memory, for browsers that offer nothing else. The page allows it only for small transfers.

import type { FileEntry } from "../transfer/control.ts";
import type { Sink, Storage } from "../transfer/storage.ts";
import type { Export } from "./browser-storage.ts";
import { safeName, UniqueNames } from "./names.ts";

/** Keeps blocks as Blobs, which browsers may move out of memory. */
export class MemoryStorage implements Storage {
	readonly #export: Export;
	readonly #names = new UniqueNames();

	constructor(give: Export) {
		this.#export = give;
	}

	async open(_file: number, entry: FileEntry): Promise<Sink> {
		const name = this.#names.take(safeName(entry.name));
		const blocks = new Map<number, Blob>();
		return {
			write: async (offset, bytes) => {
				blocks.set(offset, new Blob([bytes]));
			},
			close: async () => {
				const inOrder = [...blocks].sort(([a], [b]) => a - b).map(([, blob]) => blob);
				this.#export(name, new Blob(inOrder, { type: "application/octet-stream" }));
				blocks.clear();
			},
			abort: async () => blocks.clear(),
		};
	}
}
