//! Surroundings that a test owns.

import type { Environment, Socket } from "../../src/environment.ts";
import { isRecord } from "../../src/guard.ts";
import { ManualClock } from "./clock.ts";
import { FakePeerConnection, isPeerConnection } from "./peer-connection.ts";

/** The server's end of a WebSocket. */
export class FakeSocket {
	readonly sent: unknown[] = [];
	/** Called for every message of the client. */
	onSent: ((message: unknown) => void) | null = null;
	/** The code that the client closed with. */
	closeCode: number | null = null;
	#closed = false;
	onopen: Socket["onopen"] = null;
	onmessage: Socket["onmessage"] = null;
	onclose: Socket["onclose"] = null;

	send(data: unknown): void {
		const message: unknown = JSON.parse(String(data));
		this.sent.push(message);
		this.onSent?.(message);
	}

	close(code = 1005): void {
		this.closeCode ??= code;
	}

	/** Whether the client closed it. */
	get closedByClient(): boolean {
		return this.closeCode !== null;
	}

	/** The types of what the client sent. */
	get types(): unknown[] {
		return this.sent.map((message) => (isRecord(message) ? message["type"] : null));
	}

	/** It opens. */
	opens(): void {
		const socket = typed(this);
		socket.onopen?.call(socket, new Event("open"));
	}

	/** The server says something. */
	hears(message: object | string): void {
		const socket = typed(this);
		const data = typeof message === "string" ? message : JSON.stringify(message);
		socket.onmessage?.call(socket, new MessageEvent("message", { data }));
	}

	/** It closes, by the server or with the network. */
	closes(code: number, reason = ""): void {
		if (this.#closed) return;
		this.#closed = true;
		const socket = typed(this);
		socket.onclose?.call(
			socket,
			Object.assign(new Event("close"), { code, reason, wasClean: code !== 1006 }),
		);
	}
}

function isSocket(value: unknown): value is Socket & WebSocket {
	return value instanceof FakeSocket;
}

function typed(socket: unknown): Socket & WebSocket {
	if (!isSocket(socket)) throw new Error("the fake is one");
	return socket;
}

/** Surroundings in which nothing happens by itself. */
export class FakeEnvironment implements Environment {
	readonly clock = new ManualClock();
	/** Every WebSocket that was opened, the latest last. */
	readonly sockets: FakeSocket[] = [];
	readonly connections: FakePeerConnection[] = [];
	readonly requests: { url: string; init: RequestInit }[] = [];
	response: () => Response = () =>
		Response.json({ token: "token", peer: "alice", role: "host", expiresAt: 1_800_000_000 });
	address = "";
	/** What the browser believes about the network. */
	online = true;
	/** What `random` gives. */
	luck = 0;
	/** What the server counted of what this client said; pongs tell it. */
	received = 0;
	/** As a living server does. */
	answersPings = true;
	/** Called for every WebSocket that is opened. */
	onSocket: ((socket: FakeSocket) => void) | null = null;
	readonly now = this.clock.now;
	readonly after = this.clock.after;
	readonly #networkChange = new Set<() => void>();
	readonly #pageEnd = new Set<() => void>();

	/** The latest WebSocket. */
	get socket(): FakeSocket {
		const socket = this.sockets.at(-1);
		if (socket === undefined) throw new Error("no WebSocket was opened");
		return socket;
	}

	async fetch(url: string, init: RequestInit): Promise<Response> {
		this.requests.push({ url, init });
		return this.response();
	}

	openSocket(url: string): Socket {
		this.address = url;
		const socket = new FakeSocket();
		socket.onSent = (message) => {
			if (!this.answersPings || !isRecord(message) || message["type"] !== "ping") return;
			socket.hears({ type: "pong", nonce: message["nonce"], received: this.received });
		};
		this.sockets.push(socket);
		this.onSocket?.(socket);
		return typed(socket);
	}

	createPeerConnection(configuration: RTCConfiguration): RTCPeerConnection {
		const connection = new FakePeerConnection(configuration);
		this.connections.push(connection);
		if (!isPeerConnection(connection)) throw new Error("the fake is one");
		return connection;
	}

	random(): number {
		return this.luck;
	}

	isOnline(): boolean {
		return this.online;
	}

	onNetworkChange(call: () => void): () => void {
		this.#networkChange.add(call);
		return () => this.#networkChange.delete(call);
	}

	onPageEnd(call: () => void): () => void {
		this.#pageEnd.add(call);
		return () => this.#pageEnd.delete(call);
	}

	/** The device gets another network. */
	changeNetwork(): void {
		for (const call of this.#networkChange) call();
	}

	/** The page is closed. */
	endPage(): void {
		for (const call of this.#pageEnd) call();
	}

	/** Whether anybody still listens for network changes, or for the end of the page. */
	get watched(): boolean {
		return this.#networkChange.size + this.#pageEnd.size > 0;
	}

	/** The latest WebSocket opens. */
	open(): void {
		this.socket.opens();
	}

	/** The server says something on the latest WebSocket. */
	say(message: object | string): void {
		this.socket.hears(message);
	}

	/** The latest WebSocket closes. */
	closeSocket(code: number, reason = ""): void {
		this.socket.closes(code, reason);
	}
}
