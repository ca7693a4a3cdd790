//! The ICE servers and the relay's credentials among them: kept fresh, and asked for once however many want them.

import type { Environment } from "./environment.ts";
import type { Undo } from "./events.ts";
import type { IceServer } from "./messages.ts";

/** What the credentials need of their session. */
export interface CredentialsParts {
	readonly environment: Environment;
	/** Asks the server for new ones. */
	ask(): void;
	/** New ones came because the old ones' time was nearly over. */
	renewed(): void;
}

const ANSWER_MS = 5_000;
// Credentials this fresh are not asked for again: several connections that break at once cause one request.
const FRESH_MS = 5_000;

/** The credentials of one session. */
export class Credentials {
	readonly #parts: CredentialsParts;
	#servers: readonly IceServer[] = [];
	#receivedAt = 0;
	#pending: { readonly done: Promise<void>; finish(): void } | null = null;
	#timer: Undo = () => {};
	#ended = false;

	constructor(parts: CredentialsParts) {
		this.#parts = parts;
	}

	/** For `RTCPeerConnection`. */
	get servers(): RTCIceServer[] {
		return this.#servers.map(({ urls, ...rest }) => ({ urls: [...urls], ...rest }));
	}

	/** The server gave new ones, good until `expiresAt`, in seconds since 1970. */
	accept(servers: readonly IceServer[], expiresAt: number): void {
		const { environment } = this.#parts;
		this.#servers = servers;
		this.#receivedAt = environment.now();
		this.#pending?.finish();
		this.#timer();
		const life = Math.max(0, expiresAt * 1000 - environment.now());
		// Renewed when a tenth to a fifth of their life is left: by chance, so that a room does not ask all at once.
		const early = life * (0.1 + 0.1 * environment.random());
		this.#timer = environment.after(Math.max(FRESH_MS, life - early), () => {
			void this.refresh().then(() => this.#parts.renewed());
		});
	}

	/** Resolves when fresh ones are there, or when none come in time, so that the old ones are tried. */
	refresh(): Promise<void> {
		if (this.#pending !== null) return this.#pending.done;
		const { environment } = this.#parts;
		if (this.#ended || environment.now() - this.#receivedAt < FRESH_MS) return Promise.resolve();
		let resolve = () => {};
		const done = new Promise<void>((settle) => {
			resolve = settle;
		});
		const timer = environment.after(ANSWER_MS, () => this.#pending?.finish());
		this.#pending = {
			done,
			finish: () => {
				timer();
				this.#pending = null;
				resolve();
			},
		};
		this.#parts.ask();
		return done;
	}

	/** The session has ended: nobody can be asked any more. */
	end(): void {
		this.#ended = true;
		this.#timer();
		this.#pending?.finish();
	}
}
