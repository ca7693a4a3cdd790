//! The names under which the server refuses, as in crates/protocol/src/code.rs.

/** Every error code that this client knows. */
export const ERROR_CODES = [
	"bad-json",
	"bad-message",
	"version-unsupported",
	"token-invalid",
	"token-expired",
	"password-required",
	"password-wrong",
	"invite-invalid",
	"origin-refused",
	"kicked",
	"banned",
	"entry-denied",
	"not-allowed",
	"room-not-found",
	"not-found",
	"method-not-allowed",
	"peer-not-found",
	"room-taken",
	"room-full",
	"state-full",
	"resume-refused",
	"too-large",
	"unsupported-media-type",
	"room-locked",
	"rate-limited",
	"internal",
	"unavailable",
	"degraded",
] as const;

/** A code that this client knows. */
export type KnownErrorCode = (typeof ERROR_CODES)[number];

/** A code of the server. A newer server may use one that this client does not know. */
export type ErrorCode = KnownErrorCode | (string & Record<never, never>);

/** Why a WebSocket was closed, by number (RFC 6455 §7.4.2: 4000–4999 are the application's). */
export const CLOSE_CODES = {
	left: 1000,
	"too-large": 1009,
	"bad-message": 4400,
	"token-refused": 4401,
	kicked: 4403,
	"room-not-found": 4404,
	"timed-out": 4408,
	displaced: 4409,
	"room-closed": 4410,
	"resumed-elsewhere": 4411,
	"resume-refused": 4412,
	"room-full": 4413,
	"room-locked": 4423,
	"rate-limited": 4429,
	internal: 4500,
	draining: 4503,
	stalled: 4508,
} as const;

/** Whether a WebSocket that closed with this code, and without a word of the server, is not to be followed by another. */
export function isFinal(code: number): boolean {
	// Ours: 44xx is the client's or the room's affair, 45xx the server's own.
	if (code >= 4400 && code < 4500) {
		return code !== CLOSE_CODES["timed-out"] && code !== CLOSE_CODES["resumed-elsewhere"];
	}
	// RFC 6455 §7.4.1: a normal closure, data or a policy that would meet us again. 1001, 1006, 1011 and the like pass.
	return code === 1000 || code === 1003 || (code >= 1007 && code <= 1010);
}

/** Whether joining anew makes sense after this end: the proof was too old, and the room may still be there. */
export function mayRejoin(code: number): boolean {
	return code === CLOSE_CODES["token-refused"] || code === CLOSE_CODES["resume-refused"];
}
