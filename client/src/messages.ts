//! The messages on the signaling WebSocket, as in crates/protocol/src/message.rs.

import type { ErrorCode } from "./codes.ts";

/** The version of the protocol that this client speaks. */
export const PROTOCOL_VERSION = 1;
/** The same, as the WebSocket's subprotocol (RFC 6455 §1.9). */
export const SUBPROTOCOL = "causeway.v1";

/** What a peer is in its room. */
export type Role = "host" | "guest";

/** Who gives way when two offers cross (W3C WebRTC §10.7). */
export type Politeness = "polite" | "impolite";

/** Why a peer is no longer in the room. A newer server may use one that this client does not know. */
export type LeaveReason =
	| "left"
	| "disconnected"
	| "timed-out"
	| "stalled"
	| "refused"
	| "displaced"
	| "kicked"
	| (string & Record<never, never>);

/** Another peer in the room, seen from here. */
export interface Peer {
	readonly id: string;
	readonly name?: string;
	readonly role: Role;
	/** How *this* side behaves towards it when offers collide. */
	readonly youAre: Politeness;
}

/** Somebody who waits to be let in. */
export interface Knocker {
	readonly id: string;
	readonly name?: string;
}

/** One entry of the room's state, as it travels. */
export interface StateItem {
	readonly key: string;
	readonly value: unknown;
	/** Who set it. */
	readonly by: string;
	/** When it goes by itself, in seconds since 1970. */
	readonly expiresAt?: number;
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

/** How the room stands for one of its members. Times are seconds since 1970. */
export interface Snapshot {
	readonly room: string;
	readonly peer: string;
	readonly role: Role;
	readonly epoch: number;
	readonly seq: number;
	/** Who else is there, those who are away for a moment too. */
	readonly peers: readonly Peer[];
	readonly state: readonly StateItem[];
	/** Whether nobody new comes in. */
	readonly locked: boolean;
	/** Whether guests wait until a host admits them. */
	readonly lobby: boolean;
	/** Who waits; empty for all but hosts. */
	readonly waiting: readonly Knocker[];
	readonly expiresAt: number;
}

/** What a WebSocket is given with its greeting. */
export interface EntryGrant {
	/** For `resume`; it replaces the one before. */
	readonly resumeToken: string;
	/** How long the room waits for a member whose WebSocket broke. */
	readonly resumeSeconds: number;
	readonly iceServers: readonly IceServer[];
	readonly iceExpiresAt: number;
}

/** The server's first message. */
export interface Welcome extends Snapshot, EntryGrant {
	readonly type: "welcome";
	readonly version: number;
}

/** Nothing was lost; the missed events follow. */
export interface Resumed extends EntryGrant {
	readonly type: "resumed";
	readonly epoch: number;
	/** The room's latest event. Those up to it that were missed follow, so it is not this client's position yet. */
	readonly seq: number;
	/** How many of this client's messages the room has taken. */
	readonly received: number;
}

/** Something may be lost; this is how the room stands. */
export interface Resync extends Snapshot, EntryGrant {
	readonly type: "resync";
	/** Absent: nobody knows, and counting begins anew. */
	readonly received?: number;
}

/** What happened in the room; numbered, so that each is heard once. */
export type RoomEvent =
	| { readonly type: "peer-joined"; readonly seq: number; readonly peer: Peer }
	| { readonly type: "peer-left"; readonly seq: number; readonly peer: string; readonly reason: LeaveReason }
	| { readonly type: "peer-role"; readonly seq: number; readonly peer: string; readonly role: Role }
	| { readonly type: "offer"; readonly seq: number; readonly from: string; readonly sdp: string }
	| { readonly type: "answer"; readonly seq: number; readonly from: string; readonly sdp: string }
	| {
			readonly type: "candidate";
			readonly seq: number;
			readonly from: string;
			readonly candidate: Candidate;
	  }
	| { readonly type: "end-of-candidates"; readonly seq: number; readonly from: string }
	| { readonly type: "app"; readonly seq: number; readonly from: string; readonly data: unknown }
	| ({ readonly type: "state"; readonly seq: number } & StateChange)
	| { readonly type: "locked"; readonly seq: number; readonly locked: boolean; readonly by: string }
	| { readonly type: "knock"; readonly seq: number; readonly peer: Knocker }
	| { readonly type: "knock-gone"; readonly seq: number; readonly peer: Knocker };

/** An entry of the room's state was set, or is gone. */
export interface StateChange {
	readonly key: string;
	/** Absent: deleted, or its time was over. */
	readonly value?: unknown;
	readonly by: string;
	readonly expiresAt?: number;
}

/** What the server says to this client alone, about the stay in the room. */
export type Notice =
	| { readonly type: "ice-servers"; readonly iceServers: readonly IceServer[]; readonly iceExpiresAt: number }
	| ({ readonly type: "relay-usage" } & RelayUsage)
	| { readonly type: "error"; readonly code: ErrorCode; readonly message: string; readonly refused?: string };

/** What the server says about the line between the two. */
export type LineMessage =
	| Welcome
	| Resumed
	| Resync
	| { readonly type: "waiting" }
	| { readonly type: "degraded"; readonly since: number }
	| { readonly type: "recovered" }
	| { readonly type: "pong"; readonly nonce: number; readonly received: number }
	| { readonly type: "closing"; readonly code: number; readonly reason: string; readonly reconnect: boolean };

/** Everything that the server says. */
export type ServerMessage = RoomEvent | Notice | LineMessage;

/** Everything that a client says. */
export type ClientMessage =
	| { readonly type: "hello"; readonly version: number; readonly token: string }
	| {
			readonly type: "resume";
			readonly version: number;
			readonly token: string;
			readonly epoch: number;
			readonly seq: number;
	  }
	| { readonly type: "offer"; readonly to: string; readonly sdp: string }
	| { readonly type: "answer"; readonly to: string; readonly sdp: string }
	| { readonly type: "candidate"; readonly to: string; readonly candidate: Candidate }
	| { readonly type: "end-of-candidates"; readonly to: string }
	| { readonly type: "app"; readonly to?: string; readonly data: unknown }
	| {
			readonly type: "set-state";
			readonly key: string;
			readonly value?: unknown;
			readonly ttlSeconds?: number;
	  }
	| { readonly type: "admit"; readonly peer: string }
	| { readonly type: "deny"; readonly peer: string }
	| { readonly type: "kick"; readonly peer: string; readonly ban?: boolean; readonly reason?: string }
	| { readonly type: "lock"; readonly locked: boolean }
	| { readonly type: "claim-host"; readonly token: string }
	| { readonly type: "refresh-ice" }
	| { readonly type: "ping"; readonly nonce: number }
	| { readonly type: "leave" };

/** A message as it travels. */
export function encode(message: ClientMessage): string {
	return JSON.stringify(message);
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
