//! The bodies of the HTTP API, as in crates/protocol/src/rest.rs, with guards for those that the server sends.

import type { ErrorCode } from "./codes.ts";
import { type Check, isBoolean, isCount, isOneOf, isShape, isString, optional } from "./guard.ts";
import type { Role } from "./messages.ts";

/** What a new room shall be. */
export interface CreateRoom {
	/** Wanted from everybody but the host. */
	readonly password?: string;
	/** How many peers at a time; absent: the server's default. */
	readonly capacity?: number;
	/** How long the room lives, in seconds; absent: the server's default. */
	readonly ttlSeconds?: number;
	/** Whether guests need an invite besides the link. */
	readonly inviteOnly?: boolean;
	/** Whether guests wait until a host admits them. */
	readonly lobby?: boolean;
}

/** A room that was made. Times are seconds since 1970. */
export interface RoomCreated {
	readonly room: string;
	/** The link for people, absolute. */
	readonly link: string;
	/** Proves that its holder made the room; it is not shown again. */
	readonly hostToken: string;
	readonly expiresAt: number;
	readonly capacity: number;
}

/** What one needs to know before joining. */
export interface RoomFacts {
	readonly room: string;
	readonly passwordRequired: boolean;
	readonly inviteRequired: boolean;
	/** Whether guests wait until a host admits them. */
	readonly lobby: boolean;
	/** Whether nobody new comes in. */
	readonly locked: boolean;
	readonly capacity: number;
	/** How many are connected. */
	readonly peers: number;
	readonly expiresAt: number;
}

/** What an invite shall be. */
export interface CreateInvite {
	/** How long it lives, in seconds; absent or longer than the room: as long as the room. */
	readonly ttlSeconds?: number;
}

/** An invite for one join. */
export interface InviteCreated {
	readonly invite: string;
	readonly expiresAt: number;
}

/** What one shows to join. */
export interface JoinRoom {
	readonly password?: string;
	/** Instead of the password. */
	readonly invite?: string;
	/** Instead of both: joins as host. */
	readonly hostToken?: string;
	/** What other peers see; 64 characters at most. */
	readonly name?: string;
}

/** A token for the WebSocket. */
export interface Joined {
	readonly token: string;
	readonly peer: string;
	readonly role: Role;
	readonly expiresAt: number;
}

/** A refusal. */
export interface ApiError {
	readonly code: ErrorCode;
	/** One sentence for people. */
	readonly message: string;
	readonly retryAfterSeconds?: number;
}

/** Guards an answer to `POST /rooms`. */
export const isRoomCreated: Check<RoomCreated> = isShape({
	room: isString,
	link: isString,
	hostToken: isString,
	expiresAt: isCount,
	capacity: isCount,
});

/** Guards an answer to `GET /rooms/{room}`. */
export const isRoomFacts: Check<RoomFacts> = isShape({
	room: isString,
	passwordRequired: isBoolean,
	inviteRequired: isBoolean,
	lobby: isBoolean,
	locked: isBoolean,
	capacity: isCount,
	peers: isCount,
	expiresAt: isCount,
});

/** Guards an answer to `POST /rooms/{room}/invites`. */
export const isInviteCreated: Check<InviteCreated> = isShape({ invite: isString, expiresAt: isCount });

/** Guards an answer to `POST /rooms/{room}/join`. */
export const isJoined: Check<Joined> = isShape({
	token: isString,
	peer: isString,
	role: isOneOf("host", "guest"),
	expiresAt: isCount,
});

/** Guards the body of a refusal. */
export const isApiError: Check<ApiError> = isShape({
	code: isString,
	message: isString,
	retryAfterSeconds: optional(isCount),
});
