//! The server's greetings, as tests say them.

import type { FakeEnvironment } from "./environment.ts";

export const HOUR_MS = 3_600_000;

/** What every greeting brings. */
const grant = (environment: FakeEnvironment) => ({
	resumeToken: "resume-1",
	resumeSeconds: 30,
	iceServers: [{ urls: ["turn:relay.example:3478"], username: "u", credential: "c" }],
	iceExpiresAt: Math.ceil((environment.now() + HOUR_MS) / 1000),
});

/** How the room of the tests stands. */
const snapshot = (environment: FakeEnvironment) => ({
	room: "kitchen",
	peer: "alice",
	role: "host",
	epoch: 1,
	seq: 2,
	peers: [{ id: "bob", role: "guest", youAre: "polite" }],
	state: [],
	locked: false,
	lobby: false,
	waiting: [],
	expiresAt: Math.ceil((environment.now() + 24 * HOUR_MS) / 1000),
});

/** Alice is in. */
export const welcome = (environment: FakeEnvironment, more: object = {}) => ({
	type: "welcome",
	version: 1,
	...snapshot(environment),
	...grant(environment),
	...more,
});

/** Alice missed nothing. */
export const resumed = (environment: FakeEnvironment, more: object = {}) => ({
	type: "resumed",
	epoch: 1,
	seq: 2,
	received: 0,
	...grant(environment),
	...more,
});

/** Alice may have missed something. */
export const resync = (environment: FakeEnvironment, more: object = {}) => ({
	type: "resync",
	...snapshot(environment),
	...grant(environment),
	...more,
});
