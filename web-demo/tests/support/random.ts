//! Luck that can be had again: a seed is printed, and the same seed gives the same run.

/** mulberry32: 32 bits of state are enough to vary a test. */
export class Luck {
	readonly seed: number;
	#state: number;

	constructor(seed: number) {
		this.seed = seed;
		this.#state = seed >>> 0;
	}

	/** A whole number from 0 to below `limit`. */
	below(limit: number): number {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let t = this.#state;
		t = Math.imul(t ^ (t >>> 15), t | 1);
		t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
		return ((t ^ (t >>> 14)) >>> 0) % limit;
	}

	/** So many bytes. */
	bytes(length: number): Uint8Array<ArrayBuffer> {
		const bytes = new Uint8Array(length);
		for (let i = 0; i < length; i++) bytes[i] = this.below(256);
		return bytes;
	}
}

/** The seed of this run: `SEED` from the environment, or a new one. */
export function seedOfThisRun(): number {
	const given = process.env["SEED"];
	return given === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(given);
}
