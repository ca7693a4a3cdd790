//! A peer connection whose negotiation follows WebRTC §4.4.1 and that moves no media: signaling states, implicit
//! rollback, and the negotiation-needed flag.

import { settle } from "./clock.ts";

type Description = { readonly type: "offer" | "answer"; readonly sdp: string };

/** The fake. `calls` says what was asked of it, in order. */
export class FakePeerConnection {
	static #count = 0;
	readonly id = ++FakePeerConnection.#count;
	readonly calls: string[] = [];
	readonly candidates: (RTCIceCandidateInit | null)[] = [];
	configuration: RTCConfiguration;
	signalingState: RTCSignalingState = "stable";
	connectionState: RTCPeerConnectionState = "new";
	localDescription: Description | null = null;
	remoteDescription: Description | null = null;
	onnegotiationneeded: (() => void) | null = null;
	onicecandidate: ((event: { candidate: unknown }) => void) | null = null;
	onconnectionstatechange: (() => void) | null = null;
	stats: readonly (readonly [string, object])[] = [];
	#needed = false;
	#offers = 0;

	constructor(configuration: RTCConfiguration) {
		this.configuration = configuration;
	}

	/** Something of the connection changed that takes an offer. */
	need(): void {
		this.#needed = true;
		queueMicrotask(() => this.#fireIfNeeded());
	}

	restartIce(): void {
		this.calls.push("restartIce");
		this.need();
	}

	setConfiguration(configuration: RTCConfiguration): void {
		this.calls.push("setConfiguration");
		this.configuration = configuration;
	}

	async setLocalDescription(): Promise<void> {
		await settle();
		const offer = this.signalingState === "stable";
		this.#offers += 1;
		const fingerprint = `a=fingerprint:sha-256 ${this.id}`;
		const kind = offer ? "offer" : "answer";
		this.localDescription = {
			type: kind,
			sdp: `v=0\r\ns=${kind} ${this.id}.${this.#offers}\r\n${fingerprint}\r\n`,
		};
		if (offer) this.#needed = false;
		this.signalingState = offer ? "have-local-offer" : "stable";
		if (!offer) this.#fireIfNeeded();
	}

	async setRemoteDescription(description: Description): Promise<void> {
		await settle();
		if (description.type === "offer") {
			// An own offer that is rolled back still has to be made.
			if (this.signalingState === "have-local-offer") this.#needed = true;
			this.signalingState = "have-remote-offer";
		} else {
			if (this.signalingState !== "have-local-offer") throw new DOMException("no", "InvalidStateError");
			this.signalingState = "stable";
		}
		this.remoteDescription = description;
		if (this.signalingState === "stable") this.#fireIfNeeded();
	}

	async addIceCandidate(candidate: RTCIceCandidateInit | null): Promise<void> {
		if (this.remoteDescription === null) throw new DOMException("no", "InvalidStateError");
		this.candidates.push(candidate);
	}

	async getStats(): Promise<Map<string, object>> {
		return new Map(this.stats);
	}

	/** The browser's view of the connection changes. */
	become(state: RTCPeerConnectionState): void {
		this.connectionState = state;
		this.onconnectionstatechange?.();
	}

	close(): void {
		this.calls.push("close");
		this.connectionState = "closed";
		this.signalingState = "closed";
	}

	#fireIfNeeded(): void {
		if (this.#needed && this.signalingState === "stable") this.onnegotiationneeded?.();
	}
}

/** The fake stands in where the client uses no more of the browser's than the fake has. */
export function isPeerConnection(value: unknown): value is RTCPeerConnection {
	return value instanceof FakePeerConnection;
}
