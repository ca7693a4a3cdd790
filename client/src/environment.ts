//! What the client needs from its surroundings: sockets, time, peer connections. Passed in, so that tests own them.

import type { Undo } from "./events.ts";

/** The part of `WebSocket` that is used. */
export type Socket = Pick<WebSocket, "send" | "close" | "onopen" | "onmessage" | "onclose">;

/** The surroundings. `browser()` gives the real ones. */
export interface Environment {
	/** As the browser's. */
	fetch(url: string, init: RequestInit): Promise<Response>;
	/** Opens a WebSocket that offers one subprotocol. */
	openSocket(url: string, protocol: string): Socket;
	/** As the browser's constructor. */
	createPeerConnection(configuration: RTCConfiguration): RTCPeerConnection;
	/** Milliseconds since 1970. */
	now(): number;
	/** Calls once after so many milliseconds. */
	after(milliseconds: number, call: () => void): Undo;
	/** A random number in [0, 1), for spreading load; nothing secret hangs on it. */
	random(): number;
	/** Calls whenever the device may have another way to the network than before. */
	onNetworkChange(call: () => void): Undo;
	/** False only if the device is sure to have no network. */
	isOnline(): boolean;
	/** Calls when the page goes away for good: closed, reloaded, or left for another one. */
	onPageEnd(call: () => void): Undo;
}

// setTimeout turns longer delays into 1 ms (HTML: a signed 32-bit number).
const LONGEST_TIMER = 2 ** 31 - 1;

/** The browser's own surroundings. */
export function browser(): Environment {
	return {
		fetch: (url, init) => fetch(url, init),
		openSocket: (url, protocol) => new WebSocket(url, protocol),
		createPeerConnection: (configuration) => new RTCPeerConnection(configuration),
		now: () => Date.now(),
		after: (milliseconds, call) => {
			const timer = setTimeout(call, Math.min(milliseconds, LONGEST_TIMER));
			return () => clearTimeout(timer);
		},
		random: () => Math.random(),
		onNetworkChange,
		isOnline: () => navigator.onLine,
		onPageEnd,
	};
}

function onNetworkChange(call: () => void): Undo {
	addEventListener("online", call);
	// `change` also fires for every new estimate of speed, so only another *type* counts; browsers that do
	// not tell the type give only `online`.
	const connection = "connection" in navigator ? navigator.connection : null;
	if (!(connection instanceof EventTarget)) return () => removeEventListener("online", call);
	const type = () => ("type" in connection ? connection.type : null);
	let known = type();
	const onChange = () => {
		const current = type();
		if (current === known) return;
		known = current;
		call();
	};
	connection.addEventListener("change", onChange);
	return () => {
		removeEventListener("online", call);
		connection.removeEventListener("change", onChange);
	};
}

function onPageEnd(call: () => void): Undo {
	// A page that is kept may be shown again (HTML: the back/forward cache); it finds its sockets closed and resumes.
	const onHide = ({ persisted }: PageTransitionEvent) => {
		if (!persisted) call();
	};
	addEventListener("pagehide", onHide);
	return () => removeEventListener("pagehide", onHide);
}
