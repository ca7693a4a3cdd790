//! The guard that everything from the server passes before anybody looks at it.

import {
	type Check,
	isAnything,
	isBoolean,
	isCount,
	isListOf,
	isOneOf,
	isRecord,
	isShape,
	isString,
	optional,
} from "./guard.ts";
import type { Candidate, IceServer, Knocker, Peer, ServerMessage, StateItem } from "./messages.ts";

const isRole = isOneOf("host", "guest");

const isPeer: Check<Peer> = isShape({
	id: isString,
	name: optional(isString),
	role: isRole,
	youAre: isOneOf("polite", "impolite"),
});

const isKnocker: Check<Knocker> = isShape({ id: isString, name: optional(isString) });

const isStateItem: Check<StateItem> = isShape({
	key: isString,
	value: isAnything,
	by: isString,
	expiresAt: optional(isCount),
});

const isCandidate: Check<Candidate> = isShape({
	candidate: isString,
	sdpMid: optional(isString),
	sdpMLineIndex: optional(isCount),
	usernameFragment: optional(isString),
});

const isIceServer: Check<IceServer> = isShape({
	urls: isListOf(isString),
	username: optional(isString),
	credential: optional(isString),
});

const SNAPSHOT = {
	room: isString,
	peer: isString,
	role: isRole,
	epoch: isCount,
	seq: isCount,
	peers: isListOf(isPeer),
	state: isListOf(isStateItem),
	locked: isBoolean,
	lobby: isBoolean,
	waiting: isListOf(isKnocker),
	expiresAt: isCount,
};

const GRANT = {
	resumeToken: isString,
	resumeSeconds: isCount,
	iceServers: isListOf(isIceServer),
	iceExpiresAt: isCount,
};

type Checks = { readonly [K in ServerMessage["type"]]: Check<Extract<ServerMessage, { type: K }>> };

const CHECKS: Checks = {
	welcome: isShape({ type: isOneOf("welcome"), version: isCount, ...SNAPSHOT, ...GRANT }),
	resync: isShape({ type: isOneOf("resync"), received: optional(isCount), ...SNAPSHOT, ...GRANT }),
	resumed: isShape({
		type: isOneOf("resumed"),
		epoch: isCount,
		seq: isCount,
		received: isCount,
		...GRANT,
	}),
	waiting: isShape({ type: isOneOf("waiting") }),
	degraded: isShape({ type: isOneOf("degraded"), since: isCount }),
	recovered: isShape({ type: isOneOf("recovered") }),
	"peer-joined": isShape({ type: isOneOf("peer-joined"), seq: isCount, peer: isPeer }),
	"peer-left": isShape({
		type: isOneOf("peer-left"),
		seq: isCount,
		peer: isString,
		reason: isString,
	}),
	"peer-role": isShape({ type: isOneOf("peer-role"), seq: isCount, peer: isString, role: isRole }),
	offer: isShape({ type: isOneOf("offer"), seq: isCount, from: isString, sdp: isString }),
	answer: isShape({ type: isOneOf("answer"), seq: isCount, from: isString, sdp: isString }),
	candidate: isShape({ type: isOneOf("candidate"), seq: isCount, from: isString, candidate: isCandidate }),
	"end-of-candidates": isShape({ type: isOneOf("end-of-candidates"), seq: isCount, from: isString }),
	app: isShape({ type: isOneOf("app"), seq: isCount, from: isString, data: isAnything }),
	state: isShape({
		type: isOneOf("state"),
		seq: isCount,
		key: isString,
		value: optional(isAnything),
		by: isString,
		expiresAt: optional(isCount),
	}),
	locked: isShape({ type: isOneOf("locked"), seq: isCount, locked: isBoolean, by: isString }),
	knock: isShape({ type: isOneOf("knock"), seq: isCount, peer: isKnocker }),
	"knock-gone": isShape({ type: isOneOf("knock-gone"), seq: isCount, peer: isKnocker }),
	"ice-servers": isShape({
		type: isOneOf("ice-servers"),
		iceServers: isListOf(isIceServer),
		iceExpiresAt: isCount,
	}),
	"relay-usage": isShape({
		type: isOneOf("relay-usage"),
		peer: isString,
		node: isString,
		allocations: isCount,
		sentBytes: isCount,
		receivedBytes: isCount,
	}),
	pong: isShape({ type: isOneOf("pong"), nonce: isCount, received: isCount }),
	error: isShape({
		type: isOneOf("error"),
		code: isString,
		message: isString,
		refused: optional(isString),
	}),
	closing: isShape({ type: isOneOf("closing"), code: isCount, reason: isString, reconnect: isBoolean }),
};

const isKnownType = (type: unknown): type is ServerMessage["type"] =>
	typeof type === "string" && Object.hasOwn(CHECKS, type);

/** Reads one message of the server; null if it is none that this client knows. */
export function parseServerMessage(value: unknown): ServerMessage | null {
	if (!isRecord(value)) return null;
	const type = value["type"];
	if (!isKnownType(type)) return null;
	return CHECKS[type](value) ? value : null;
}

/** Reads what a WebSocket brought; null if it is no message that this client knows. */
export function decode(data: unknown): ServerMessage | null {
	if (typeof data !== "string") return null;
	try {
		return parseServerMessage(JSON.parse(data));
	} catch {
		return null;
	}
}
