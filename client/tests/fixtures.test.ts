//! The wire contract: every fixture that Rust reads and writes is read and written here too.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CLOSE_CODES, ERROR_CODES } from "../src/codes.ts";
import type { ClientMessage } from "../src/messages.ts";
import { parseServerMessage } from "../src/parse.ts";
import {
	type CreateInvite,
	type CreateRoom,
	isApiError,
	isInviteCreated,
	isJoined,
	isRoomCreated,
	isRoomFacts,
	type JoinRoom,
} from "../src/rest.ts";

const PROTOCOL = join(import.meta.dirname, "../../crates/protocol");

const fixture = (path: string): unknown => JSON.parse(readFileSync(join(PROTOCOL, "fixtures", path), "utf8"));
const folder = (name: string): string[] =>
	readdirSync(join(PROTOCOL, "fixtures", name)).map((file) => file.replace(/\.json$/, ""));

const candidate = {
	candidate: "candidate:1 1 udp 2122260223 192.0.2.1 54321 typ host",
	sdpMid: "0",
	sdpMLineIndex: 0,
	usernameFragment: "abcd",
};

/** Absence has a meaning of its own. */
const mayBeAbsent = (fixture: string, field: string): boolean =>
	field === "refused" ||
	(fixture === "resync" && field === "received") ||
	(fixture === "state" && (field === "value" || field === "expiresAt"));

/** What this client sends, by the name of the fixture that it must equal. */
const CLIENT: Record<string, ClientMessage> = {
	hello: { type: "hello", version: 1, token: "eyJ0.e30.c2ln" },
	offer: { type: "offer", to: "bob", sdp: "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\n" },
	answer: { type: "answer", to: "alice", sdp: "v=0\r\n" },
	candidate: { type: "candidate", to: "bob", candidate },
	"candidate-minimal": {
		type: "candidate",
		to: "bob",
		candidate: { candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ host" },
	},
	"end-of-candidates": { type: "end-of-candidates", to: "bob" },
	"app-to-all": { type: "app", data: "hello" },
	"app-to-one": { type: "app", to: "bob", data: { any: ["json", 1, null] } },
	resume: { type: "resume", version: 1, token: "eyJ0.e30.c2ln", epoch: 3, seq: 41 },
	"set-state": { type: "set-state", key: "slide", value: { page: 7 }, ttlSeconds: 600 },
	"set-state-delete": { type: "set-state", key: "slide" },
	admit: { type: "admit", peer: "dave" },
	deny: { type: "deny", peer: "dave" },
	kick: { type: "kick", peer: "bob" },
	"kick-ban": { type: "kick", peer: "bob", ban: true, reason: "Please stop shouting." },
	lock: { type: "lock", locked: true },
	"claim-host": { type: "claim-host", token: "eyJ0.e30.c2ln" },
	"refresh-ice": { type: "refresh-ice" },
	ping: { type: "ping", nonce: 7 },
	leave: { type: "leave" },
};

const createRoom: CreateRoom = { password: "open sesame", capacity: 2, ttlSeconds: 3600, inviteOnly: true };
const createRoomDefault: CreateRoom = {};
const createInvite: CreateInvite = { ttlSeconds: 600 };
const joinRoom: JoinRoom = { password: "open sesame", name: "Bob" };
const SENT = {
	"create-room": createRoom,
	"create-room-default": createRoomDefault,
	"create-invite": createInvite,
	"join-room": joinRoom,
};
const RECEIVED = {
	"api-error": isApiError,
	"invite-created": isInviteCreated,
	joined: isJoined,
	"room-created": isRoomCreated,
	"room-facts": isRoomFacts,
};

describe("client messages", () => {
	test("every fixture has a message here", () => {
		expect(folder("client").sort()).toEqual(Object.keys(CLIENT).sort());
	});
	test.each(Object.entries(CLIENT))("%s is built as Rust reads it", (name, message) => {
		expect(message).toEqual(fixture(`client/${name}.json`));
	});
});

describe("server messages", () => {
	test.each(folder("server"))("%s is read unchanged", (name) => {
		const message = fixture(`server/${name}.json`);
		expect(parseServerMessage(message)).toEqual(message);
	});

	test.each(folder("server"))("%s without any one of its fields is refused", (name) => {
		const message = fixture(`server/${name}.json`);
		if (typeof message !== "object" || message === null) throw new Error("a fixture is an object");
		for (const field of Object.keys(message).filter((key) => !mayBeAbsent(name, key))) {
			const rest = Object.fromEntries(Object.entries(message).filter(([key]) => key !== field));
			expect(parseServerMessage(rest), `without ${field}`).toBeNull();
		}
	});

	test.each([null, 7, "welcome", [], {}, { type: "constructor" }, { type: "__proto__" }, { type: 1 }])(
		"%j is no message",
		(value) => {
			expect(parseServerMessage(value)).toBeNull();
		},
	);

	test("a field that a newer server added does no harm", () => {
		expect(parseServerMessage({ type: "pong", nonce: 7, received: 1, colour: "green" })).not.toBeNull();
	});
});

describe("HTTP bodies", () => {
	test("every fixture has a type here", () => {
		expect(folder("rest").sort()).toEqual([...Object.keys(SENT), ...Object.keys(RECEIVED)].sort());
	});
	test.each(Object.entries(SENT))("%s is built as Rust reads it", (name, body) => {
		expect(body).toEqual(fixture(`rest/${name}.json`));
	});
	test.each(Object.entries(RECEIVED))("%s passes its guard", (name, check) => {
		expect(check(fixture(`rest/${name}.json`))).toBe(true);
	});
});

describe("codes", () => {
	const source = readFileSync(join(PROTOCOL, "src/code.rs"), "utf8");
	test("the error codes are Rust's", () => {
		expect([...source.matchAll(/^\s+\w+ = "([a-z-]+)", \d+,/gm)].map((match) => match[1])).toEqual([
			...ERROR_CODES,
		]);
	});
	test("the close codes are Rust's", () => {
		const names = [...source.matchAll(/Self::(\w+) => "([a-z-]+)"/g)].map((m) => [m[1], m[2]] as const);
		const numbers = new Map([...source.matchAll(/Self::(\w+) => (\d{4})/g)].map((m) => [m[1], Number(m[2])]));
		expect(Object.fromEntries(names.map(([variant, text]) => [text, numbers.get(variant)]))).toEqual(
			CLOSE_CODES,
		);
	});
});
