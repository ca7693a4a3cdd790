//! `@causeway/client`: rooms of a Causeway server, and WebRTC connections between the peers in them.

export { createInvite, createRoom, roomFacts, type Server } from "./api.ts";
export { CLOSE_CODES, ERROR_CODES, type ErrorCode, type KnownErrorCode } from "./codes.ts";
export type {
	Connection,
	ConnectionEvents,
	ConnectionState,
	EndReason,
	TransportPolicy,
} from "./connection.ts";
export { browser, type Environment, type Socket } from "./environment.ts";
export { CausewayError, type LocalErrorCode } from "./error.ts";
export type { Undo } from "./events.ts";
export { type JoinOptions, joinRoom } from "./join.ts";
export type { Closed, Status } from "./line.ts";
export type { Knocker, LeaveReason, Peer, Politeness, RelayUsage, Role } from "./messages.ts";
export type { Counted } from "./outgoing.ts";
export type { Path, PathEnd } from "./path.ts";
export type {
	CreateInvite,
	CreateRoom,
	InviteCreated,
	JoinRoom,
	RoomCreated,
	RoomFacts,
} from "./rest.ts";
export type { StateEntry } from "./room-view.ts";
export { type DescriptionSeal, fingerprintSeal } from "./seal.ts";
export type { Session, SessionEvents, SessionOptions } from "./session.ts";
