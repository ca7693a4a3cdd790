//! The line to the room, which goes on while its WebSockets come and go: it reconnects by itself, brings every event
//! once, and says every message once. docs/protocol.md, "When a WebSocket breaks".

import { backoff } from "./backoff.ts";
import { CLOSE_CODES, isFinal, mayRejoin } from "./codes.ts";
import type { Environment, Socket } from "./environment.ts";
import type { Undo } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";
import {
	type EntryGrant,
	encode,
	type Notice,
	PROTOCOL_VERSION,
	type Resumed,
	type Resync,
	type RoomEvent,
	SUBPROTOCOL,
	type Welcome,
} from "./messages.ts";
import { type Counted, Outgoing, type OutgoingRefusal } from "./outgoing.ts";
import { decode } from "./parse.ts";
import { Position } from "./position.ts";

/** How the session ended. Connections that stand go on without it; only renegotiation is gone. */
export interface Closed {
	/** The WebSocket's close code (RFC 6455 §7.4; ours are in `CLOSE_CODES`). */
	readonly code: number;
	/** For programs. */
	readonly reason: string;
	/** What the server said about it, one sentence for people, such as why a host sent this side away; null: nothing. */
	readonly message: string | null;
	/** Whether joining again makes sense. */
	readonly reconnect: boolean;
}

/** How the session stands with its room. */
export type Status =
	| { readonly kind: "connected" }
	/** The room's nodes cannot reach one another, since then (milliseconds since 1970): what is said waits or is refused. */
	| { readonly kind: "degraded"; readonly since: number }
	/** The WebSocket broke, then; a new one is being made, the `attempt`-th, counted from 1. What is said waits. */
	| { readonly kind: "reconnecting"; readonly since: number; readonly attempt: number }
	| { readonly kind: "closed"; readonly closed: Closed };

/** What a line needs, and whom it tells. */
export interface LineParts {
	readonly environment: Environment;
	/** The signaling WebSocket's address. */
	readonly address: string;
	/** Something for the session; each event once. */
	heard(message: RoomEvent | Notice): void;
	/** Nothing was lost. */
	resumed(message: Resumed, facts: { readonly awayMs: number; readonly repeated: number }): void;
	/** Events may be lost, and nobody knows whether the room heard what is in `unsure`. */
	resynced(message: Resync, facts: { readonly awayMs: number; readonly unsure: readonly Counted[] }): void;
	/** There is space again after a message was refused. */
	roomy(): void;
	became(status: Status): void;
}

type Link =
	/** Both sides know how far the other is. */
	| {
			readonly kind: "standing";
			readonly socket: Socket;
			readonly since: number;
			readonly heartbeat: Heartbeat;
	  }
	/** The socket opens, or the server has not answered `resume` yet. */
	| {
			readonly kind: "resuming";
			readonly socket: Socket;
			readonly startedAt: number;
			readonly deadline: Undo;
	  }
	/** For the next attempt. */
	| { readonly kind: "waiting"; readonly timer: Undo }
	| { readonly kind: "ended" };

// How long a WebSocket may take to open: TCP's first retransmissions (RFC 6298: 1, 2, 4 s) fit in.
const OPENING_MS = 10_000;
// How long a server may then take to answer. One whose room has just lost its owner answers when there is another: when the lease
// of the dead one is over (8 s) and everybody has said who is there (2 s).
const ANSWER_MS = 15_000;
// A line that stood this long was no accident: the next break begins with an attempt at once.
const STEADY_MS = 10_000;
// Beyond the time for which the server keeps the place: it may still take us back with a snapshot, or say no.
const PATIENCE_MS = 30_000;

// RFC 6455 §7.1.5: a connection that broke without a close frame.
const BROKEN = 1006;
// What this client says when it gives a socket up and comes back on another: any other code would mean that it leaves.
const WILL_RESUME = 4000;

/** The line of one session, from its `welcome` on. */
export class Line {
	readonly #parts: LineParts;
	readonly #position: Position;
	readonly #outgoing = new Outgoing();
	readonly #undo: Undo;
	#token: string;
	#resumeMs: number;
	#link: Link;
	#status: Status = { kind: "connected" };
	#lostAt = 0;
	#attempts = 0;
	/** What the server said before it closed. */
	#farewell: Omit<Closed, "message"> | null = null;
	/** What it said about the connection itself, rather than about one message. */
	#complaint: string | null = null;
	/** The server was asked how much it has, and has not answered. */
	#asked = false;
	#refused = false;

