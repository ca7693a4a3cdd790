//! Tries again what fails only because the server cannot be reached.

import { CausewayError } from "@causeway/client";
import { type After, inBrowser } from "./after.ts";

// Guesses: a server that restarts is back within seconds; one that is away for hours is asked twice a minute.
const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;

/** Repeats `attempt` until it succeeds, or fails for a reason that time does not heal; that is thrown. */
export async function untilDone(attempt: () => Promise<void>, after: After = inBrowser): Promise<void> {
	for (let wait = FIRST_MS; ; wait = Math.min(2 * wait, LONGEST_MS)) {
		try {
			return await attempt();
		} catch (error) {
			if (!(error instanceof CausewayError && isPassing(error))) throw error;
			const milliseconds = Math.max(wait, (error.retryAfterSeconds ?? 0) * 1_000);
			await new Promise<void>((resolve) => after(milliseconds, resolve));
		}
	}
}

function isPassing({ code }: CausewayError): boolean {
	switch (code) {
		case "unreachable":
		case "join-refused":
		case "bad-answer":
		case "rate-limited":
		case "unavailable":
		case "degraded":
		case "internal":
			return true;
		default:
			return false;
	}
}
