//! The messages on the signaling WebSocket, as in crates/protocol/src/message.rs: their types, and the guard
//! that everything from the server passes.

import type { ErrorCode } from "./codes.ts";
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

/** The version of the protocol that this client speaks. */
export const PROTOCOL_VERSION = 1;
/** The same, as the WebSocket's subprotocol (RFC 6455 §1.9). */
export const SUBPROTOCOL = "causeway.v1";

/** What a peer is in its room. */
export type Role = "host" | "guest";

/** Who gives way when two offers cross (W3C WebRTC §10.7). */
export type Politeness = "polite" | "impolite";

/** Why a peer is no longer in the room. */
export type LeaveReason = "left" | "disconnected" | "timed-out" | "stalled" | "refused" | "displaced";

/** Another peer in the room, seen from here. */
export interface Peer {
	readonly id: string;
	readonly name?: string;
	readonly role: Role;
	/** How *this* side behaves towards it when offers collide. */
	readonly youAre: Politeness;
}

/** An ICE candidate as it travels: the browser's `RTCIceCandidateInit` without nulls. */
export interface Candidate {
	readonly candidate: string;
	readonly sdpMid?: string;
	readonly sdpMLineIndex?: number;
	readonly usernameFragment?: string;
}

/** One of the servers for `RTCPeerConnection`. */
export interface IceServer {
	readonly urls: readonly string[];
	readonly username?: string;
	readonly credential?: string;
}

/** What the relay itself counted for one peer of the room on one node, since the room began. */
export interface RelayUsage {
	readonly peer: string;
	readonly node: string;
	/** Allocations alive on that node. */
	readonly allocations: number;
	/** Application bytes from the peer's client on to others. */
	readonly sentBytes: number;
	/** Application bytes from others on to the peer's client. */
	readonly receivedBytes: number;
}

/** The server's first message. Times are seconds since 1970. */
export interface Welcome {
	readonly type: "welcome";
	readonly version: number;
	readonly room: string;
	readonly peer: string;
	readonly role: Role;
	readonly epoch: number;
	readonly seq: number;
	readonly peers: readonly Peer[];
	readonly iceServers: readonly IceServer[];
	readonly iceExpiresAt: number;
	readonly expiresAt: number;
}

/** Everything that the server says. */
export type ServerMessage =
	| Welcome
	| { readonly type: "peer-joined"; readonly seq: number; readonly peer: Peer }
	| { readonly type: "peer-left"; readonly seq: number; readonly peer: string; readonly reason: LeaveReason }
	| { readonly type: "offer"; readonly from: string; readonly sdp: string }
	| { readonly type: "answer"; readonly from: string; readonly sdp: string }
	| { readonly type: "candidate"; readonly from: string; readonly candidate: Candidate }
	| { readonly type: "end-of-candidates"; readonly from: string }
	| { readonly type: "app"; readonly from: string; readonly data: unknown }
	| { readonly type: "ice-servers"; readonly iceServers: readonly IceServer[]; readonly iceExpiresAt: number }
	| ({ readonly type: "relay-usage" } & RelayUsage)
	| { readonly type: "pong"; readonly nonce: number }
	| { readonly type: "error"; readonly code: ErrorCode; readonly message: string; readonly refused?: string }
	| { readonly type: "closing"; readonly code: number; readonly reason: string; readonly reconnect: boolean };

/** Everything that a client says. */
export type ClientMessage =
	| { readonly type: "hello"; readonly version: number; readonly token: string }
	| { readonly type: "offer"; readonly to: string; readonly sdp: string }
	| { readonly type: "answer"; readonly to: string; readonly sdp: string }
	| { readonly type: "candidate"; readonly to: string; readonly candidate: Candidate }
	| { readonly type: "end-of-candidates"; readonly to: string }
	| { readonly type: "app"; readonly to?: string; readonly data: unknown }
	| { readonly type: "refresh-ice" }
	| { readonly type: "ping"; readonly nonce: number }
	| { readonly type: "leave" };

const isRole = isOneOf("host", "guest");

const isPeer: Check<Peer> = isShape({
	id: isString,
	name: optional(isString),
	role: isRole,
	youAre: isOneOf("polite", "impolite"),
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

type Checks = { readonly [K in ServerMessage["type"]]: Check<Extract<ServerMessage, { type: K }>> };

const CHECKS: Checks = {
	welcome: isShape({
		type: isOneOf("welcome"),
		version: isCount,
		room: isString,
		peer: isString,
		role: isRole,
		epoch: isCount,
		seq: isCount,
		peers: isListOf(isPeer),
		iceServers: isListOf(isIceServer),
		iceExpiresAt: isCount,
		expiresAt: isCount,
	}),
	"peer-joined": isShape({ type: isOneOf("peer-joined"), seq: isCount, peer: isPeer }),
	"peer-left": isShape({
		type: isOneOf("peer-left"),
		seq: isCount,
		peer: isString,
		reason: isOneOf("left", "disconnected", "timed-out", "stalled", "refused", "displaced"),
	}),
	offer: isShape({ type: isOneOf("offer"), from: isString, sdp: isString }),
	answer: isShape({ type: isOneOf("answer"), from: isString, sdp: isString }),
	candidate: isShape({ type: isOneOf("candidate"), from: isString, candidate: isCandidate }),
	"end-of-candidates": isShape({ type: isOneOf("end-of-candidates"), from: isString }),
	app: isShape({ type: isOneOf("app"), from: isString, data: isAnything }),
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
	pong: isShape({ type: isOneOf("pong"), nonce: isCount }),
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

/** A message as it travels. */
export function encode(message: ClientMessage): string {
	return JSON.stringify(message);
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

/** The candidate of the browser's event as it travels; null for the marker of the end. */
export function toCandidate(candidate: RTCIceCandidate): Candidate {
	const { sdpMid, sdpMLineIndex, usernameFragment } = candidate;
	return {
		candidate: candidate.candidate,
		...(sdpMid === null ? {} : { sdpMid }),
		...(sdpMLineIndex === null ? {} : { sdpMLineIndex }),
		...(usernameFragment === null ? {} : { usernameFragment }),
	};
}
