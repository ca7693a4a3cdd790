//! What people are told about the connection to the server: calmly, since what is on its way goes on without it.

import type { Closed, Status } from "@causeway/client";
import { type ReadonlySignal, signal } from "@preact/signals";
import { type After, inBrowser } from "./after.ts";

/** What there is to tell. */
export type LineNotice =
	| { readonly kind: "none" }
	| { readonly kind: "reconnecting" }
	/** It was told that the connection broke, and it stands again. */
	| { readonly kind: "back" }
	| { readonly kind: "degraded" }
	| { readonly kind: "closed"; readonly closed: Closed }
	/** The page tried to join again, and this is why it could not. */
	| { readonly kind: "lost"; readonly sentence: string };

/** What a page does about a session that is over and may begin anew. */
export type WhenOver = "tells" | "joins-again";

// Most breaks heal sooner, and nobody needs to know.
const CALM_MS = 2_000;
// Long enough to be read, and to be read out.
const BACK_MS = 6_000;

/** Turns the session's status into notices. */
export class LineWatch {
	readonly #notice = signal<LineNotice>({ kind: "none" });
	readonly #whenOver: () => WhenOver;
	readonly #after: After;
	#timer = () => {};

	constructor(whenOver: () => WhenOver, after: After = inBrowser) {
		this.#whenOver = whenOver;
		this.#after = after;
	}

	/** What to show now. */
	get notice(): ReadonlySignal<LineNotice> {
		return this.#notice;
	}

	/** The session's status changed. */
	onStatus(status: Status): void {
		const shown = this.#notice.value.kind;
		switch (status.kind) {
			case "connected":
				if (shown === "reconnecting") {
					this.#show({ kind: "back" });
					this.#later(BACK_MS, { kind: "none" });
				} else if (shown === "degraded") this.#show({ kind: "none" });
				else if (shown === "none") this.#timer();
				return;
			case "degraded":
				return this.#show({ kind: "degraded" });
			case "reconnecting":
				// Every attempt is a status of its own; the first one starts the clock.
				if (shown === "reconnecting" || status.attempt !== 1) return;
				if (shown === "back") this.#show({ kind: "none" });
				return this.#later(CALM_MS, { kind: "reconnecting" });
			case "closed":
				if (status.closed.reason === "left") return this.#show({ kind: "none" });
				if (status.closed.reconnect && this.#whenOver() === "joins-again") {
					return this.#show({ kind: "reconnecting" });
				}
				return this.#show(status);
		}
	}

	/** Joining again failed for good. */
	lose(sentence: string): void {
		this.#show({ kind: "lost", sentence });
	}

	#show(notice: LineNotice): void {
		this.#timer();
		this.#notice.value = notice;
	}

	#later(milliseconds: number, notice: LineNotice): void {
		this.#timer();
		this.#timer = this.#after(milliseconds, () => {
			this.#notice.value = notice;
		});
	}
}
