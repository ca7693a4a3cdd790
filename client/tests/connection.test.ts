//! Perfect negotiation and the ways back when a connection breaks.

import { describe, expect, test } from "vitest";
import { Connection, type ConnectionParts } from "../src/connection.ts";
import type { Politeness } from "../src/messages.ts";
import type { Counted } from "../src/outgoing.ts";
import { type DescriptionSeal, fingerprintSeal } from "../src/seal.ts";
import { settle } from "./support/clock.ts";
import { FakeEnvironment } from "./support/environment.ts";
import type { FakePeerConnection } from "./support/peer-connection.ts";

interface Side {
	readonly connection: Connection;
	readonly pc: FakePeerConnection;
	readonly environment: FakeEnvironment;
	readonly sent: Counted[];
	refreshes: number;
	ended: boolean;
	/** The line to the room is away. */
	away: boolean;
	/** The line takes what is said. */
	takes: boolean;
}

function side(self: string, peer: string, politeness: Politeness, seal: DescriptionSeal | null = null): Side {
	const environment = new FakeEnvironment();
	const sent: Counted[] = [];
	const made: { side: Side | null } = { side: null };
	const parts: ConnectionParts = {
		self,
		peer,
		politeness: () => politeness,
		isAway: () => made.side?.away ?? false,
		generation: 1,
		environment,
		seal,
		configuration: () => ({ iceServers: [{ urls: `stun:${made.side?.refreshes ?? 0}` }] }),
		refreshIce: async () => {
			if (made.side !== null) made.side.refreshes += 1;
		},
		send: (message) => {
			if (made.side?.takes === false) return false;
			sent.push(message);
			return true;
		},
		ended: () => {
			if (made.side !== null) made.side.ended = true;
		},
	};
	const connection = new Connection(parts);
	const [pc] = environment.connections;
	if (pc === undefined) throw new Error("a connection makes a peer connection");
	made.side = { connection, pc, environment, sent, refreshes: 0, ended: false, away: false, takes: true };
	return made.side;
}

/** Carries messages between both sides until it is as the test wants it; the test's own time limit ends it otherwise. */
async function exchange(a: Side, b: Side, done: () => boolean): Promise<void> {
	while (!done()) {
		await settle();
		const messages = [
			...a.sent.splice(0).map((m) => [m, b] as const),
			...b.sent.splice(0).map((m) => [m, a] as const),
		];
		for (const [message, to] of messages) {
			if (message.type === "offer" || message.type === "answer" || message.type === "candidate") {
				to.connection.onSignal(message);
			}
		}
	}
}

/** Both have both descriptions. */
const agreed = (a: Side, b: Side) => () =>
	a.pc.signalingState === "stable" &&
	b.pc.signalingState === "stable" &&
	a.pc.localDescription !== null &&
	a.pc.remoteDescription?.sdp === b.pc.localDescription?.sdp &&
	b.pc.remoteDescription?.sdp === a.pc.localDescription?.sdp;

const candidate = (text: string) => ({
	candidate: text,
	sdpMid: "0",
	sdpMLineIndex: 0,
	usernameFragment: null,
});

