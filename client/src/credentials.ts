//! The ICE servers and the relay's credentials among them: kept fresh, and asked for once however many want them.

import type { Environment } from "./environment.ts";
import type { Undo } from "./events.ts";
import type { IceServer } from "./messages.ts";

/** What the credentials need of their session. */
export interface CredentialsParts {
	readonly environment: Environment;
	/** Asks the server for new ones, if it can be reached; the line brings new ones by itself when it stands again. */
	ask(): void;
	/** New ones are there, and the time of those that allocations were made with is nearly over. */
	renewed(): void;
}

const ANSWER_MS = 5_000;
// Credentials this fresh are not asked for again: several connections that break at once cause one request.
const FRESH_MS = 5_000;
// The next try when no answer came; a tenth of the shortest life is longer.
const AGAIN_MS = 30_000;

/** The credentials of one session. */
export class Credentials {
	readonly #parts: CredentialsParts;
	#servers: readonly IceServer[] = [];
	#receivedAt = 0;
	#pending: { readonly done: Promise<void>; finish(): void } | null = null;
	/** The oldest credentials that an allocation may hang on are renewed then. */
	#renewal: { readonly at: number; readonly stop: Undo } | null = null;
	#due = false;
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
		const life = Math.max(0, expiresAt * 1000 - environment.now());
		// Renewed when a tenth to a fifth of their life is left: by chance, so that a room does not ask all at once.
		const early = life * (0.1 + 0.1 * environment.random());
		const due = this.#due;
		this.#due = false;
		// Ahead of time, as after a break, allocations stay on the credentials before: their time counts on.
		this.#renewAfter(Math.max(FRESH_MS, life - early));
		if (due) this.#parts.renewed();
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
		this.#renewal?.stop();
		this.#pending?.finish();
	}

	#renewAfter(milliseconds: number): void {
		const { environment } = this.#parts;
		const at = environment.now() + milliseconds;
		if (this.#renewal !== null && this.#renewal.at <= at) return;
		this.#renewal?.stop();
		const stop = environment.after(milliseconds, () => {
			this.#renewal = null;
			this.#due = true;
			this.#renewAfter(AGAIN_MS);
			void this.refresh();
		});
		this.#renewal = { at, stop };
	}
}
