//! The connections to the peers of a room, one living one each, and what they share.

import {
	Connection,
	type EndReason,
	type LineNews,
	type Signal,
	type TransportPolicy,
} from "./connection.ts";
import type { Environment } from "./environment.ts";
import { CausewayError } from "./error.ts";
import type { Peer } from "./messages.ts";
import type { Counted } from "./outgoing.ts";
import { generationOf } from "./sdp.ts";
import type { DescriptionSeal } from "./seal.ts";

/** What connections need of their session. */
export interface ConnectionsParts {
	/** This side's own id. */
	readonly self: string;
	readonly environment: Environment;
	readonly seal: DescriptionSeal | null;
	/** Who is in the room. */
	readonly peers: ReadonlyMap<string, Peer>;
	iceServers(): RTCIceServer[];
	refreshIce(): Promise<void>;
	isAway(): boolean;
	send(message: Counted): boolean;
	/** The other side began one. */
	began(connection: Connection): void;
}

/** All connections of one session. */
export class Connections {
	readonly #parts: ConnectionsParts;
	readonly #byPeer = new Map<string, Connection>();
	#policy: TransportPolicy;

	constructor(policy: TransportPolicy, parts: ConnectionsParts) {
		this.#policy = policy;
		this.#parts = parts;
	}

	/** Those that have not ended. */
	get byPeer(): ReadonlyMap<string, Connection> {
		return this.#byPeer;
	}

	/** Which candidates may be used. */
	get policy(): TransportPolicy {
		return this.#policy;
	}

	/** The connection to a peer, made if there is none. @throws {CausewayError} */
	connect(peer: string): Connection {
		return this.#byPeer.get(peer) ?? this.#make(peer, 1);
	}

	/** Another one beside the one there is. @throws {CausewayError} */
	reconnect(peer: string): Connection {
		return this.#make(peer, (this.#byPeer.get(peer)?.generation ?? 0) + 1);
	}

	/** Something that a peer said about its connection. */
	onSignal(from: string, signal: Signal): void {
		let connection = this.#byPeer.get(from);
		const described = signal.type === "offer" || signal.type === "answer";
		const generation = described ? generationOf(signal.sdp) : null;
		// Only an offer begins a connection, or the next one; the rest belongs to one that has ended here.
		if (signal.type === "offer" && generation !== null && generation > (connection?.generation ?? 0)) {
			if (!this.#parts.peers.has(from)) return;
			connection = this.#make(from, generation);
			this.#parts.began(connection);
		}
		if (connection === undefined || (generation !== null && generation !== connection.generation)) return;
		connection.onSignal(signal);
	}

	/** The line to the room has news. */
	onLine(news: LineNews): void {
		for (const connection of this.#all()) connection.onLine(news);
	}

	/** The policy for the next ICE generation on. */
	applyPolicy(policy: TransportPolicy): void {
		this.#policy = policy;
		this.applyConfiguration();
	}

	/** Takes over policy and ICE servers as they are. */
	applyConfiguration(): void {
		for (const connection of this.#all()) connection.applyConfiguration();
	}

	/** Looks for new ways for all. */
	restart(): void {
		for (const connection of this.#all()) void connection.restart();
	}

	/** An allocation ends with the credential that made it, so relayed connections get a new one in time. */
	async renewAllocations(): Promise<void> {
		for (const connection of this.#all()) {
			if ((await connection.path())?.kind === "relayed") await connection.restart();
		}
	}

	/** Closes the connection to one peer. */
	close(peer: string, reason: EndReason): void {
		this.#byPeer.get(peer)?.close(reason);
	}

	/** Closes all. */
	closeAll(): void {
		for (const connection of this.#all()) connection.close();
	}

	#all(): readonly Connection[] {
		return [...this.#byPeer.values()];
	}

	#make(peer: string, generation: number): Connection {
		const { peers, self, environment, seal } = this.#parts;
		const known = peers.get(peer);
		if (known === undefined) {
			throw new CausewayError("no-such-peer", "That peer is not in the room; wait until it joins.");
		}
		this.#byPeer.get(peer)?.supersede();
		const connection = new Connection({
			self,
			peer,
			generation,
			environment,
			seal,
			// A room that another owner set up again may order its members anew.
			politeness: () => (peers.get(peer) ?? known).youAre,
			configuration: () => ({
				iceServers: this.#parts.iceServers(),
				iceTransportPolicy: this.#policy,
				bundlePolicy: "max-bundle",
			}),
			refreshIce: () => this.#parts.refreshIce(),
			isAway: () => this.#parts.isAway(),
			send: (message) => this.#parts.send(message),
			ended: () => {
				if (this.#byPeer.get(peer) === connection) this.#byPeer.delete(peer);
			},
		});
		this.#byPeer.set(peer, connection);
		return connection;
	}
}
