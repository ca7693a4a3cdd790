//! A stay in a room: who else is there, how the room stands, the connections to the others.

import { socketAddress } from "./api.ts";
import type { Connection, TransportPolicy } from "./connection.ts";
import { Connections } from "./connections.ts";
import { Credentials } from "./credentials.ts";
import type { Environment, Socket } from "./environment.ts";
import { CausewayError } from "./error.ts";
import { Emitter, type Undo } from "./events.ts";
import { type Closed, Line, type Status } from "./line.ts";
import type {
	EntryGrant,
	Knocker,
	LeaveReason,
	Notice,
	Peer,
	RelayUsage,
	Resumed,
	Resync,
	Role,
	RoomEvent,
	Welcome,
} from "./messages.ts";
import type { Counted } from "./outgoing.ts";
import { RoomView, type StateEntry, type ViewChange } from "./room-view.ts";
import type { DescriptionSeal } from "./seal.ts";

/** How to connect to the peers of a room. */
export interface SessionOptions {
	/** Absent: `all`. */
	readonly transportPolicy?: TransportPolicy;
	/** If given, every description carries a proof and one without is refused. */
	readonly seal?: DescriptionSeal;
}

/** What a session tells. */
export interface SessionEvents {
	"peer-joined": Peer;
	"peer-left": { readonly peer: Peer; readonly reason: LeaveReason };
	/** A peer, or this side itself, became something else in the room. */
	"peer-role": { readonly peer: string; readonly role: Role };
	/** The other peer began to connect, or to connect anew. Add channels and handlers before returning: its offer is read next. */
	connection: Connection;
	/** Data of the application from another peer. */
	app: { readonly from: string; readonly data: unknown };
	/** An entry of the room's state was set; `null`: it is gone. */
	state: { readonly key: string; readonly entry: StateEntry | null; readonly by: string | null };
	/** The room was closed to newcomers, or opened again. */
	locked: { readonly locked: boolean; readonly by: string | null };
	/** To hosts: somebody waits to be let in. */
	knock: Knocker;
	/** To hosts: somebody does not wait any more. */
	"knock-gone": Knocker;
	/** The relay's own count for a peer of this room. */
	"relay-usage": RelayUsage;
	/** The server refused one message; the session goes on. */
	refused: CausewayError;
	/** How the session stands with its room changed. */
	status: Status;
	/** The WebSocket broke and another one took over. Nothing was lost: missed events follow, `repeated` messages went again. */
	resumed: { readonly awayMs: number; readonly repeated: number };
	/**
	 * Events may be lost; what they led to was told before this, as `peer-joined`, `peer-left`, `state` and so on. Data of
	 * the application is gone if it was missed. Whether the room heard what is in `unsure` is not known; it is not said again.
	 */
	resynced: { readonly awayMs: number; readonly unsure: readonly Counted[] };
	closed: Closed;
}

/** A stay in a room. It goes on by itself when its WebSocket breaks. */
export class Session {
	readonly room: string;
	/** This side's own id. */
	readonly peer: string;
	readonly #line: Line;
	readonly #view: RoomView;
	readonly #events = new Emitter<SessionEvents>();
	readonly #connections: Connections;
	readonly #credentials: Credentials;
	readonly #undo: readonly Undo[];
	/** Another network came while the server was away. */
	#moved = false;

