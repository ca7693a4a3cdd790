//! A stay in a room: the WebSocket, who else is there, the connections to them, and the relay's credentials.

import { CLOSE_CODES } from "./codes.ts";
import { Connection, type EndReason, type Signal, type TransportPolicy } from "./connection.ts";
import { Credentials } from "./credentials.ts";
import type { Environment, Socket } from "./environment.ts";
import { CausewayError } from "./error.ts";
import { Emitter, type Undo } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";
import {
	type ClientMessage,
	decode,
	encode,
	type IceServer,
	type LeaveReason,
	type Peer,
	type RelayUsage,
	type Role,
	type ServerMessage,
	type Welcome,
} from "./messages.ts";
import { generationOf } from "./sdp.ts";
import type { DescriptionSeal } from "./seal.ts";

/** How to connect to the peers of a room. */
export interface SessionOptions {
	/** Absent: `all`. */
	readonly transportPolicy?: TransportPolicy;
	/** If given, every description carries a proof and one without is refused. */
	readonly seal?: DescriptionSeal;
}

/** How the session ended. Connections that stand go on without it; only renegotiation is gone. */
export interface Closed {
	/** The WebSocket's close code (RFC 6455 §7.4; ours are in `CLOSE_CODES`). */
	readonly code: number;
	/** For programs. */
	readonly reason: string;
	/** Whether joining again makes sense. */
	readonly reconnect: boolean;
}

/** What a session tells. */
export interface SessionEvents {
	"peer-joined": Peer;
	"peer-left": { readonly peer: Peer; readonly reason: LeaveReason };
	/** The other peer began to connect, or to connect anew. Add channels and handlers before returning: its offer is read next. */
	connection: Connection;
	/** Data of the application from another peer. */
	app: { readonly from: string; readonly data: unknown };
	/** The relay's own count for a peer of this room. */
	"relay-usage": RelayUsage;
	/** The server refused one message; the session goes on. */
	refused: CausewayError;
	closed: Closed;
}

/** A stay in a room. */
export class Session {
	readonly room: string;
	/** This side's own id. */
	readonly peer: string;
	readonly role: Role;
	/** When the room ends, in milliseconds since 1970. */
	readonly expiresAt: number;
	readonly #socket: Socket;
	readonly #environment: Environment;
	readonly #seal: DescriptionSeal | null;
	readonly #events = new Emitter<SessionEvents>();
	readonly #peers = new Map<string, Peer>();
	readonly #connections = new Map<string, Connection>();
	readonly #undo: Undo[] = [];
	readonly #credentials: Credentials;
	readonly #heartbeat: Heartbeat;
	#transportPolicy: TransportPolicy;
	#farewell: Closed | null = null;
	#closed: Closed | null = null;

