//! One peer connection: perfect negotiation (W3C WebRTC §10.7), trickled candidates, and the ways back when it breaks.

import type { Environment } from "./environment.ts";
import { Emitter, type Undo } from "./events.ts";
import { type Candidate, type Politeness, toCandidate } from "./messages.ts";
import type { Counted } from "./outgoing.ts";
import { type Path, pathOf } from "./path.ts";
import { withGeneration } from "./sdp.ts";
import type { DescriptionSeal } from "./seal.ts";

/** Which candidates may be used: all, or only those on a relay. */
export type TransportPolicy = "all" | "relay";

/** Why a connection ended. */
export type EndReason =
	/** This side closed it. */
	| "closed"
	/** The other peer left the room. */
	| "peer-left"
	/** No way between the two was found, or none again after it broke. */
	| "unreachable"
	/** A description did not carry the proof that the link's key makes. */
	| "not-authentic";

/** How a connection stands. */
export type ConnectionState =
	| { readonly kind: "connecting" }
	| { readonly kind: "connected" }
	/** It stood and broke; a new way is being looked for. */
	| { readonly kind: "interrupted" }
	| { readonly kind: "ended"; readonly reason: EndReason };

/** What a connection tells. */
export interface ConnectionEvents {
	state: ConnectionState;
}

/** What a peer says about the connection, as the session passes it on. */
export type Signal =
	| { readonly type: "offer"; readonly sdp: string }
	| { readonly type: "answer"; readonly sdp: string }
	| { readonly type: "candidate"; readonly candidate: Candidate }
	| { readonly type: "end-of-candidates" };

/** What a connection is told about the line to the room. */
export type LineNews =
	/** It stands again, or has room again, and what both sides said arrives. */
	| { readonly kind: "whole" }
	/** It stands again. What others said may be lost, and the room may not have heard what is `unsure`. */
	| { readonly kind: "lossy"; readonly unsure: readonly Counted[] }
	/** It ended for good. */
	| { readonly kind: "closed" };

/** What a connection needs of its session. */
export interface ConnectionParts {
	/** This side's own id. */
	readonly self: string;
	readonly peer: string;
	/** Counts the connections between the two peers from 1. */
	readonly generation: number;
	readonly environment: Environment;
	readonly seal: DescriptionSeal | null;
	politeness(): Politeness;
	configuration(): RTCConfiguration;
	/** Whether the server cannot be reached now and will be: until then no new way can be agreed on. */
	isAway(): boolean;
	/** Asks the server for fresh credentials; resolves also when none come, so that the old ones are tried. */
	refreshIce(): Promise<void>;
	/** False if the message could not even be kept for later. */
	send(message: Counted): boolean;
	/** The connection has ended and may be forgotten. */
	ended(): void;
}

// A break of the network shorter than this heals by itself more often than not (transfer.md).
const PATIENCE_MS = 2_000;
// How long one attempt may take: gathering over a slow relay and the checks of RFC 8445 §14.3 fit in.
const ATTEMPT_MS = 15_000;
const ATTEMPTS = 3;
// A guess: browsers trickle 5 to 30 candidates a generation.
const MOST_EARLY_CANDIDATES = 256;

/** A connection to one peer of the room. Add channels and tracks to `pc`; negotiation happens by itself. */
export class Connection {
	/** The other peer's id. */
	readonly peer: string;
	/** The browser's connection. Negotiation, candidates and configuration are this class's; all else is the app's. */
	readonly pc: RTCPeerConnection;
	/** Counts the connections between the two peers from 1; a later one replaces the one before. */
	readonly generation: number;
	readonly #parts: ConnectionParts;
	readonly #events = new Emitter<ConnectionEvents>();
	#state: ConnectionState = { kind: "connecting" };
	#makingOffer = false;
	#ignoringOffer = false;
	#earlyCandidates: (RTCIceCandidateInit | null)[] = [];
	// What comes in is handled one after another, and so is what goes out: checking and making a proof take time.
	#inbox: Promise<void> = Promise.resolve();
	#outbox: Promise<void> = Promise.resolve();
	#attempts = 0;
	#timer: Undo = () => {};
	#superseded = false;
	/** An attempt is due and waits for the server to be reachable. */
	#held = false;
	/** Something that had to be said was not taken. */
	#unsaid = false;

