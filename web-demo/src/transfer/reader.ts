//! Reads the blocks of the sender's files in their order, a little ahead, and again those that did not reach the disk.

import { blockCount, lengthOfBlock } from "./blocks.ts";
import { type Bytes, sha256 } from "./bytes.ts";
import type { Source } from "./storage.ts";

/** A block by its place. */
export interface Place {
	readonly file: number;
	readonly block: number;
}

/** A block that was read, and how much of it was sent. */
export interface ReadBlock extends Place {
	readonly bytes: Bytes;
	offset: number;
}

/** What a reader works with. */
export interface ReaderParts {
	readonly sources: readonly Source[];
	readonly blockLength: number;
	/** Another block is ready to be taken. */
	onReady(): void;
	/** A block's hash is known. It may be told again, for a block that is read again. */
	onHash(place: Place, hash: Bytes): void;
	/** The files' blocks are begun in order; this file's are next. */
	onFile(file: number, blocks: number): void;
	/** A file is not what it was when it was chosen. */
	onFailure(): void;
}

// Blocks read before they are wanted: one is sent while the next is read, and one more evens out the disk.
const READ_AHEAD = 2;

/** Reads blocks. */
export class BlockReader {
	readonly #parts: ReaderParts;
	readonly #places: Iterator<Place>;
	/** Blocks that were begun and are not on the receiver's disk. */
	readonly #unsettled = new Map<string, Place>();
	#again: Place[] = [];
	#ready: ReadBlock[] = [];
	#reading = 0;
	/** Changes when what is being read is not wanted any more. */
	#round = 0;

	constructor(parts: ReaderParts) {
		this.#parts = parts;
		this.#places = this.#everyPlace();
	}

	/** The next block, if one is ready. */
	take(): ReadBlock | null {
		const block = this.#ready.shift() ?? null;
		while (this.#ready.length + this.#reading < READ_AHEAD) {
			const place = this.#again.shift() ?? this.#next();
			if (place === null) break;
			this.#reading += 1;
			void this.#read(place, this.#round);
		}
		return block;
	}

	/** A block has to be sent once more. */
	repeat(place: Place): void {
		this.#again.push(place);
	}

	/** A block lies on the receiver's disk. False if that is not news. */
	settle({ file, block }: Place): boolean {
		return this.#unsettled.delete(keyOf(file, block));
	}

	/** Everything that is not settled has to be sent once more. */
	restart(): void {
		this.#round += 1;
		this.#ready = [];
		this.#again = [...this.#unsettled.values()];
	}

	/** Nothing has to be sent any more. */
	stop(): void {
		this.#unsettled.clear();
		this.restart();
	}

	*#everyPlace(): Generator<Place> {
		for (const [file, { entry }] of this.#parts.sources.entries()) {
			const blocks = blockCount(entry.size, this.#parts.blockLength);
			this.#parts.onFile(file, blocks);
			for (let block = 0; block < blocks; block++) yield { file, block };
		}
	}

	#next(): Place | null {
		const next = this.#places.next();
		if (next.done === true) return null;
		this.#unsettled.set(keyOf(next.value.file, next.value.block), next.value);
		return next.value;
	}

	async #read(place: Place, round: number): Promise<void> {
		const source = this.#parts.sources[place.file];
		if (source === undefined) return;
		const { blockLength } = this.#parts;
		const length = lengthOfBlock(source.entry.size, blockLength, place.block);
		const bytes = await source.read(place.block * blockLength, length).catch(() => null);
		this.#reading -= 1;
		if (bytes?.length !== length) return this.#parts.onFailure();
		if (round === this.#round) this.#ready.push({ ...place, bytes, offset: 0 });
		this.#parts.onReady();
		if (round === this.#round) this.#parts.onHash(place, await sha256(bytes));
	}
}

function keyOf(file: number, block: number): string {
	return `${file}:${block}`;
}