	/** Use `joinRoom`. */
	constructor(socket: Socket, welcome: Welcome, options: SessionOptions, environment: Environment) {
		this.room = welcome.room;
		this.peer = welcome.peer;
		this.role = welcome.role;
		this.expiresAt = welcome.expiresAt * 1000;
		this.#socket = socket;
		this.#environment = environment;
		this.#seal = options.seal ?? null;
		this.#transportPolicy = options.transportPolicy ?? "all";
		for (const peer of welcome.peers) this.#peers.set(peer.id, peer);
		socket.onmessage = ({ data }) => this.#onMessage(decode(data));
		socket.onclose = ({ code, reason }) => this.#onClose(code, reason);
		this.#undo.push(environment.onNetworkChange(() => this.#restartAll()));
		this.#credentials = new Credentials({
			environment,
			ask: () => this.#send({ type: "refresh-ice" }),
			renewed: () => void this.#renewAllocations(),
		});
		this.#credentials.accept(welcome.iceServers, welcome.iceExpiresAt);
		this.#heartbeat = new Heartbeat(
			environment,
			(nonce) => this.#send({ type: "ping", nonce }),
			() => this.#onSilence(),
		);
	}

	/** The other peers of the room. */
	get peers(): ReadonlyMap<string, Peer> {
		return this.#peers;
	}

	/** The connections that have not ended, by peer. */
	get connections(): ReadonlyMap<string, Connection> {
		return this.#connections;
	}

	/** Which candidates may be used. */
	get transportPolicy(): TransportPolicy {
		return this.#transportPolicy;
	}

	/** How the session ended; null while it stands. */
	get closed(): Closed | null {
		return this.#closed;
	}

	/** Subscribes; the returned function ends the subscription. */
	on<K extends keyof SessionEvents>(name: K, listener: (event: SessionEvents[K]) => void): Undo {
		return this.#events.on(name, listener);
	}

	/** The connection to a peer, made if there is none. Both sides may call it; crossing offers are settled. @throws {CausewayError} */
	connect(peer: string): Connection {
		const existing = this.#connections.get(peer);
		if (existing !== undefined) return existing;
		if (this.#closed !== null) throw new CausewayError("closed", "The session has ended; join again.");
		return this.#make(peer, 1);
	}

	/**
	 * Another connection to a peer, beside the one there is: the way to another path where ICE would keep the old
	 * one, as Chromium keeps a direct pair after a switch to the relay. The other side is told by `connection`.
	 * The old one goes on until the app, having moved everything, closes it. @throws {CausewayError}
	 */
	reconnect(peer: string): Connection {
		const existing = this.#connections.get(peer);
		if (existing === undefined) return this.connect(peer);
		return this.#make(peer, existing.generation + 1);
	}

	#make(peer: string, generation: number): Connection {
		const known = this.#peers.get(peer);
		if (known === undefined) {
			throw new CausewayError("no-such-peer", "That peer is not in the room; wait until it joins.");
		}
		this.#connections.get(peer)?.supersede();
		const connection = new Connection({
			self: this.peer,
			peer,
			politeness: known.youAre,
			generation,
			environment: this.#environment,
			seal: this.#seal,
			configuration: () => this.#configuration(),
			refreshIce: () => this.#credentials.refresh(),
			send: (message) => this.#send(message),
			ended: () => {
				if (this.#connections.get(peer) === connection) this.#connections.delete(peer);
			},
		});
		this.#connections.set(peer, connection);
		return connection;
	}

	/** Sends the application's own data to one peer, or to all others. Any JSON; small, and not a path for bulk. */
	sendApp(data: unknown, to?: string): void {
		this.#send(to === undefined ? { type: "app", data } : { type: "app", to, data });
	}

	/** Sets which candidates count from the next ICE generation on, without beginning one. */
	applyTransportPolicy(policy: TransportPolicy): void {
		this.#transportPolicy = policy;
		for (const connection of this.#connections.values()) connection.applyConfiguration();
	}

	/**
	 * Switches all connections to the policy by an ICE restart; the other side follows with `applyTransportPolicy`.
	 * Browsers may keep a direct pair that works although only the relay is allowed from here on: see `reconnect`.
	 */
	switchTransportPolicy(policy: TransportPolicy): void {
		this.applyTransportPolicy(policy);
		this.#restartAll();
	}

	/** Leaves the room for good and closes every connection. */
	leave(): void {
		this.#send({ type: "leave" });
		for (const connection of [...this.#connections.values()]) connection.close();
		this.#farewell ??= { code: CLOSE_CODES.left, reason: "left", reconnect: false };
		this.#socket.close(CLOSE_CODES.left, "left");
	}

	#configuration(): RTCConfiguration {
		return {
			iceServers: this.#credentials.servers,
			iceTransportPolicy: this.#transportPolicy,
			bundlePolicy: "max-bundle",
		};
	}

	#send(message: ClientMessage): void {
		if (this.#closed === null) this.#socket.send(encode(message));
	}

	#onMessage(message: ServerMessage | null): void {
		this.#heartbeat.heard();
		// A type that this client does not know is a newer server's; it is for others to understand.
		if (message === null) return;
		switch (message.type) {
			case "welcome":
			case "pong":
				return;
			case "peer-joined":
				this.#peers.set(message.peer.id, message.peer);
				return this.#events.emit("peer-joined", message.peer);
			case "peer-left":
				return this.#onPeerLeft(message.peer, message.reason);
			case "offer":
			case "answer":
			case "candidate":
			case "end-of-candidates":
				return this.#onSignal(message.from, message);
			case "app":
				return this.#events.emit("app", { from: message.from, data: message.data });
			case "ice-servers":
				return this.#onIceServers(message.iceServers, message.iceExpiresAt);
			case "relay-usage":
				return this.#events.emit("relay-usage", message);
			case "error":
				return this.#events.emit("refused", new CausewayError(message.code, message.message));
			case "closing":
				this.#farewell = { code: message.code, reason: message.reason, reconnect: message.reconnect };
				return;
		}
	}

	#onSignal(from: string, signal: Signal): void {
		let connection = this.#connections.get(from);
		const described = signal.type === "offer" || signal.type === "answer";
		const generation = described ? generationOf(signal.sdp) : null;
		// Only an offer begins a connection, or the next one; the rest belongs to one that has ended here.
		if (signal.type === "offer" && generation !== null && generation > (connection?.generation ?? 0)) {
			if (this.#closed !== null || !this.#peers.has(from)) return;
			connection = this.#make(from, generation);
			this.#events.emit("connection", connection);
		}
		if (connection === undefined || (generation !== null && generation !== connection.generation)) return;
		connection.onSignal(signal);
	}

	#onPeerLeft(id: string, reason: LeaveReason): void {
		const peer = this.#peers.get(id);
		if (peer === undefined) return;
		this.#peers.delete(id);
		const ended: EndReason | null = reason === "left" || reason === "refused" ? "peer-left" : null;
		// Somebody who lost only the server may still be reached; ICE finds out.
		if (ended !== null) this.#connections.get(id)?.close(ended);
		this.#events.emit("peer-left", { peer, reason });
	}

	#onIceServers(servers: readonly IceServer[], expiresAt: number): void {
		this.#credentials.accept(servers, expiresAt);
		for (const connection of this.#connections.values()) connection.applyConfiguration();
	}

	/** An allocation ends with the credential that made it, so relayed connections get a new one in time. */
	async #renewAllocations(): Promise<void> {
		for (const connection of this.#connections.values()) {
			if ((await connection.path())?.kind === "relayed") await connection.restart();
		}
	}

	#restartAll(): void {
		for (const connection of this.#connections.values()) void connection.restart();
	}

	#onSilence(): void {
		const { "timed-out": code } = CLOSE_CODES;
		this.#farewell = { code, reason: "timed-out", reconnect: true };
		this.#socket.close();
		// A dead network does not complete the closing handshake for minutes.
		this.#onClose(code, "timed-out");
	}

	#onClose(code: number, reason: string): void {
		if (this.#closed !== null) return;
		// RFC 6455 §7.1.5: 1006 is a connection that broke without a close frame.
		const broke = code === 1006 || code === 1001;
		this.#closed = this.#farewell ?? { code, reason: reason || "connection-lost", reconnect: broke };
		this.#heartbeat.stop();
		this.#credentials.end();
		for (const undo of this.#undo) undo();
		this.#events.emit("closed", this.#closed);
	}
}
