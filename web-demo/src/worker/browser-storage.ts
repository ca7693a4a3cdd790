//! Storage in the origin's private file system, from where a whole file is exported to Downloads.

import type { Bytes } from "../transfer/bytes.ts";
import type { FileEntry } from "../transfer/control.ts";
import type { Sink, Storage } from "../transfer/storage.ts";
import { safeName, UniqueNames } from "./names.ts";

/** Hands a whole file over to the page. */
export type Export = (name: string, blob: Blob) => void;

const PREFIX = "causeway-";

/** Keeps files in a folder of this transfer alone, which goes when no tab holds it any more. */
export class BrowserStorage implements Storage {
	readonly #export: Export;
	readonly #names = new UniqueNames();
	readonly #folder: Promise<FileSystemDirectoryHandle>;

	constructor(give: Export) {
		this.#export = give;
		this.#folder = makeFolder();
	}

	async open(file: number, entry: FileEntry): Promise<Sink> {
		const folder = await this.#folder;
		const name = this.#names.take(safeName(entry.name));
		const stored = String(file);
		const handle = await folder.getFileHandle(stored, { create: true });
		const access = await handle.createSyncAccessHandle();
		return {
			write: async (offset, bytes) => {
				writeAll(access, offset, bytes);
				access.flush();
			},
			close: async () => {
				access.close();
				this.#export(name, await handle.getFile());
			},
			abort: async () => {
				access.close();
				await folder.removeEntry(stored);
			},
		};
	}
}

/** Removes folders that earlier visits left behind: those whose lock nobody holds. */
export async function sweep(): Promise<void> {
	const root = await navigator.storage.getDirectory();
	for await (const name of root.keys()) {
		if (!name.startsWith(PREFIX)) continue;
		await navigator.locks.request(name, { ifAvailable: true }, async (lock) => {
			if (lock !== null) await root.removeEntry(name, { recursive: true });
		});
	}
}

async function makeFolder(): Promise<FileSystemDirectoryHandle> {
	await sweep();
	const name = PREFIX + crypto.randomUUID();
	// Held as long as this worker lives: the page may still be copying the file to Downloads.
	await new Promise<void>((held) => {
		void navigator.locks.request(name, () => {
			held();
			return new Promise<never>(() => {});
		});
	});
	const root = await navigator.storage.getDirectory();
	return root.getDirectoryHandle(name, { create: true });
}

function writeAll(access: FileSystemSyncAccessHandle, offset: number, bytes: Bytes): void {
	let written = 0;
	while (written < bytes.length) {
		const count = access.write(bytes.subarray(written), { at: offset + written });
		// File System Standard: fewer bytes than given means the quota or the disk is full.
		if (count === 0) throw new DOMException("the browser's storage is full", "QuotaExceededError");
		written += count;
	}
}