describe("negotiation", () => {
	test("one offer is answered", async () => {
		const [alice, bob] = [side("alice", "bob", "impolite"), side("bob", "alice", "polite")];
		alice.pc.need();
		await exchange(alice, bob, agreed(alice, bob));
		expect(alice.pc.localDescription?.type).toBe("offer");
	});

	test("when offers cross, the impolite side's counts first and the polite side's follows", async () => {
		const [alice, bob] = [side("alice", "bob", "impolite"), side("bob", "alice", "polite")];
		alice.pc.need();
		bob.pc.need();
		// The last offer is the polite side's own, made when the impolite side's was answered.
		await exchange(alice, bob, () => bob.pc.localDescription?.type === "offer" && agreed(alice, bob)());
		expect(alice.pc.localDescription?.type).toBe("answer");
	});

	test("candidates that come before the description wait for it", async () => {
		const bob = side("bob", "alice", "polite");
		bob.connection.onSignal({ type: "candidate", candidate: { candidate: "first" } });
		bob.connection.onSignal({ type: "end-of-candidates" });
		await settle();
		expect(bob.pc.candidates).toEqual([]);
		bob.connection.onSignal({ type: "offer", sdp: "v=0\r\n" });
		await settle();
		await settle();
		expect(bob.pc.candidates).toEqual([{ candidate: "first" }, null]);
	});

	test("a description leaves before its candidates, however long its seal takes", async () => {
		let finish = () => {};
		const slow: DescriptionSeal = {
			seal: (sdp) =>
				new Promise((resolve) => {
					finish = () => resolve(sdp);
				}),
			open: async (sdp) => sdp,
		};
		const alice = side("alice", "bob", "impolite", slow);
		alice.pc.need();
		await settle();
		await settle();
		alice.pc.onicecandidate?.({ candidate: candidate("first") });
		alice.pc.onicecandidate?.({ candidate: candidate("") });
		alice.pc.onicecandidate?.({ candidate: null });
		await settle();
		expect(alice.sent).toEqual([]);
		finish();
		await settle();
		expect(alice.sent.map(({ type }) => type)).toEqual(["offer", "candidate", "end-of-candidates"]);
		expect(alice.sent[1]).toEqual({
			type: "candidate",
			to: "bob",
			candidate: { candidate: "first", sdpMid: "0", sdpMLineIndex: 0 },
		});
	});
});

describe("authenticity", () => {
	const key = (byte: number) => fingerprintSeal(new Uint8Array(16).fill(byte));

	test("two sides with the same key connect", async () => {
		const [alice, bob] = [side("alice", "bob", "impolite", key(1)), side("bob", "alice", "polite", key(1))];
		alice.pc.need();
		await exchange(alice, bob, agreed(alice, bob));
		expect(alice.connection.state.kind).toBe("connecting");
	});

	test("a side with another key ends the connection before it touches the description", async () => {
		const [alice, bob] = [side("alice", "bob", "impolite", key(1)), side("bob", "alice", "polite", key(2))];
		alice.pc.need();
		await exchange(alice, bob, () => bob.ended);
		expect(bob.connection.state).toEqual({ kind: "ended", reason: "not-authentic" });
		expect(bob.pc.remoteDescription).toBeNull();
	});
});

describe("a break", () => {
	const connected = async () => {
		const alice = side("alice", "bob", "impolite");
		alice.pc.become("connected");
		await settle();
		alice.pc.calls.length = 0;
		return alice;
	};

	test("that heals within two seconds changes nothing", async () => {
		const alice = await connected();
		alice.pc.become("disconnected");
		expect(alice.connection.state.kind).toBe("interrupted");
		await alice.environment.clock.advance(1_999);
		alice.pc.become("connected");
		await alice.environment.clock.advance(60_000);
		expect(alice.pc.calls).toEqual([]);
		expect(alice.connection.state.kind).toBe("connected");
	});

	test("of more than two seconds restarts ICE with fresh credentials", async () => {
		const alice = await connected();
		alice.pc.become("disconnected");
		await alice.environment.clock.advance(2_000);
		expect(alice.refreshes).toBe(1);
		expect(alice.pc.calls).toEqual(["setConfiguration", "restartIce"]);
		expect(alice.pc.configuration.iceServers).toEqual([{ urls: "stun:1" }]);
	});

	test("that ICE itself gives up on restarts at once", async () => {
		const alice = await connected();
		alice.pc.become("failed");
		await settle();
		expect(alice.pc.calls).toEqual(["setConfiguration", "restartIce"]);
	});

	test("that three restarts do not heal is the end", async () => {
		const alice = await connected();
		alice.pc.become("failed");
		await alice.environment.clock.advance(44_999);
		expect(alice.pc.calls.filter((call) => call === "restartIce")).toHaveLength(3);
		expect(alice.connection.state.kind).toBe("interrupted");
		await alice.environment.clock.advance(1);
		expect(alice.connection.state).toEqual({ kind: "ended", reason: "unreachable" });
		expect(alice.pc.calls.at(-1)).toBe("close");
	});

	test("after a healed one has all its attempts again", async () => {
		const alice = await connected();
		alice.pc.become("failed");
		await alice.environment.clock.advance(20_000);
		alice.pc.become("connected");
		alice.pc.become("failed");
		await alice.environment.clock.advance(44_999);
		expect(alice.connection.state.kind).toBe("interrupted");
	});
});

