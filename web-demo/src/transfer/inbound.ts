//! One file on its way in: blocks in parts, their hashes, and what lies on disk already.

import { blockCount, lengthOfBlock } from "./blocks.ts";
import { type Bytes, equal, sha256 } from "./bytes.ts";
import type { FileEntry } from "./control.ts";
import type { Sink } from "./storage.ts";
import { treeRoot } from "./tree.ts";

/** A block that is not on disk yet. */
interface Partial {
	bytes: Bytes | null;
	received: number;
	hash: Bytes | null;
	refusals: number;
	/** Whole, and being checked or written. */
	settling: boolean;
}

/** What a part of a block led to. */
export type Step =
	/** Nothing to do yet. */
	| "waiting"
	/** Whole and its hash is known: `settle` it. */
	| "ready"
	/** Came for a block that is whole already: not needed. */
	| "surplus"
	/** Does not fit the file. */
	| "violation";

/** What became of a whole block. */
export type Outcome = { readonly kind: "durable" } | { readonly kind: "refused"; readonly times: number };

/** One file on its way in. */
export class Inbound {
	readonly entry: FileEntry;
	readonly blocks: number;
	readonly #blockLength: number;
	readonly #sink: Promise<Sink>;
	readonly #partials = new Map<number, Partial>();
	readonly #leaves: (Bytes | undefined)[];
	#missing: number;

	constructor(entry: FileEntry, blockLength: number, sink: Promise<Sink>) {
		this.entry = entry;
		this.blocks = blockCount(entry.size, blockLength);
		this.#blockLength = blockLength;
		this.#sink = sink;
		this.#leaves = new Array(this.blocks);
		this.#missing = this.blocks;
	}

	/** Whether every block lies on disk. */
	get whole(): boolean {
		return this.#missing === 0;
	}

	/** How many blocks hold memory. */
	get open(): number {
		let open = 0;
		for (const partial of this.#partials.values()) if (partial.bytes !== null) open += 1;
		return open;
	}

	/** How long one block is. */
	lengthOf(block: number): number {
		return lengthOfBlock(this.entry.size, this.#blockLength, block);
	}

	/** Part of a block arrived. That parts do not overlap is for the hash to find out. */
	onPart(block: number, offset: number, part: Bytes): Step {
		const length = this.lengthOf(block);
		if (block >= this.blocks || offset + part.length > length || part.length === 0) return "violation";
		if (this.#leaves[block] !== undefined) return "surplus";
		const partial = this.#partial(block);
		if (partial.settling || partial.received + part.length > length) return "surplus";
		partial.bytes ??= new Uint8Array(length);
		partial.bytes.set(part, offset);
		partial.received += part.length;
		return this.#step(block, partial);
	}

	/** The hash of a block arrived. */
	onHash(block: number, hash: Bytes): Step {
		if (block >= this.blocks) return "violation";
		if (this.#leaves[block] !== undefined) return "surplus";
		const partial = this.#partial(block);
		partial.hash = hash;
		return this.#step(block, partial);
	}

	/** Checks a whole block, and writes it if it is what its hash says. */
	async settle(block: number): Promise<Outcome> {
		const partial = this.#partial(block);
		const { bytes, hash } = partial;
		if (bytes === null || hash === null) return { kind: "refused", times: partial.refusals };
		partial.settling = true;
		if (equal(await sha256(bytes), hash)) {
			await (await this.#sink).write(block * this.#blockLength, bytes);
			this.#leaves[block] = hash;
			this.#missing -= 1;
			this.#partials.delete(block);
			return { kind: "durable" };
		}
		partial.bytes = null;
		partial.received = 0;
		// The block comes again with its hash: the hash may have been the damaged part.
		partial.hash = null;
		partial.refusals += 1;
		partial.settling = false;
		return { kind: "refused", times: partial.refusals };
	}

	/** The root of what lies on disk. */
	root(): Promise<Bytes> {
		return treeRoot(this.#leaves.filter((leaf) => leaf !== undefined));
	}

	/** The file is whole. */
	async close(): Promise<void> {
		await (await this.#sink).close();
	}

	/** Lets go of what is not whole: it comes again over another lane. */
	forget(): void {
		for (const [block, partial] of this.#partials) if (!partial.settling) this.#partials.delete(block);
	}

	/** The file will never be whole. */
	async abort(): Promise<void> {
		this.#partials.clear();
		// A sink that could not be opened, or not be cleaned up, has left as little as it can.
		await this.#sink.then((sink) => sink.abort()).catch(() => {});
	}

	#partial(block: number): Partial {
		const known = this.#partials.get(block);
		if (known !== undefined) return known;
		const fresh: Partial = { bytes: null, received: 0, hash: null, refusals: 0, settling: false };
		this.#partials.set(block, fresh);
		return fresh;
	}

	#step(block: number, partial: Partial): Step {
		const whole = partial.received === this.lengthOf(block);
		return whole && partial.hash !== null && !partial.settling ? "ready" : "waiting";
	}
}