	constructor(socket: Socket, welcome: Welcome, parts: LineParts) {
		this.#parts = parts;
		this.#position = new Position(welcome.epoch, welcome.seq);
		this.#token = welcome.resumeToken;
		this.#resumeMs = welcome.resumeSeconds * 1000;
		this.#listen(socket);
		this.#link = this.#standing(socket);
		this.#undo = parts.environment.onNetworkChange(() => this.#onNetworkChange());
	}

	/** How it stands. */
	get status(): Status {
		return this.#status;
	}

	/** Whether what is said reaches the server now. */
	get stands(): boolean {
		return this.#link.kind === "standing";
	}

	/** How many events came twice and were dropped. */
	get duplicates(): number {
		return this.#position.duplicates;
	}

	/** Says it, now or when the line stands again; null if it was taken, else why not. */
	send(message: Counted): OutgoingRefusal | "closed" | null {
		if (this.#link.kind === "ended") return "closed";
		const refusal = this.#outgoing.push(message);
		if (refusal === null) this.#flush();
		else if (refusal === "full") this.#refused = true;
		return refusal;
	}

	/** Leaves the room for good. */
	leave(): void {
		const link = this.#link;
		if (link.kind === "standing") link.socket.send(encode({ type: "leave" }));
		this.#end({ code: CLOSE_CODES.left, reason: "left", message: null, reconnect: false });
	}

	#flush(): void {
		const link = this.#link;
		if (link.kind !== "standing") return;
		for (let text = this.#outgoing.next(); text !== null; text = this.#outgoing.next())
			link.socket.send(text);
		if (this.#asked || !this.#outgoing.many) return;
		this.#asked = true;
		link.heartbeat.ask();
	}

	#onMessage(data: unknown): void {
		const message = decode(data);
		const link = this.#link;
		if (link.kind === "standing") link.heartbeat.heard();
		// A type that this client does not know is a newer server's; it is for others to understand.
		if (message === null) return;
		switch (message.type) {
			case "resumed":
				return this.#onResumed(message);
			case "resync":
				return this.#onResync(message);
			case "closing": {
				const { code, reason, reconnect } = message;
				this.#farewell = { code, reason, reconnect };
				return;
			}
			case "pong":
				this.#asked = false;
				return this.#confirm(message.received);
			case "degraded":
				if (link.kind === "standing") this.#become({ kind: "degraded", since: message.since * 1000 });
				return;
			case "recovered":
				if (link.kind === "standing") this.#become({ kind: "connected" });
				return;
			case "welcome":
			case "waiting":
				return;
			case "error":
				if (message.refused === undefined) this.#complaint = message.message;
				if (link.kind === "standing") this.#parts.heard(message);
				return;
			case "ice-servers":
			case "relay-usage":
				if (link.kind === "standing") this.#parts.heard(message);
				return;
			default:
				if (link.kind === "standing" && this.#position.take(message.seq)) this.#parts.heard(message);
		}
	}

	#onResumed(message: Resumed): void {
		if (!this.#position.follow(message.epoch)) return this.#breakOff();
		const awayMs = this.#awayMs;
		const repeated = this.#greet(message, message.received);
		if (!this.stands) return;
		this.#parts.resumed(message, { awayMs, repeated });
		this.#flush();
	}

	#onResync(message: Resync): void {
		const { epoch, seq, received } = message;
		const standing = this.#link.kind === "standing";
		// What is on its way at this moment counts or does not, nobody knows which: another socket has a clear beginning.
		if (standing && received === undefined) return this.#breakOff();
		if (!this.#position.jump(epoch, seq)) return this.#breakOff();
		const facts = { awayMs: this.#awayMs, unsure: received === undefined ? this.#outgoing.restart() : [] };
		this.#greet(message, received ?? 0);
		if (!this.stands) return;
		this.#parts.resynced(message, facts);
		this.#flush();
	}

	/**
	 * The server said how far both are; how many messages it will be told again is returned. On a socket that stands,
	 * which happens when the room got another owner, what was written has arrived or will, and nothing is written again.
	 */
	#greet(grant: EntryGrant, received: number): number {
		this.#token = grant.resumeToken;
		this.#resumeMs = grant.resumeSeconds * 1000;
		const link = this.#link;
		if (link.kind !== "resuming") {
			this.#confirm(received);
			return 0;
		}
		link.deadline();
		this.#outgoing.align(received);
		const repeated = this.#outgoing.uttered;
		this.#link = this.#standing(link.socket);
		// Whoever listens may leave here and now.
		this.#become({ kind: "connected" });
		this.#makeRoom();
		return repeated;
	}

	get #awayMs(): number {
		return this.#link.kind === "resuming" ? this.#parts.environment.now() - this.#lostAt : 0;
	}

	#confirm(received: number): void {
		this.#outgoing.confirm(received);
		this.#makeRoom();
	}

