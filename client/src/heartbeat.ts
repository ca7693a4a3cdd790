//! Signs of life on the signaling WebSocket, in both directions: browsers cannot send WebSocket pings.

import type { Environment } from "./environment.ts";
import type { Undo } from "./events.ts";

// The server ends a connection after 45 s of silence; two of three pings may get lost before that.
const PING_EVERY_MS = 15_000;
const SILENCE_MS = 45_000;
// Where there is reason to believe that the socket is dead: longer than a slow path's round trip, a guess.
const PROBE_MS = 5_000;

/** Pings until it is stopped, and tells when nothing comes back. */
export class Heartbeat {
	readonly #environment: Environment;
	readonly #ping: (nonce: number) => void;
	readonly #silent: () => void;
	#heardAt: number;
	#nonce = 0;
	#timer: Undo = () => {};
	#probe: Undo | null = null;

	constructor(environment: Environment, ping: (nonce: number) => void, silent: () => void) {
		this.#environment = environment;
		this.#ping = ping;
		this.#silent = silent;
		this.#heardAt = environment.now();
		this.#schedule();
	}

	/** The server said something. */
	heard(): void {
		this.#heardAt = this.#environment.now();
		this.#probe?.();
		this.#probe = null;
	}

	/** Asks at once; whoever does not answer within seconds is gone. */
	probe(): void {
		if (this.#probe !== null) return;
		this.#probe = this.#environment.after(PROBE_MS, () => this.#silent());
		this.ask();
	}

	/** Pings once, ahead of time. */
	ask(): void {
		this.#nonce = (this.#nonce + 1) % 2 ** 32;
		this.#ping(this.#nonce);
	}

	/** No more pings. */
	stop(): void {
		this.#timer();
		this.#probe?.();
	}

	#schedule(): void {
		this.#timer = this.#environment.after(PING_EVERY_MS, () => {
			if (this.#environment.now() - this.#heardAt > SILENCE_MS) return this.#silent();
			this.ask();
			this.#schedule();
		});
	}
}
