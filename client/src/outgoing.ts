//! What this client has said and the room may not have heard: kept until the server says how much it has, in order.

import { type ClientMessage, encode } from "./messages.ts";

/** What is counted by `received`, and so kept: everything but the opening and the signs of life. */
export type Counted = Exclude<ClientMessage, { type: "hello" | "resume" | "ping" | "leave" }>;

/** Why a message was not taken. */
export type OutgoingRefusal =
	/** The room has not confirmed enough of what it was told before. */
	| "full"
	/** The server would close the connection for it. */
	| "too-large";

// crates/protocol/src/message.rs: MAX_MESSAGE_LEN.
const LARGEST_BYTES = 64 * 1024;
// A guess: the offers and candidates of a full room fit several times over.
const MOST_MESSAGES = 256;
const MOST_BYTES = 1024 * 1024;
// From here on the server is asked how much it has, ahead of the next sign of life.
const MANY_MESSAGES = MOST_MESSAGES / 4;
const MANY_BYTES = MOST_BYTES / 4;

interface Kept {
	readonly message: Counted;
	readonly text: string;
	readonly bytes: number;
}

/**
 * ```text
 *   confirmed │ written before │ written to this socket │ to be written
 *             └─ #kept[0]                               └─ #kept[#written]
 * ```
 */
export class Outgoing {
	readonly #encoder = new TextEncoder();
	#kept: Kept[] = [];
	#bytes = 0;
	/** How many of the series the server has confirmed. */
	#confirmed = 0;
	/** How many of the kept were written to the socket of the moment. */
	#written = 0;
	/** How many of the kept were written to any socket: the server may have them. */
	#uttered = 0;

	/** Takes a message; what it returns says why not. */
	push(message: Counted): OutgoingRefusal | null {
		const text = encode(message);
		const bytes = this.#encoder.encode(text).length;
		if (bytes > LARGEST_BYTES) return "too-large";
		if (this.#kept.length >= MOST_MESSAGES || this.#bytes + bytes > MOST_BYTES) return "full";
		this.#kept.push({ message, text, bytes });
		this.#bytes += bytes;
		return null;
	}

	/** The next message for the socket of the moment; null if it has all. */
	next(): string | null {
		const kept = this.#kept[this.#written];
		if (kept === undefined) return null;
		this.#written += 1;
		this.#uttered = Math.max(this.#uttered, this.#written);
		return kept.text;
	}

	/** How many the server may have without having confirmed them. */
	get uttered(): number {
		return this.#uttered;
	}

	/** So much waits to be confirmed that it is worth asking. */
	get many(): boolean {
		return this.#uttered > 0 && (this.#kept.length >= MANY_MESSAGES || this.#bytes >= MANY_BYTES);
	}

	/** The room has processed so many messages of the series; they are forgotten. */
	confirm(received: number): void {
		// A count of more than was ever written is nobody's; what cannot be true changes nothing.
		const count = received - this.#confirmed;
		if (count <= 0 || count > this.#uttered) return;
		this.#confirmed = received;
		this.#forget(count);
	}

	/** Another socket: what is not confirmed is written to it again. */
	rewind(): void {
		this.#written = 0;
	}

	/** On a socket to which nothing was written yet, the server says how many it has: the next one is one more. */
	align(received: number): void {
		this.#forget(Math.min(Math.max(0, received - this.#confirmed), this.#uttered));
		this.#confirmed = received;
	}

	/** The server counts from nothing: nobody knows what it has of the messages returned. What it cannot have stays. */
	restart(): readonly Counted[] {
		const unsure = this.#kept.slice(0, this.#uttered).map(({ message }) => message);
		this.#forget(this.#uttered);
		this.#confirmed = 0;
		return unsure;
	}

	#forget(count: number): void {
		for (const { bytes } of this.#kept.splice(0, count)) this.#bytes -= bytes;
		this.#written = Math.max(0, this.#written - count);
		this.#uttered -= count;
	}
}
