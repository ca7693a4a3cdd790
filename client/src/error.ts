//! What goes wrong between an app and the server, by name.

import type { ErrorCode } from "./codes.ts";

/** What this client itself may find, besides the server's own codes. */
export type LocalErrorCode =
	/** The server could not be reached. */
	| "unreachable"
	/** The server, or something between, answered with what is no answer of ours. */
	| "bad-answer"
	/** The WebSocket closed before the room let us in. */
	| "join-refused"
	/** The session has ended. */
	| "closed"
	/** No such peer in the room. */
	| "no-such-peer"
	/** Too much waits to be confirmed by the server, as while it cannot be reached. */
	| "outgoing-full";

/** A refusal by the server, or the failure to reach it. */
export class CausewayError extends Error {
	override readonly name = "CausewayError";
	/** For programs; stable. */
	readonly code: ErrorCode | LocalErrorCode;
	/** When to try again, in seconds, where the server said so. */
	readonly retryAfterSeconds: number | null;

	constructor(code: ErrorCode | LocalErrorCode, message: string, retryAfterSeconds: number | null = null) {
		super(message);
		this.code = code;
		this.retryAfterSeconds = retryAfterSeconds;
	}
}
