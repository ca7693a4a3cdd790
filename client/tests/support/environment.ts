//! Surroundings that a test owns.

import type { Environment, Socket } from "../../src/environment.ts";
import { isRecord } from "../../src/guard.ts";
import { ManualClock } from "./clock.ts";
import { FakePeerConnection, isPeerConnection } from "./peer-connection.ts";

/** The server's end of a WebSocket. */
export class FakeSocket {
	readonly sent: unknown[] = [];
	/** Called for every ping, as a living server answers it. */
	onPing: ((nonce: unknown) => void) | null = null;
	closedByClient = false;
	onopen: Socket["onopen"] = null;
	onmessage: Socket["onmessage"] = null;
	onclose: Socket["onclose"] = null;

	send(data: unknown): void {
		const message: unknown = JSON.parse(String(data));
		this.sent.push(message);
		if (isRecord(message) && message["type"] === "ping") this.onPing?.(message["nonce"]);
	}

	close(): void {
		this.closedByClient = true;
	}

	/** The types of what the client sent. */
	get types(): unknown[] {
		return this.sent.map((message) => (isRecord(message) ? message["type"] : null));
	}
}

function isSocket(value: unknown): value is Socket & WebSocket {
	return value instanceof FakeSocket;
}

/** Surroundings in which nothing happens by itself. */
export class FakeEnvironment implements Environment {
	readonly clock = new ManualClock();
	readonly socket = new FakeSocket();
	readonly connections: FakePeerConnection[] = [];
	readonly requests: { url: string; init: RequestInit }[] = [];
	response: () => Response = () =>
		Response.json({ token: "token", peer: "alice", role: "host", expiresAt: 1_800_000_000 });
	address = "";
	readonly now = this.clock.now;
	readonly after = this.clock.after;
	#networkChange: (() => void) | null = null;

	constructor() {
		this.socket.onPing = (nonce) => this.say({ type: "pong", nonce });
	}

	async fetch(url: string, init: RequestInit): Promise<Response> {
		this.requests.push({ url, init });
		return this.response();
	}

	openSocket(url: string): Socket {
		this.address = url;
		return this.#typed();
	}

	createPeerConnection(configuration: RTCConfiguration): RTCPeerConnection {
		const connection = new FakePeerConnection(configuration);
		this.connections.push(connection);
		if (!isPeerConnection(connection)) throw new Error("the fake is one");
		return connection;
	}

	random(): number {
		return 0;
	}

	onNetworkChange(call: () => void): () => void {
		this.#networkChange = call;
		return () => {
			this.#networkChange = null;
		};
	}

	/** The device gets another network. */
	changeNetwork(): void {
		this.#networkChange?.();
	}

	/** Whether anybody still listens for network changes. */
	get watched(): boolean {
		return this.#networkChange !== null;
	}

	/** The WebSocket opens. */
	open(): void {
		const socket = this.#typed();
		socket.onopen?.call(socket, new Event("open"));
	}

	/** The server says something. */
	say(message: object | string): void {
		const socket = this.#typed();
		const data = typeof message === "string" ? message : JSON.stringify(message);
		socket.onmessage?.call(socket, new MessageEvent("message", { data }));
	}

	/** The WebSocket closes. */
	closeSocket(code: number, reason = ""): void {
		const socket = this.#typed();
		socket.onclose?.call(
			socket,
			Object.assign(new Event("close"), { code, reason, wasClean: code !== 1006 }),
		);
	}

	#typed(): Socket & WebSocket {
		const socket: unknown = this.socket;
		if (!isSocket(socket)) throw new Error("the fake is one");
		return socket;
	}
}