	/** Sessions make connections; apps call `session.connect`. */
	constructor(parts: ConnectionParts) {
		this.#parts = parts;
		this.peer = parts.peer;
		this.generation = parts.generation;
		this.pc = parts.environment.createPeerConnection(parts.configuration());
		this.pc.onnegotiationneeded = () => this.#offer();
		this.pc.onicecandidate = ({ candidate }) => this.#onLocalCandidate(candidate);
		this.pc.onconnectionstatechange = () => this.#onConnectionState();
		this.#timer = parts.environment.after(ATTEMPT_MS, () => this.#retry());
	}

	/** How it stands. */
	get state(): ConnectionState {
		return this.#state;
	}

	/** Subscribes; the returned function ends the subscription. */
	on<K extends keyof ConnectionEvents>(name: K, listener: (event: ConnectionEvents[K]) => void): Undo {
		return this.#events.on(name, listener);
	}

	/** The way that bytes take at this moment; null while there is none. */
	async path(): Promise<Path | null> {
		return this.#state.kind === "ended" ? null : pathOf(await this.pc.getStats());
	}

	/** Takes over the session's configuration; it counts from the next ICE generation on. */
	applyConfiguration(): void {
		if (this.#state.kind !== "ended") this.pc.setConfiguration(this.#parts.configuration());
	}

	/** Looks for a new way with fresh credentials, while the old one goes on as long as it can. */
	async restart(): Promise<void> {
		await this.#parts.refreshIce();
		if (this.#silent) return;
		this.applyConfiguration();
		this.pc.restartIce();
		// The browser offers anew only when this one is answered; if it got lost, that is now or never.
		this.#repeat("have-local-offer");
	}

	/** The line to the room has news. What works is left alone: it does not need the server. */
	onLine(news: LineNews): void {
		if (this.#silent) return;
		const due = this.#held;
		this.#held = false;
		const connected = this.#state.kind === "connected";
		switch (news.kind) {
			case "whole":
				if (this.#unsaid) this.#sayAgain();
				break;
			case "lossy":
				this.#repeat("have-local-offer");
				if (news.unsure.some((message) => message.type === "answer" && message.to === this.peer)) {
					this.#repeat("stable");
				}
				break;
			case "closed":
				break;
		}
		if (connected || (news.kind !== "lossy" && !due)) return;
		this.#timer();
		this.#attempts = 0;
		this.#retry();
	}

	/** Closes the connection for good. */
	close(reason: EndReason = "closed"): void {
		if (this.#state.kind === "ended") return;
		this.#timer();
		this.pc.close();
		this.#become({ kind: "ended", reason });
		this.#parts.ended();
	}

	/** A later connection takes its place: this one goes on as long as it can, and is for the app to close. */
	supersede(): void {
		this.#superseded = true;
		this.#timer();
	}

	/** Something that the other peer said. Called by the session, in the order of arrival. */
	onSignal(signal: Signal): void {
		this.#inbox = this.#inbox.then(async () => {
			if (this.#silent) return;
			switch (signal.type) {
				case "offer":
				case "answer":
					return this.#onDescription(signal.type, signal.sdp);
				case "candidate":
					return this.#onRemoteCandidate(signal.candidate);
				case "end-of-candidates":
					return this.#onRemoteCandidate(null);
			}
		});
	}

	/** Nothing is to be said any more: the other peer would take it for a later connection's. */
	get #silent(): boolean {
		return this.#superseded || this.#state.kind === "ended";
	}

	#say(message: Counted): void {
		if (!this.#silent && !this.#parts.send(message)) this.#unsaid = true;
	}

	#offer(): void {
		this.#makingOffer = true;
		this.#describe("stable").finally(() => {
			this.#makingOffer = false;
		});
	}

