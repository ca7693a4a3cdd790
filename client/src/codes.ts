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
	"not-allowed",
	"room-not-found",
	"not-found",
	"method-not-allowed",
	"peer-not-found",
	"room-full",
	"too-large",
	"unsupported-media-type",
	"rate-limited",
	"internal",
	"unavailable",
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
	"room-not-found": 4404,
	"timed-out": 4408,
	displaced: 4409,
	"room-closed": 4410,
	"room-full": 4413,
	"rate-limited": 4429,
	internal: 4500,
	draining: 4503,
	stalled: 4508,
} as const;
