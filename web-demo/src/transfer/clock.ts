//! Time, passed in so that tests own it.

/** A monotonic clock with timers, in milliseconds. */
export interface Clock {
	now(): number;
	/** Calls once after so many milliseconds; the returned function takes it back. */
	after(milliseconds: number, call: () => void): () => void;
}

/** The real one. */
export const systemClock: Clock = {
	now: () => performance.now(),
	after: (milliseconds, call) => {
		const timer = setTimeout(call, milliseconds);
		return () => clearTimeout(timer);
	},
};