	/** Describes this side if the negotiation still stands where it did when the description became necessary. */
	#describe(expected: RTCSignalingState): Promise<void> {
		const step = this.#outbox.then(async () => {
			if (this.#silent || this.pc.signalingState !== expected) return;
			await this.pc.setLocalDescription();
			await this.#sayDescription();
		});
		// The browser refuses a description only if the state moved on meanwhile; then it asks again by itself.
		this.#outbox = step.catch(() => {});
		return this.#outbox;
	}

	#sayAgain(): void {
		this.#unsaid = false;
		this.#repeat("have-local-offer");
		this.#repeat("stable");
	}

	/** Says once more what this side described, if the negotiation stands there still: an offer, or an answer. */
	#repeat(expected: "have-local-offer" | "stable"): void {
		const step = this.#outbox.then(async () => {
			const type = expected === "stable" ? "answer" : "offer";
			if (this.#silent || this.pc.signalingState !== expected) return;
			if (this.pc.localDescription?.type !== type) return;
			await this.#sayDescription();
		});
		this.#outbox = step.catch(() => {});
	}

	/** With the candidates that have been found so far. */
	async #sayDescription(): Promise<void> {
		const description = this.pc.localDescription;
		if (description === null || (description.type !== "offer" && description.type !== "answer")) return;
		const { self, peer, seal } = this.#parts;
		const plain = withGeneration(description.sdp, this.generation);
		const sdp = seal === null ? plain : await seal.seal(plain, self, peer);
		this.#say({ type: description.type, to: peer, sdp });
	}

	async #onDescription(type: "offer" | "answer", sdp: string): Promise<void> {
		const { seal, self, peer } = this.#parts;
		const plain = seal === null ? sdp : await seal.open(sdp, peer, self);
		if (this.#silent) return;
		if (plain === null) return this.close("not-authentic");
		const collision = type === "offer" && (this.#makingOffer || this.pc.signalingState !== "stable");
		this.#ignoringOffer = collision && this.#parts.politeness() === "impolite";
		if (this.#ignoringOffer) return;
		// A refused description leaves the negotiation where it was; the timer of the attempt ends what cannot go on.
		const accepted = await this.pc.setRemoteDescription({ type, sdp: plain }).then(
			() => true,
			() => false,
		);
		if (!accepted) return;
		const early = this.#earlyCandidates;
		this.#earlyCandidates = [];
		for (const candidate of early) await this.#addCandidate(candidate);
		if (type === "offer") await this.#describe("have-remote-offer");
	}

	async #onRemoteCandidate(candidate: Candidate | null): Promise<void> {
		if (this.pc.remoteDescription === null) {
			if (!this.#ignoringOffer && this.#earlyCandidates.length < MOST_EARLY_CANDIDATES) {
				this.#earlyCandidates.push(candidate);
			}
			return;
		}
		await this.#addCandidate(candidate);
	}

	async #addCandidate(candidate: RTCIceCandidateInit | null): Promise<void> {
		// A candidate of an ignored offer or of an older generation is refused, and none is worth an error: what
		// matters is whether a pair is found.
		await this.pc.addIceCandidate(candidate).catch(() => {});
	}

	#onLocalCandidate(candidate: RTCIceCandidate | null): void {
		// An empty candidate marks the end of one generation for the browser's own use.
		if (candidate?.candidate === "") return;
		const to = this.peer;
		const message: Counted =
			candidate === null
				? { type: "end-of-candidates", to }
				: { type: "candidate", to, candidate: toCandidate(candidate) };
		this.#outbox = this.#outbox.then(() => this.#say(message));
	}

	#onConnectionState(): void {
		switch (this.pc.connectionState) {
			case "new":
			case "connecting":
				return;
			case "connected":
				this.#timer();
				this.#attempts = 0;
				this.#held = false;
				return this.#become({ kind: "connected" });
			case "disconnected":
				this.#timer();
				this.#timer = this.#parts.environment.after(PATIENCE_MS, () => this.#retry());
				return this.#become({ kind: "interrupted" });
			case "failed":
				this.#timer();
				if (this.#state.kind === "connected") this.#become({ kind: "interrupted" });
				return this.#retry();
			case "closed":
				return;
		}
	}

	#retry(): void {
		if (this.#superseded) return;
		// Without the server an attempt cannot succeed, so none is spent; `onLine` goes on from here.
		if (this.#parts.isAway()) {
			this.#held = true;
			return;
		}
		if (this.#attempts >= ATTEMPTS) return this.close("unreachable");
		this.#attempts += 1;
		this.#timer = this.#parts.environment.after(ATTEMPT_MS, () => this.#retry());
		void this.restart();
	}

	#become(state: ConnectionState): void {
		if (this.#state.kind === state.kind) return;
		this.#state = state;
		this.#events.emit("state", state);
	}
}