describe("the line to the room", () => {
	const types = ({ sent }: Side) => sent.map(({ type }) => type);
	const offered = async () => {
		const alice = side("alice", "bob", "impolite");
		alice.pc.need();
		await settle();
		await settle();
		expect(types(alice)).toEqual(["offer"]);
		return alice;
	};

	test("that lost something hears an unanswered offer again, the same one", async () => {
		const alice = await offered();
		alice.connection.onLine({ kind: "lossy", unsure: [] });
		await settle();
		await settle();
		const [first, ...again] = alice.sent;
		expect(again.length).toBeGreaterThan(0);
		for (const message of again) expect(message).toEqual(first);
	});

	test("that may have lost an answer hears it again", async () => {
		const [alice, bob] = [await offered(), side("bob", "alice", "polite")];
		await exchange(alice, bob, agreed(alice, bob));
		for (const each of [alice, bob]) each.pc.become("connected");
		const answer: Counted = { type: "answer", to: "alice", sdp: "" };
		bob.connection.onLine({ kind: "lossy", unsure: [answer] });
		alice.connection.onLine({ kind: "lossy", unsure: [] });
		await settle();
		expect([types(alice), types(bob)]).toEqual([[], ["answer"]]);
	});

	test("that took no more hears what it missed when it has room again", async () => {
		const alice = side("alice", "bob", "impolite");
		alice.takes = false;
		alice.pc.need();
		await settle();
		await settle();
		expect(types(alice)).toEqual([]);
		alice.takes = true;
		alice.connection.onLine({ kind: "whole" });
		await settle();
		expect(types(alice)).toEqual(["offer"]);
	});

	test("that is away makes attempts wait, and nothing is said twice when it is back", async () => {
		const alice = await offered();
		alice.away = true;
		await alice.environment.clock.advance(120_000);
		expect(alice.pc.calls).toEqual([]);
		expect(alice.connection.state.kind).toBe("connecting");
		alice.away = false;
		alice.connection.onLine({ kind: "whole" });
		await settle();
		expect(alice.pc.calls).toEqual(["setConfiguration", "restartIce"]);
	});
});

test("an offer that nobody answers is made again with each attempt", async () => {
	const alice = side("alice", "bob", "impolite");
	alice.pc.need();
	await settle();
	await settle();
	await alice.environment.clock.advance(15_000);
	await settle();
	expect(alice.sent.map(({ type }) => type)).toEqual(["offer", "offer"]);
});

test("a connection that never comes about ends", async () => {
	const alice = side("alice", "bob", "impolite");
	await alice.environment.clock.advance(15_000 * 4);
	expect(alice.connection.state).toEqual({ kind: "ended", reason: "unreachable" });
});

test("what comes after the end is ignored", async () => {
	const alice = side("alice", "bob", "impolite");
	const states: string[] = [];
	alice.connection.on("state", ({ kind }) => states.push(kind));
	alice.connection.close();
	alice.connection.close();
	alice.connection.onSignal({ type: "offer", sdp: "v=0\r\n" });
	await alice.environment.clock.advance(60_000);
	await alice.connection.restart();
	expect(alice.pc.calls).toEqual(["close"]);
	expect(states).toEqual(["ended"]);
	expect(await alice.connection.path()).toBeNull();
});
