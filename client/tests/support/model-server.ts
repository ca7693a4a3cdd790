//! A small server that follows docs/protocol.md for one member, Alice, over a network that breaks at any moment: what it
//! says and hears travels message by message, and whatever is on its way when a WebSocket breaks is gone.

import { isRecord } from "../../src/guard.ts";
import type { FakeSocket } from "./environment.ts";

/** Numbers in [0, 1) from a seed (Mulberry32, public domain). */
export function randomFrom(seed: number): () => number {
	let state = seed >>> 0;
	return () => {
		state = (state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(state ^ (state >>> 15), state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
	};
}

const FAR = 4_000_000_000;
// Small, so that a client is often away for longer than it reaches.
const RING = 6;

/** One WebSocket on its way: what was written and has not arrived. */
interface Wire {
	readonly socket: FakeSocket;
	readonly toServer: unknown[];
	readonly toClient: object[];
	opened: boolean;
	/** The network broke; nothing arrives any more, and the client has not noticed. */
	broken: boolean;
}

type Numbered = object & { readonly seq: number };

/** The server, and the network between it and Alice. */
export class ModelServer {
	/** Everything that Alice was told to process, in order. */
	readonly processed: unknown[] = [];
	/** The latest data event for Alice. */
	latest = 0;
	readonly #random: () => number;
	readonly #others = new Set(["bob"]);
	#wires: Wire[] = [];
	/** The WebSocket that Alice's place belongs to. */
	#seat: Wire | null = null;
	#epoch = 1;
	/** The epochs whose numbers go on in this one. */
	#lineage = new Set([1]);
	#seq = 0;
	#ring: Numbered[] = [];
	/** Events before this number are not in the ring any more. */
	#floor = 0;
	#generation = 1;
	#used = 0;
	/** How many messages were counted; null: nobody knows. */
	#received: number | null = 0;
	/** The generation of the token with which counting began: who comes with an older one has not heard that it did. */
	#countedFrom = 0;
	#names = 0;
	resyncs = 0;
	resumes = 0;

	constructor(random: () => number) {
		this.#random = random;
	}

	/** Who else is in the room. */
	get others(): ReadonlySet<string> {
		return this.#others;
	}

	/** Whether nothing is on its way. */
	get quiet(): boolean {
		return this.#wires.every(
			({ broken, opened, toClient, toServer }) =>
				!broken && opened && toClient.length + toServer.length === 0,
		);
	}

	/** A WebSocket of the client's. */
	accept(socket: FakeSocket): void {
		const wire: Wire = { socket, toServer: [], toClient: [], opened: false, broken: false };
		this.#wires.push(wire);
		socket.onSent = (message) => {
			if (!wire.broken) wire.toServer.push(message);
		};
	}

	/** The network does one thing: opens, carries one message, or tells of a break. False if there is nothing to do. */
	carry(): boolean {
		for (const wire of this.#wires.filter(({ socket }) => socket.closedByClient)) this.#drop(wire);
		const able = this.#wires.filter(
			({ opened, broken, toServer, toClient }) => !opened || broken || toServer.length + toClient.length > 0,
		);
		const wire = able[Math.floor(this.#random() * able.length)];
		if (wire === undefined) return false;
		if (wire.broken) {
			this.#drop(wire);
			wire.socket.closes(1006);
			return true;
		}
		if (!wire.opened) {
			wire.opened = true;
			wire.socket.opens();
			return true;
		}
		const down = wire.toServer.length === 0 || (wire.toClient.length > 0 && this.#random() < 0.5);
		if (down) {
			const message = wire.toClient.shift();
			if (message !== undefined) wire.socket.hears(message);
		} else this.#onMessage(wire, wire.toServer.shift());
		return true;
	}

	/** The network breaks: some of what was on its way still arrives, the rest is gone. */
	cut(): void {
		for (const wire of this.#wires.filter(({ broken }) => !broken)) {
			wire.toServer.length = Math.floor(this.#random() * (wire.toServer.length + 1));
			while (wire.toServer.length > 0) this.#onMessage(wire, wire.toServer.shift());
			wire.toClient.length = 0;
			wire.broken = true;
		}
	}

	/** Something happens in the room. */
	act(): void {
		const luck = this.#random();
		if (luck < 0.5) this.#event({ type: "app", from: "bob", data: ++this.latest });
		else if (luck < 0.7) this.#seq += 1;
		else if (luck < 0.85) {
			const id = `guest-${++this.#names}`;
			this.#others.add(id);
			this.#event({ type: "peer-joined", peer: { id, role: "guest", youAre: "impolite" } });
		} else {
			const [, gone] = [...this.#others];
			if (gone === undefined) return;
			this.#others.delete(gone);
			this.#event({ type: "peer-left", peer: gone, reason: "left" });
		}
	}

	/** The room gets another owner; a socket that stands is told, and what it may not have got goes there again. */
	handOver(): void {
		this.#epoch += 1;
		this.#lineage.add(this.#epoch);
		if (this.#seat === null) return;
		this.#write(this.#seat, this.#resumed());
		for (const event of this.#ring) this.#write(this.#seat, event);
	}

	/** The owner dies; the next one knows who is there, and (`counts`) what the edges counted, and no event before. */
	failOver(counts: boolean): void {
		this.#epoch += 1 + Math.floor(this.#random() * 3);
		this.#lineage = new Set([this.#epoch]);
		this.#seq = Math.floor(this.#random() * 5);
		this.#floor = this.#seq;
		this.#ring = [];
		if (!counts) this.#received = null;
		if (this.#seat !== null) this.#write(this.#seat, this.#resync());
	}

	#event(event: object): void {
		this.#seq += 1;
		const numbered = { ...event, seq: this.#seq };
		this.#ring.push(numbered);
		const oldest = this.#ring.length > RING ? this.#ring.shift() : undefined;
		if (oldest !== undefined) this.#floor = oldest.seq;
		if (this.#seat !== null) this.#write(this.#seat, numbered);
	}

	#onMessage(wire: Wire, message: unknown): void {
		if (!isRecord(message)) throw new Error("a client says objects");
		switch (message["type"]) {
			case "hello":
				this.#seat = wire;
				return this.#write(wire, { type: "welcome", version: 1, ...this.#snapshot(), ...this.#grant() });
			case "resume":
				return this.#onResume(wire, message);
			case "ping":
				if (wire !== this.#seat) return;
				return this.#write(wire, { type: "pong", nonce: message["nonce"], received: this.#received ?? 0 });
			default:
				// What is left of a WebSocket that another one displaced is nobody's.
				if (wire !== this.#seat) return;
				if (this.#received !== null) this.#received += 1;
				if (message["type"] === "app") this.processed.push(message["data"]);
		}
	}

	#onResume(wire: Wire, message: Record<string, unknown>): void {
		const { token, epoch, seq } = message;
		const generation = Number(token);
		if (generation < this.#used) throw new Error(`token ${generation} after ${this.#used} was used`);
		if (Number(epoch) > this.#epoch) throw new Error("a position that never was");
		// Who has heard of the present owner cannot be fooled by the one before.
		if (Number(epoch) === this.#epoch && this.#epoch > 1 && this.#random() < 0.1) return this.#zombie(wire);
		this.#used = generation;
		this.#seat = wire;
		if (generation < this.#countedFrom) this.#received = null;
		if (!this.#lineage.has(Number(epoch)) || Number(seq) < this.#floor || this.#received === null) {
			this.#write(wire, this.#resync());
			if (this.#received === null) {
				this.#received = 0;
				this.#countedFrom = this.#generation;
			}
			return;
		}
		this.#write(wire, this.#resumed());
		for (const event of this.#ring.filter((each) => each.seq > Number(seq))) this.#write(wire, event);
	}

	/** A node that has not noticed yet that it lost the room. */
	#zombie(wire: Wire): void {
		const epoch = this.#epoch - 1;
		const known = this.#random() < 0.5;
		const lie = known
			? { type: "resumed", epoch, seq: 0, received: 1_000, ...this.#grant() }
			: { type: "resync", ...this.#snapshot(), epoch, seq: 0, peers: [], received: 1_000, ...this.#grant() };
		this.#write(wire, { ...lie, resumeToken: "0" });
		this.#write(wire, { type: "app", seq: 100_000, from: "bob", data: "a zombie's" });
	}

	#resumed(): object {
		this.resumes += 1;
		return {
			type: "resumed",
			epoch: this.#epoch,
			seq: this.#seq,
			received: this.#received ?? 0,
			...this.#grant(),
		};
	}

	#resync(): object {
		this.resyncs += 1;
		return {
			type: "resync",
			...this.#snapshot(),
			...(this.#received === null ? {} : { received: this.#received }),
			...this.#grant(),
		};
	}

	#snapshot(): object {
		return {
			room: "kitchen",
			peer: "alice",
			role: "guest",
			epoch: this.#epoch,
			seq: this.#seq,
			peers: [...this.#others].map((id) => ({ id, role: "guest", youAre: "polite" })),
			// How far the data events are that this snapshot stands for: for the checker alone.
			state: [{ key: "latest", value: this.latest, by: "bob" }],
			locked: false,
			lobby: false,
			waiting: [],
			expiresAt: FAR,
		};
	}

	#grant(): object {
		this.#generation += 1;
		return {
			resumeToken: String(this.#generation),
			resumeSeconds: 30,
			iceServers: [],
			iceExpiresAt: FAR,
		};
	}

	#write(wire: Wire, message: object): void {
		if (!wire.broken) wire.toClient.push(message);
	}

	#drop(wire: Wire): void {
		this.#wires = this.#wires.filter((other) => other !== wire);
		if (this.#seat === wire) this.#seat = null;
	}
}
