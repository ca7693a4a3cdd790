//! Signs of life on the signaling WebSocket, in both directions: browsers cannot send WebSocket pings.

import type { Environment } from "./environment.ts";
import type { Undo } from "./events.ts";

// The server ends a connection after 45 s of silence; two of three pings may get lost before that.
const PING_EVERY_MS = 15_000;
const SILENCE_MS = 45_000;

/** Pings until it is stopped, and tells when nothing comes back. */
export class Heartbeat {
	readonly #environment: Environment;
	readonly #ping: (nonce: number) => void;
	readonly #silent: () => void;
	#heardAt: number;
	#nonce = 0;
	#timer: Undo = () => {};

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
	}

	/** No more pings. */
	stop(): void {
		this.#timer();
	}

	#schedule(): void {
		this.#timer = this.#environment.after(PING_EVERY_MS, () => {
			if (this.#environment.now() - this.#heardAt > SILENCE_MS) return this.#silent();
			this.#nonce = (this.#nonce + 1) % 2 ** 32;
			this.#ping(this.#nonce);
			this.#schedule();
		});
	}
}
