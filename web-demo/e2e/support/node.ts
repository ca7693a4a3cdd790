//! The client's surroundings in Node: its own WebSocket, real time, and no peer connections.

import type { Environment } from "@causeway/client";

/** Surroundings whose network the test changes. */
export class NodeEnvironment implements Environment {
	/** What `random` gives. */
	luck: () => number = Math.random;
	readonly #networkChange = new Set<() => void>();

	fetch(url: string, init: RequestInit): Promise<Response> {
		return fetch(url, init);
	}

	openSocket(url: string, protocol: string): WebSocket {
		return new WebSocket(url, protocol);
	}

	createPeerConnection(): RTCPeerConnection {
		throw new Error("these tests are about the server");
	}

	now(): number {
		return Date.now();
	}

	after(milliseconds: number, call: () => void): () => void {
		const timer = setTimeout(call, milliseconds);
		return () => clearTimeout(timer);
	}

	random(): number {
		return this.luck();
	}

	isOnline(): boolean {
		return true;
	}

	onNetworkChange(call: () => void): () => void {
		this.#networkChange.add(call);
		return () => this.#networkChange.delete(call);
	}

	onPageEnd(): () => void {
		return () => {};
	}

	/** The device gets another network. */
	changeNetwork(): void {
		for (const call of this.#networkChange) call();
	}
}