	/** Use `joinRoom`. */
	constructor(
		socket: Socket,
		welcome: Welcome,
		options: SessionOptions & { readonly server: string | URL },
		environment: Environment,
	) {
		this.room = welcome.room;
		this.peer = welcome.peer;
		this.#view = new RoomView(welcome);
		this.#credentials = new Credentials({
			environment,
			ask: () => {
				if (this.#line.stands) this.#line.send({ type: "refresh-ice" });
			},
			renewed: () => void this.#connections.renewAllocations(),
		});
		this.#connections = new Connections(options.transportPolicy ?? "all", {
			self: welcome.peer,
			environment,
			seal: options.seal ?? null,
			peers: this.#view.peers,
			iceServers: () => this.#credentials.servers,
			refreshIce: () => this.#credentials.refresh(),
			isAway: () => this.#line.status.kind === "reconnecting",
			send: (message) => this.#line.send(message) === null,
			began: (connection) => this.#events.emit("connection", connection),
		});
		this.#line = new Line(socket, welcome, {
			environment,
			address: socketAddress(options.server),
			heard: (message) => this.#onMessage(message),
			resumed: (message, facts) => this.#onResumed(message, facts),
			resynced: (message, facts) => this.#onResynced(message, facts),
			roomy: () => this.#connections.onLine({ kind: "whole" }),
			became: (status) => this.#onStatus(status),
		});
		this.#credentials.accept(welcome.iceServers, welcome.iceExpiresAt);
		this.#undo = [
			environment.onNetworkChange(() => this.#onNetworkChange()),
			environment.onPageEnd(() => this.leave()),
		];
	}

	/** What this side is in the room. */
	get role(): Role {
		return this.#view.role;
	}

	/** When the room ends, in milliseconds since 1970. */
	get expiresAt(): number {
		return this.#view.expiresAt;
	}

	/** The other peers of the room. */
	get peers(): ReadonlyMap<string, Peer> {
		return this.#view.peers;
	}

	/** The room's state, by key. */
	get state(): ReadonlyMap<string, StateEntry> {
		return this.#view.state;
	}

	/** Whether the room is closed to newcomers. */
	get locked(): boolean {
		return this.#view.locked;
	}

	/** Whether guests wait until a host admits them. */
	get lobby(): boolean {
		return this.#view.lobby;
	}

	/** For hosts: who waits to be let in. */
	get waiting(): ReadonlyMap<string, Knocker> {
		return this.#view.waiting;
	}

	/** The connections that have not ended, by peer. */
	get connections(): ReadonlyMap<string, Connection> {
		return this.#connections.byPeer;
	}

	/** Which candidates may be used. */
	get transportPolicy(): TransportPolicy {
		return this.#connections.policy;
	}

	/** How it stands with its room. */
	get status(): Status {
		return this.#line.status;
	}

	/** How the session ended; null while it goes on. */
	get closed(): Closed | null {
		const { status } = this.#line;
		return status.kind === "closed" ? status.closed : null;
	}

	/** How many events came twice and were dropped. */
	get duplicates(): number {
		return this.#line.duplicates;
	}

	/** Subscribes; the returned function ends the subscription. */
	on<K extends keyof SessionEvents>(name: K, listener: (event: SessionEvents[K]) => void): Undo {
		return this.#events.on(name, listener);
	}

	/** The connection to a peer, made if there is none. Both sides may call it; crossing offers are settled. @throws {CausewayError} */
	connect(peer: string): Connection {
		const existing = this.#connections.byPeer.get(peer);
		if (existing === undefined && this.closed !== null) throw refusal("closed");
		return this.#connections.connect(peer);
	}

	/**
	 * Another connection to a peer, beside the one there is: the way to another path where ICE would keep the old
	 * one, as Chromium keeps a direct pair after a switch to the relay. The other side is told by `connection`.
	 * The old one goes on until the app, having moved everything, closes it. @throws {CausewayError}
	 */
	reconnect(peer: string): Connection {
		if (this.closed !== null) throw refusal("closed");
		return this.#connections.reconnect(peer);
	}

	/**
	 * Sends the application's own data to one peer, or to all others. Any JSON; small, and not a path for bulk. It waits
	 * while the server cannot be reached, and arrives once. @throws {CausewayError} `outgoing-full`, `too-large`, `closed`
	 */
	sendApp(data: unknown, to?: string): void {
		// JSON has no `undefined`, and a message without data would be none.
		const message = { type: "app", data: data ?? null } as const;
		this.#send(to === undefined ? message : { ...message, to });
	}

	/** Sets an entry of the room's state, which everybody has, newcomers too: any JSON up to 8 KiB. @throws {CausewayError} */
	setState(key: string, value: unknown, wish: { readonly ttlSeconds?: number } = {}): void {
		this.#send({ type: "set-state", key, value, ...wish });
	}

	/** Deletes an entry of the room's state. @throws {CausewayError} */
	deleteState(key: string): void {
		this.#send({ type: "set-state", key });
	}

	/** Lets somebody in who waits. For hosts. @throws {CausewayError} */
	admit(peer: string): void {
		this.#send({ type: "admit", peer });
	}

	/** Sends somebody away who waits. For hosts. @throws {CausewayError} */
	deny(peer: string): void {
		this.#send({ type: "deny", peer });
	}

	/** Sends a peer away, for good with `ban`. For hosts. @throws {CausewayError} */
	kick(peer: string, wish: { readonly ban?: boolean; readonly reason?: string } = {}): void {
		this.#send({ type: "kick", peer, ...wish });
	}

	/** Lets nobody new in. For hosts. @throws {CausewayError} */
	lock(): void {
		this.#send({ type: "lock", locked: true });
	}

	/** Lets others in again. For hosts. @throws {CausewayError} */
	unlock(): void {
		this.#send({ type: "lock", locked: false });
	}

	/** Becomes a host with the room's host token; `peer-role` tells when. @throws {CausewayError} */
	claimHost(token: string): void {
		this.#send({ type: "claim-host", token });
	}

	/** Sets which candidates count from the next ICE generation on, without beginning one. */
	applyTransportPolicy(policy: TransportPolicy): void {
		this.#connections.applyPolicy(policy);
	}

	/**
	 * Switches all connections to the policy by an ICE restart; the other side follows with `applyTransportPolicy`.
	 * Browsers may keep a direct pair that works although only the relay is allowed from here on: see `reconnect`.
	 */
	switchTransportPolicy(policy: TransportPolicy): void {
		this.#connections.applyPolicy(policy);
		this.#connections.restart();
	}

	/** Leaves the room for good and closes every connection. Also done by itself when the page goes. */
	leave(): void {
		this.#connections.closeAll();
		this.#line.leave();
	}

	#send(message: Counted): void {
		const reason = this.#line.send(message);
		if (reason !== null) throw refusal(reason);
	}

	#onMessage(message: RoomEvent | Notice): void {
		switch (message.type) {
			case "offer":
			case "answer":
			case "candidate":
			case "end-of-candidates":
				return this.#connections.onSignal(message.from, message);
			case "app":
				return this.#events.emit("app", { from: message.from, data: message.data });
			case "ice-servers":
				return this.#onIceServers(message);
			case "relay-usage":
				return this.#events.emit("relay-usage", message);
			case "error":
				return this.#events.emit("refused", new CausewayError(message.code, message.message));
			case "peer-joined":
			case "peer-left":
			case "peer-role":
			case "state":
			case "locked":
			case "knock":
			case "knock-gone":
				return this.#tell(this.#view.apply(message));
		}
	}

	/** Tells the app what changed in the room. */
	#tell(changes: readonly ViewChange[]): void {
		for (const change of changes) {
			switch (change.kind) {
				case "peer-joined":
					this.#events.emit("peer-joined", change.peer);
					break;
				case "peer-left": {
					const { peer, reason } = change;
					// First the cause and then what it leads to: who hears that a connection closed knows why.
					this.#events.emit("peer-left", { peer, reason });
					// Somebody who lost only the server may still be reached; ICE finds out.
					if (reason === "left" || reason === "refused" || reason === "kicked") {
						this.#connections.close(peer.id, "peer-left");
					}
					break;
				}
				case "peer-role":
					this.#events.emit("peer-role", { peer: change.peer, role: change.role });
					break;
				case "state":
					this.#events.emit("state", { key: change.key, entry: change.entry, by: change.by });
					break;
				case "locked":
					this.#events.emit("locked", { locked: change.locked, by: change.by });
					break;
				case "knock":
					this.#events.emit("knock", change.peer);
					break;
				case "knock-gone":
					this.#events.emit("knock-gone", change.peer);
					break;
			}
		}
	}

	#onIceServers({ iceServers, iceExpiresAt }: Pick<EntryGrant, "iceServers" | "iceExpiresAt">): void {
		this.#credentials.accept(iceServers, iceExpiresAt);
		this.#connections.applyConfiguration();
	}

	#onResumed(message: Resumed, facts: SessionEvents["resumed"]): void {
		this.#onIceServers(message);
		this.#afterMove();
		this.#connections.onLine({ kind: "whole" });
		this.#events.emit("resumed", facts);
	}

	#onResynced(message: Resync, facts: SessionEvents["resynced"]): void {
		this.#onIceServers(message);
		this.#afterMove();
		this.#tell(this.#view.replace(message));
		this.#connections.onLine({ kind: "lossy", unsure: facts.unsure });
		this.#events.emit("resynced", facts);
	}

	#onNetworkChange(): void {
		if (this.#line.status.kind === "reconnecting") this.#moved = true;
		else this.#connections.restart();
	}

	#afterMove(): void {
		if (this.#moved) this.#connections.restart();
		this.#moved = false;
	}

	#onStatus(status: Status): void {
		this.#events.emit("status", status);
		if (status.kind !== "closed") return;
		this.#credentials.end();
		for (const undo of this.#undo) undo();
		this.#connections.onLine({ kind: "closed" });
		this.#events.emit("closed", status.closed);
	}
}

function refusal(reason: "full" | "too-large" | "closed"): CausewayError {
	switch (reason) {
		case "full":
			return new CausewayError(
				"outgoing-full",
				"Too much waits for the server; try again when the session's status is “connected”.",
			);
		case "too-large":
			return new CausewayError(
				"too-large",
				"The message is larger than the server accepts; send it over a channel.",
			);
		case "closed":
			return new CausewayError("closed", "The session has ended; join again.");
	}
}