	#makeRoom(): void {
		if (!this.#refused || this.#outgoing.many) return;
		this.#refused = false;
		this.#parts.roomy();
	}

	#standing(socket: Socket): Link {
		const { environment } = this.#parts;
		const heartbeat = new Heartbeat(
			environment,
			(nonce) => socket.send(encode({ type: "ping", nonce })),
			() => this.#breakOff(),
		);
		return { kind: "standing", socket, since: environment.now(), heartbeat };
	}

	#listen(socket: Socket): void {
		socket.onmessage = ({ data }) => this.#onMessage(data);
		socket.onclose = ({ code, reason }) => this.#onClose(code, reason);
	}

	#onClose(code: number, reason: string): void {
		const farewell = this.#farewell;
		if (farewell?.reconnect ?? !isFinal(code)) return this.#onBroken();
		const closed = farewell ?? { code, reason: reason || "connection-lost" };
		this.#end({ ...closed, message: this.#complaint, reconnect: mayRejoin(closed.code) });
	}

	/** Gives the socket of the moment up, and does not wait for its end: a dead network brings none for minutes. */
	#breakOff(): void {
		this.#abandon(WILL_RESUME);
		this.#onBroken();
	}

	/** The socket of the moment is no more, and the line goes on without it. */
	#onBroken(): void {
		const { environment } = this.#parts;
		const link = this.#link;
		const now = environment.now();
		if (link.kind === "standing") {
			this.#lostAt = now;
			if (now - link.since >= STEADY_MS) this.#attempts = 0;
		}
		this.#release();
		this.#farewell = null;
		this.#complaint = null;
		this.#outgoing.rewind();
		const tooLate = this.#lostAt + this.#resumeMs + PATIENCE_MS;
		if (link.kind === "resuming" && link.startedAt >= tooLate && environment.isOnline()) {
			return this.#end({ code: BROKEN, reason: "connection-lost", message: null, reconnect: true });
		}
		const timer = environment.after(
			backoff(this.#attempts, () => environment.random()),
			() => this.#open(),
		);
		this.#link = { kind: "waiting", timer };
		this.#become({ kind: "reconnecting", since: this.#lostAt, attempt: this.#attempts + 1 });
	}

	#open(): void {
		const { environment, address } = this.#parts;
		this.#attempts += 1;
		const socket = environment.openSocket(address, SUBPROTOCOL);
		const startedAt = environment.now();
		const within = (milliseconds: number) => {
			const deadline = environment.after(milliseconds, () => this.#breakOff());
			this.#link = { kind: "resuming", socket, startedAt, deadline };
		};
		within(OPENING_MS);
		this.#listen(socket);
		socket.onopen = () => {
			if (this.#link.kind === "resuming") this.#link.deadline();
			within(ANSWER_MS);
			const { epoch, seq } = this.#position;
			socket.send(encode({ type: "resume", version: PROTOCOL_VERSION, token: this.#token, epoch, seq }));
		};
	}

	#onNetworkChange(): void {
		const link = this.#link;
		switch (link.kind) {
			case "standing":
				// Its packets may go nowhere from here on, and nobody would tell for a while.
				return link.heartbeat.probe();
			case "resuming":
			case "waiting":
				break;
			case "ended":
				return;
		}
		this.#abandon(WILL_RESUME);
		this.#attempts = 0;
		this.#open();
		this.#become({ kind: "reconnecting", since: this.#lostAt, attempt: this.#attempts });
	}

	#end(closed: Closed): void {
		if (this.#link.kind === "ended") return;
		this.#abandon(CLOSE_CODES.left);
		this.#undo();
		this.#link = { kind: "ended" };
		this.#become({ kind: "closed", closed });
	}

	/** Closes the socket of the moment; what it says from here on is heard by nobody. */
	#abandon(code: number): void {
		const link = this.#link;
		if (link.kind === "standing" || link.kind === "resuming") link.socket.close(code);
		this.#release();
	}

	/** Takes everything back that hangs on the link of the moment. */
	#release(): void {
		const link = this.#link;
		this.#asked = false;
		switch (link.kind) {
			case "standing":
				link.heartbeat.stop();
				return forget(link.socket);
			case "resuming":
				link.deadline();
				return forget(link.socket);
			case "waiting":
				return link.timer();
			case "ended":
				return;
		}
	}

	#become(status: Status): void {
		this.#status = status;
		this.#parts.became(status);
	}
}

function forget(socket: Socket): void {
	socket.onopen = null;
	socket.onmessage = null;
	socket.onclose = null;
}
