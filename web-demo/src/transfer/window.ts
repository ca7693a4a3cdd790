//! The receiver's window: how many bytes it lets the sender send, so that its memory has a bound.
//!
//! The invariant: received ≤ granted ≤ settled + width, where settled bytes are on disk or thrown away.

const MIB = 1024 * 1024;

/** The window's bounds and its first width, in bytes (transfer.md: clamp(2·BDP, 8, 64 MiB)). */
export const MIN_WINDOW = 8 * MIB;
export const MAX_WINDOW = 64 * MIB;
export const FIRST_WINDOW = 16 * MIB;

/** Counts what was granted, received and settled. */
export class Window {
	#width = FIRST_WINDOW;
	#granted = 0;
	#received = 0;
	#settled = 0;

	/** How many bytes may be on their way or in memory, beyond what is settled. */
	get width(): number {
		return this.#width;
	}

	/** How many bytes are on their way to the disk. */
	get held(): number {
		return this.#received - this.#settled;
	}

	/** Bytes arrived. False: more than was granted. */
	receive(bytes: number): boolean {
		this.#received += bytes;
		return this.#received <= this.#granted;
	}

	/** Bytes need no memory any more. */
	settle(bytes: number): void {
		this.#settled += bytes;
	}

	/** The new grant if it is worth a message, else null. A grant is never taken back. */
	grant(): number | null {
		const grant = this.#settled + this.#width;
		// A sixteenth: at most some ten messages a window, and never one that waits for a message it holds up.
		if (grant - this.#granted < this.#width / 16) return null;
		this.#granted = grant;
		return grant;
	}

	/** Fits the width to the path: twice what the path holds, so that it never runs dry. */
	fit(bytesPerSecond: number, roundTripMs: number): void {
		const twice = (2 * bytesPerSecond * roundTripMs) / 1000;
		this.#width = Math.min(MAX_WINDOW, Math.max(MIN_WINDOW, this.#width / 2, Math.ceil(twice)));
	}
}
