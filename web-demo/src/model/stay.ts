//! A page's stay in a room, shared by both pages: who counts what, which way is allowed, and what came to an end.

import type { Connection, RelayUsage, Session, TransportPolicy } from "@causeway/client";
import { type ReadonlySignal, signal } from "@preact/signals";
import { type LineNotice, LineWatch, type WhenOver } from "./line-watch.ts";
import { isPolicyNote, policyNote } from "./policy.ts";

/** What went through the relay for one peer, in bytes. */
export interface RelayedBytes {
	readonly sent: number;
	readonly received: number;
}

/** A stay in a room. */
export class Stay {
	readonly session: Session;
	readonly #policy;
	readonly #usage = signal<ReadonlyMap<string, RelayUsage>>(new Map());
	readonly #line: LineWatch;

	constructor(session: Session, whenOver: () => WhenOver) {
		this.session = session;
		this.#line = new LineWatch(whenOver);
		this.#policy = signal<TransportPolicy>(session.transportPolicy);
		session.on("app", ({ data }) => {
			if (!isPolicyNote(data)) return;
			// The other page begins the new ICE generation; this one takes part in it with the same policy.
			session.applyTransportPolicy(data.policy);
			this.#policy.value = data.policy;
		});
		session.on("relay-usage", (usage) => {
			this.#usage.value = new Map(this.#usage.value).set(`${usage.peer} ${usage.node}`, usage);
		});
		session.on("status", (status) => this.#line.onStatus(status));
	}

	/** Which ways are allowed at both ends. */
	get policy(): ReadonlySignal<TransportPolicy> {
		return this.#policy;
	}

	/** What to tell about the connection to the server. */
	get notice(): ReadonlySignal<LineNotice> {
		return this.#line.notice;
	}

	/** Whether the others cannot be told anything any more. Rendered again whenever the notice changes. */
	get over(): boolean {
		const { kind } = this.#line.notice.value;
		return (kind === "closed" || kind === "lost") && this.session.closed !== null;
	}

	/** The stay is over, and another one could not begin. */
	lose(sentence: string): void {
		this.#line.lose(sentence);
	}

	/** What the relay itself counted for this page's peer, on all nodes. */
	relayed(): RelayedBytes {
		let [sent, received] = [0, 0];
		for (const usage of this.#usage.value.values()) {
			if (usage.peer !== this.session.peer) continue;
			sent += usage.sentBytes;
			received += usage.receivedBytes;
		}
		return { sent, received };
	}

	/**
	 * Switches both ends, while bytes flow. To `relay` by later connections, which `moveOver` gets, because a browser may
	 * keep a direct pair that works; to `all` by an ICE restart, which finds the direct pair by itself.
	 */
	switchPolicy(policy: TransportPolicy, moveOver: (connection: Connection) => void): void {
		if (policy === this.#policy.value || this.session.closed !== null) return;
		this.#policy.value = policy;
		this.session.sendApp(policyNote(policy));
		if (policy === "all") return this.session.switchTransportPolicy(policy);
		this.session.applyTransportPolicy(policy);
		for (const peer of this.session.connections.keys()) moveOver(this.session.reconnect(peer));
	}

	/** Tells somebody who just came which ways are allowed. */
	tellPolicy(peer: string): void {
		this.session.sendApp(policyNote(this.#policy.value), peer);
	}
}
