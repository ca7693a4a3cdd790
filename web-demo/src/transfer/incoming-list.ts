//! The list of files that a sender offers, as it comes in: checked against its own announcement, and bounded.

import { MAX_BLOCK_LENGTH } from "./blocks.ts";
import type { FileEntry, Hello, ManifestPage } from "./control.ts";

/** What the sender says first. */
export type SenderHello = Extract<Hello, { role: "sender" }>;

// Bounds on what a stranger's list may cost.
const MOST_FILES = 100_000;
const MOST_NAME_LENGTH = 4_096;

/** A list that grows page by page. */
export class IncomingList {
	readonly files: FileEntry[] = [];
	#hello: SenderHello | null = null;

	/** Bytes in every block but a file's last. */
	get blockLength(): number {
		return this.#hello?.blockLength ?? MAX_BLOCK_LENGTH;
	}

	/** Bytes in all files. */
	get totalBytes(): number {
		return this.#hello?.totalBytes ?? 0;
	}

	/** Whether every file is known. */
	get complete(): boolean {
		return this.#hello !== null && this.files.length === this.#hello.files;
	}

	/** The announcement; over another lane it must be the same. False: refused. */
	announce(hello: SenderHello): boolean {
		const { files, blockLength, totalBytes } = hello;
		if (files === 0 || files > MOST_FILES || blockLength === 0 || blockLength > MAX_BLOCK_LENGTH)
			return false;
		const known = this.#hello ?? hello;
		this.#hello = known;
		return known.files === files && known.blockLength === blockLength && known.totalBytes === totalBytes;
	}

	/** The next page. False: refused. */
	add({ first, files }: ManifestPage): boolean {
		const announced = this.#hello?.files ?? 0;
		if (first !== this.files.length || first + files.length > announced) return false;
		if (files.some(({ name }) => name.length > MOST_NAME_LENGTH)) return false;
		this.files.push(...files);
		if (!this.complete) return true;
		return this.files.reduce((sum, { size }) => sum + size, 0) === this.totalBytes;
	}
}
