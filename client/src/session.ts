//! A stay in a room: the WebSocket, who else is there, the connections to them, and the relay's credentials.

import { requestJoin, type Server, socketAddress } from "./api.ts";
import { Connection, type EndReason, type Signal, type TransportPolicy } from "./connection.ts";
import { browser, type Environment, type Socket } from "./environment.ts";
import { CausewayError } from "./error.ts";
import { Emitter, type Undo } from "./events.ts";
import {
	type ClientMessage,
	type IceServer,
	type LeaveReason,
	type Peer,
	PROTOCOL_VERSION,
	parseServerMessage,
	type RelayUsage,
	type Role,
	type ServerMessage,
	SUBPROTOCOL,
	type Welcome,
} from "./messages.ts";
import type { JoinRoom } from "./rest.ts";
import { generationOf } from "./sdp.ts";
import type { DescriptionSeal } from "./seal.ts";

/** How to join: where, what proves that one may, and how to connect. */
export interface JoinOptions extends Server, JoinRoom {
	readonly room: string;
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

// The server ends a connection after 45 s of silence; two of three pings may get lost before that.
const PING_EVERY_MS = 15_000;
const SILENCE_MS = 45_000;
const WELCOME_MS = 15_000;
const REFRESH_WAIT_MS = 5_000;
// Credentials this fresh are not asked for again: several connections that break at once cause one request.
const FRESH_MS = 5_000;

/** Joins a room. Subscribe right after it resolves: messages that follow the welcome come in later tasks. @throws {CausewayError} */
export async function joinRoom(options: JoinOptions): Promise<Session> {
	const environment = options.environment ?? browser();
	const { password, invite, hostToken, name } = options;
	const joined = await requestJoin(options, options.room, {
		...(password === undefined ? {} : { password }),
		...(invite === undefined ? {} : { invite }),
		...(hostToken === undefined ? {} : { hostToken }),
		...(name === undefined ? {} : { name }),
	});
	return new Promise((resolve, reject) => {
		const socket = environment.openSocket(socketAddress(options.server), SUBPROTOCOL);
		let refusal = new CausewayError(
			"join-refused",
			"The server closed the connection; try again in a moment.",
		);
		const deadline = environment.after(WELCOME_MS, () => socket.close());
		socket.onopen = () =>
			socket.send(encode({ type: "hello", version: PROTOCOL_VERSION, token: joined.token }));
		socket.onclose = () => {
			deadline();
			reject(refusal);
		};
		socket.onmessage = ({ data }) => {
			const message = decode(data);
			if (message?.type === "error") refusal = new CausewayError(message.code, message.message);
			if (message?.type !== "welcome") return;
			deadline();
			resolve(new Session(socket, message, options, environment));
		};
	});
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
	#iceServers: readonly IceServer[];
	#iceReceivedAt: number;
	#transportPolicy: TransportPolicy;
	#refreshing: { readonly done: Promise<void>; finish(): void } | null = null;
	#refreshTimer: Undo = () => {};
	#pingTimer: Undo = () => {};
	#heardAt: number;
	#nonce = 0;
	#farewell: Closed | null = null;
	#closed: Closed | null = null;

	/** Use `joinRoom`. */
	constructor(socket: Socket, welcome: Welcome, options: JoinOptions, environment: Environment) {
		this.room = welcome.room;
		this.peer = welcome.peer;
		this.role = welcome.role;
		this.expiresAt = welcome.expiresAt * 1000;
		this.#socket = socket;
		this.#environment = environment;
		this.#seal = options.seal ?? null;
		this.#transportPolicy = options.transportPolicy ?? "all";
		this.#iceServers = welcome.iceServers;
		this.#iceReceivedAt = environment.now();
		this.#heardAt = environment.now();
		for (const peer of welcome.peers) this.#peers.set(peer.id, peer);
		socket.onmessage = ({ data }) => this.#onMessage(decode(data));
		socket.onclose = ({ code, reason }) => this.#onClose(code, reason);
		this.#undo.push(environment.onNetworkChange(() => this.#restartAll()));
		this.#scheduleRefresh(welcome.iceExpiresAt);
		this.#schedulePing();
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
			refreshIce: () => this.#refreshIce(),
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
		this.#farewell ??= { code: 1000, reason: "left", reconnect: false };
		this.#socket.close(1000, "left");
	}

	#configuration(): RTCConfiguration {
		return {
			iceServers: this.#iceServers.map(({ urls, ...rest }) => ({ urls: [...urls], ...rest })),
			iceTransportPolicy: this.#transportPolicy,
			bundlePolicy: "max-bundle",
		};
	}

	#send(message: ClientMessage): void {
		if (this.#closed === null) this.#socket.send(encode(message));
	}

	#onMessage(message: ServerMessage | null): void {
		this.#heardAt = this.#environment.now();
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
		this.#iceServers = servers;
		this.#iceReceivedAt = this.#environment.now();
		this.#scheduleRefresh(expiresAt);
		for (const connection of this.#connections.values()) connection.applyConfiguration();
		this.#refreshing?.finish();
	}

	#refreshIce(): Promise<void> {
		if (this.#refreshing !== null) return this.#refreshing.done;
		if (this.#closed !== null || this.#environment.now() - this.#iceReceivedAt < FRESH_MS) {
			return Promise.resolve();
		}
		let resolve = () => {};
		const done = new Promise<void>((settle) => {
			resolve = settle;
		});
		const timer = this.#environment.after(REFRESH_WAIT_MS, () => this.#refreshing?.finish());
		this.#refreshing = {
			done,
			finish: () => {
				timer();
				this.#refreshing = null;
				resolve();
			},
		};
		this.#send({ type: "refresh-ice" });
		return done;
	}

	/** Credentials are renewed when a tenth of their life is left, spread by chance so that a room does not ask at once. */
	#scheduleRefresh(expiresAt: number): void {
		this.#refreshTimer();
		const life = Math.max(0, expiresAt * 1000 - this.#environment.now());
		const early = life * (0.1 + 0.1 * this.#environment.random());
		this.#refreshTimer = this.#environment.after(Math.max(FRESH_MS, life - early), () => {
			void this.#refreshIce().then(() => this.#renewAllocations());
		});
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

	#schedulePing(): void {
		this.#pingTimer = this.#environment.after(PING_EVERY_MS, () => {
			if (this.#environment.now() - this.#heardAt > SILENCE_MS) {
				this.#farewell = { code: 4408, reason: "timed-out", reconnect: true };
				this.#socket.close();
				// A dead network does not complete the closing handshake for minutes.
				return this.#onClose(4408, "timed-out");
			}
			this.#nonce = (this.#nonce + 1) % 2 ** 32;
			this.#send({ type: "ping", nonce: this.#nonce });
			this.#schedulePing();
		});
	}

	#onClose(code: number, reason: string): void {
		if (this.#closed !== null) return;
		// RFC 6455 §7.1.5: 1006 is a connection that broke without a close frame.
		const broke = code === 1006 || code === 1001;
		this.#closed = this.#farewell ?? { code, reason: reason || "connection-lost", reconnect: broke };
		this.#refreshTimer();
		this.#pingTimer();
		this.#refreshing?.finish();
		for (const undo of this.#undo) undo();
		this.#events.emit("closed", this.#closed);
	}
}

function encode(message: ClientMessage): string {
	return JSON.stringify(message);
}

function decode(data: unknown): ServerMessage | null {
	if (typeof data !== "string") return null;
	try {
		return parseServerMessage(JSON.parse(data));
	} catch {
		return null;
	}
}
