//! Storage in places that the person picked (File System Access): bytes go to disk as they come.

import type { Bytes } from "../transfer/bytes.ts";
import type { FileEntry } from "../transfer/control.ts";
import type { Sink, Storage } from "../transfer/storage.ts";
import { safeName, UniqueNames } from "./names.ts";

/** Writes the only file to the one that was picked. */
export class PickedFile implements Storage {
	readonly #handle: FileSystemFileHandle;

	constructor(handle: FileSystemFileHandle) {
		this.#handle = handle;
	}

	open(_file: number, _entry: FileEntry): Promise<Sink> {
		return WritableSink.open(this.#handle, () => remove(this.#handle));
	}
}

/** Writes every file into the folder that was picked, beside what is there already. */
export class PickedFolder implements Storage {
	readonly #folder: FileSystemDirectoryHandle;
	readonly #names = new UniqueNames();

	constructor(folder: FileSystemDirectoryHandle) {
		this.#folder = folder;
	}

	async open(_file: number, entry: FileEntry): Promise<Sink> {
		const name = await this.#freeName(safeName(entry.name));
		const handle = await this.#folder.getFileHandle(name, { create: true });
		return WritableSink.open(handle, () => this.#folder.removeEntry(name));
	}

	async #freeName(wanted: string): Promise<string> {
		for (;;) {
			const name = this.#names.take(wanted);
			const exists = await this.#folder.getFileHandle(name).then(
				() => true,
				(error: unknown) => !(error instanceof DOMException && error.name === "NotFoundError"),
			);
			if (!exists) return name;
		}
	}
}

/** Chromium can remove a picked file; elsewhere an empty one stays. */
async function remove(handle: FileSystemFileHandle): Promise<void> {
	if ("remove" in handle && typeof handle.remove === "function") await handle.remove();
}

class WritableSink implements Sink {
	readonly #stream: FileSystemWritableFileStream;
	readonly #remove: () => Promise<void>;

	static async open(handle: FileSystemFileHandle, remove: () => Promise<void>): Promise<WritableSink> {
		return new WritableSink(await handle.createWritable(), remove);
	}

	private constructor(stream: FileSystemWritableFileStream, remove: () => Promise<void>) {
		this.#stream = stream;
		this.#remove = remove;
	}

	write(position: number, data: Bytes): Promise<void> {
		return this.#stream.write({ type: "write", position, data });
	}

	close(): Promise<void> {
		return this.#stream.close();
	}

	async abort(): Promise<void> {
		await this.#stream.abort();
		await this.#remove();
	}
}
