//! How long to wait before the next attempt to reach the server.

// Guesses: the first wait is shorter than a person notices, the longest is not yet felt as "it gave up".
const FIRST_MS = 250;
const LONGEST_MS = 15_000;

/**
 * Milliseconds before attempt `attempt`, counted from 0: the first is made at once, then anything from nothing to a
 * bound that doubles ("full jitter"), so that clients which lost a server together do not come back together.
 */
export function backoff(attempt: number, random: () => number): number {
	if (attempt === 0) return 0;
	return random() * Math.min(LONGEST_MS, FIRST_MS * 2 ** (attempt - 1));
}
