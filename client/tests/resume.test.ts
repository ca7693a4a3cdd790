//! A session survives its WebSocket: it comes back by itself, hears each event once and says each message once.

import { describe, expect, test } from "vitest";
import { CLOSE_CODES } from "../src/codes.ts";
import { isRecord } from "../src/guard.ts";
import { joinRoom } from "../src/join.ts";
import type { Status } from "../src/line.ts";
import type { Session, SessionEvents } from "../src/session.ts";
import { settle } from "./support/clock.ts";
import { FakeEnvironment } from "./support/environment.ts";
import { HOUR_MS, resumed, resync, welcome } from "./support/room.ts";

interface Stay {
	readonly session: Session;
	readonly environment: FakeEnvironment;
	readonly statuses: Status[];
	readonly resumed: SessionEvents["resumed"][];
	readonly resynced: SessionEvents["resynced"][];
	readonly heard: unknown[];
}

/** Alice, in the room for a minute. */
async function stay(): Promise<Stay> {
	const environment = new FakeEnvironment();
	const joining = joinRoom({ server: "http://localhost:8080", room: "kitchen", environment });
	await settle();
	environment.open();
	environment.say(welcome(environment));
	const session = await joining;
	const all: Stay = { session, environment, statuses: [], resumed: [], resynced: [], heard: [] };
	session.on("status", (status) => all.statuses.push(status));
	session.on("resumed", (facts) => all.resumed.push(facts));
	session.on("resynced", (facts) => all.resynced.push(facts));
	session.on("app", ({ data }) => all.heard.push(data));
	await environment.clock.advance(60_000);
	return all;
}

/** The WebSocket breaks, the next one opens, and the server answers `resume`. */
async function comeBack(environment: FakeEnvironment, answer: object): Promise<void> {
	environment.closeSocket(1006);
	await environment.clock.advance(0);
	environment.open();
	environment.say(answer);
	await settle();
}

const app = (seq: number, data: unknown) => ({ type: "app", seq, from: "bob", data });
const kinds = (statuses: readonly Status[]) => statuses.map(({ kind }) => kind);

/** What the application said on the WebSocket of the moment. */
const said = ({ socket }: FakeEnvironment): unknown[] =>
	socket.sent.flatMap((message) => (isRecord(message) && message["type"] === "app" ? [message["data"]] : []));

const resumesIn = ({ socket }: FakeEnvironment) =>
	socket.sent.filter((message) => isRecord(message) && message["type"] === "resume");

describe("after a break", () => {
	test("the next WebSocket is opened at once, and says who and how far", async () => {
		const { environment, statuses, session } = await stay();
		environment.say(app(7, "hello"));
		environment.closeSocket(1006);
		expect(session.status).toEqual({ kind: "reconnecting", since: environment.now(), attempt: 1 });
		await environment.clock.advance(0);
		expect(environment.sockets).toHaveLength(2);
		environment.open();
		expect(environment.socket.sent).toEqual([
			{ type: "resume", version: 1, token: "resume-1", epoch: 1, seq: 7 },
		]);
		environment.say(resumed(environment, { seq: 9 }));
		expect(kinds(statuses)).toEqual(["reconnecting", "connected"]);
		expect(session.closed).toBeNull();
	});

	test("missed events follow, and none is heard twice", async () => {
		const { environment, heard, resumed: told, session } = await stay();
		environment.say(app(3, "first"));
		environment.closeSocket(1006);
		await environment.clock.advance(0);
		await environment.clock.advance(1_500);
		environment.open();
		environment.say(resumed(environment, { seq: 5 }));
		for (const [seq, data] of [
			[3, "first"],
			[4, "second"],
			[5, "third"],
		] as const) {
			environment.say(app(seq, data));
		}
		environment.say(app(5, "third"));
		expect(heard).toEqual(["first", "second", "third"]);
		expect(session.duplicates).toBe(2);
		expect(told).toEqual([{ awayMs: 1_500, repeated: 0 }]);
	});

	test("the position is what was heard, not what the server promised", async () => {
		const { environment } = await stay();
		await comeBack(environment, resumed(environment, { seq: 9 }));
		environment.say(app(5, "one of several"));
		environment.closeSocket(1006);
		await environment.clock.advance(60_000);
		environment.open();
		expect(resumesIn(environment)).toEqual([
			{ type: "resume", version: 1, token: "resume-1", epoch: 1, seq: 5 },
		]);
	});

	test("the latest token counts", async () => {
		const { environment } = await stay();
		await comeBack(environment, resumed(environment, { resumeToken: "resume-2" }));
		await environment.clock.advance(60_000);
		environment.closeSocket(1006);
		await environment.clock.advance(0);
		environment.open();
		expect(resumesIn(environment)).toMatchObject([{ token: "resume-2" }]);
	});

	test("what arrives before the server's answer is nobody's", async () => {
		const { environment, heard } = await stay();
		environment.closeSocket(1006);
		await environment.clock.advance(0);
		environment.open();
		environment.say(app(3, "too early"));
		environment.say({ type: "degraded", since: 1 });
		expect(heard).toEqual([]);
		environment.say(resumed(environment));
		environment.say(app(3, "in time"));
		expect(heard).toEqual(["in time"]);
	});

	test("a WebSocket that was given up has no say any more", async () => {
		const { environment, heard, session } = await stay();
		const [old] = environment.sockets;
		await comeBack(environment, resumed(environment));
		expect([old?.onmessage, old?.onclose, old?.onopen]).toEqual([null, null, null]);
		environment.say(app(3, "new"));
		expect(heard).toEqual(["new"]);
		expect(session.status.kind).toBe("connected");
	});
});

describe("attempts", () => {
	/** The times between them, with the longest waits that luck allows. */
	async function waits(count: number): Promise<number[]> {
		const { environment } = await stay();
		environment.luck = 1;
		environment.online = false;
		environment.closeSocket(1006);
		const times: number[] = [];
		let last = environment.now();
		for (let attempt = 0; attempt < count; attempt++) {
			const before = environment.sockets.length;
			while (environment.sockets.length === before) await environment.clock.advance(10);
			times.push(Math.round((environment.now() - last) / 50) * 50);
			last = environment.now();
			environment.closeSocket(1006);
		}
		return times;
	}

	test("are made at once, then further and further apart", async () => {
		expect(await waits(9)).toEqual([0, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
	});

	test("that reach nobody end after ten seconds, and not as a farewell", async () => {
		const { environment } = await stay();
		environment.closeSocket(1006);
		await environment.clock.advance(10_000);
		expect(environment.sockets).toHaveLength(3);
		expect(environment.sockets[1]?.closeCode).toBe(4000);
	});

	test("wait for a server that has to find the room's next owner, and no longer", async () => {
		const { environment, resynced: told } = await stay();
		environment.closeSocket(1006);
		await environment.clock.advance(9_000);
		environment.open();
		await environment.clock.advance(12_000);
		environment.say(resync(environment));
		await settle();
		expect(environment.sockets).toHaveLength(2);
		expect(told).toHaveLength(1);
		environment.closeSocket(1006);
		await environment.clock.advance(0);
		environment.open();
		await environment.clock.advance(15_000);
		expect(environment.sockets).toHaveLength(4);
		expect(environment.sockets[2]?.closeCode).toBe(4000);
	});

	test("are made at once when a network comes", async () => {
		const { environment, statuses } = await stay();
		environment.luck = 1;
		environment.closeSocket(1006);
		for (let i = 0; i < 6; i++) {
			await environment.clock.advance(10_000);
			if (environment.sockets.length < 6) environment.closeSocket(1006);
		}
		const before = environment.sockets.length;
		environment.changeNetwork();
		expect(environment.sockets).toHaveLength(before + 1);
		expect(statuses.at(-1)).toMatchObject({ kind: "reconnecting", attempt: 1 });
	});

	test("do not hammer a server that lets us in and breaks again", async () => {
		const { environment } = await stay();
		environment.luck = 1;
		for (let i = 0; i < 3; i++) {
			environment.closeSocket(1006);
			await environment.clock.advance(i === 0 ? 0 : 250 * 2 ** (i - 1));
			expect(environment.sockets).toHaveLength(i + 2);
			environment.open();
			environment.say(resumed(environment));
		}
		await environment.clock.advance(10_000);
		environment.closeSocket(1006);
		await environment.clock.advance(0);
		expect(environment.sockets).toHaveLength(5);
	});
});

describe("a session ends for good", () => {
	const CODES = CLOSE_CODES;

	test.each([
		[CODES["resume-refused"], true],
		[CODES["token-refused"], true],
		[CODES.kicked, false],
		[CODES["room-not-found"], false],
		[CODES.displaced, false],
		[CODES["room-closed"], false],
		[CODES["room-full"], false],
		[CODES["rate-limited"], false],
		[CODES["bad-message"], false],
	])("when the server answers with %d; joining anew makes sense: %j", async (code, reconnect) => {
		const { environment, session, statuses } = await stay();
		environment.closeSocket(1006);
		await environment.clock.advance(0);
		environment.open();
		environment.say({ type: "error", code: "anything", message: "What happened." });
		environment.say({ type: "closing", code, reason: "a-reason", reconnect: false });
		environment.closeSocket(code, "a-reason");
		expect(session.closed).toEqual({ code, reason: "a-reason", message: "What happened.", reconnect });
		expect(kinds(statuses)).toEqual(["reconnecting", "closed"]);
		await environment.clock.advance(HOUR_MS);
		expect(environment.sockets).toHaveLength(2);
		expect(environment.watched).toBe(false);
	});

	test.each([1001, 1006, 1011, 1012, 4408, 4500, 4503, 4508])("but not with %d", async (code) => {
		const { environment, session } = await stay();
		environment.closeSocket(code);
		await environment.clock.advance(0);
		expect(environment.sockets).toHaveLength(2);
		expect(session.closed).toBeNull();
	});

	test("and what the server says last counts more than the number", async () => {
		const { environment, session } = await stay();
		environment.say({ type: "closing", code: 4503, reason: "draining", reconnect: true });
		environment.closeSocket(1000);
		expect(session.status.kind).toBe("reconnecting");
	});

	test("when nobody can be reached for half a minute after the server has given the place away", async () => {
		const { environment, session } = await stay();
		environment.closeSocket(1006);
		const lostAt = environment.now();
		while (session.closed === null) {
			await environment.clock.advance(5_000);
			if (environment.sockets.length > 1 && session.closed === null) environment.closeSocket(1006);
		}
		expect(session.closed).toEqual({
			code: 1006,
			reason: "connection-lost",
			message: null,
			reconnect: true,
		});
		expect(environment.now() - lostAt).toBeGreaterThanOrEqual(60_000);
		expect(environment.now() - lostAt).toBeLessThan(70_000);
	});

	test("but not while the device has no network at all", async () => {
		const { environment, session } = await stay();
		environment.online = false;
		environment.closeSocket(1006);
		for (let minute = 0; minute < 20; minute++) {
			await environment.clock.advance(30_000);
			environment.closeSocket(1006);
		}
		expect(session.status.kind).toBe("reconnecting");
	});
});

describe("a server that says nothing any more", () => {
	test("is noticed, given up without a farewell, and looked for anew", async () => {
		const { environment } = await stay();
		const [first] = environment.sockets;
		environment.answersPings = false;
		await environment.clock.advance(61_000);
		expect(first?.closeCode).toBe(4000);
		expect(first?.types).not.toContain("leave");
		expect(environment.sockets.length).toBeGreaterThan(1);
	});

	test("is noticed within seconds when the network changed", async () => {
		const { environment } = await stay();
		environment.answersPings = false;
		environment.changeNetwork();
		await environment.clock.advance(5_000);
		expect(environment.sockets).toHaveLength(2);
	});

	test("is left alone if it answers", async () => {
		const { environment } = await stay();
		environment.changeNetwork();
		await environment.clock.advance(10_000);
		expect(environment.sockets).toHaveLength(1);
	});
});

describe("what is said", () => {
	test("while nobody listens waits, and goes out in order", async () => {
		const { environment, session, resumed: told } = await stay();
		session.sendApp(1);
		environment.closeSocket(1006);
		session.sendApp(2);
		await environment.clock.advance(0);
		environment.open();
		session.sendApp(3);
		expect(said(environment)).toEqual([]);
		environment.say(resumed(environment, { received: 0 }));
		session.sendApp(4);
		expect(said(environment)).toEqual([1, 2, 3, 4]);
		expect(told).toMatchObject([{ repeated: 1 }]);
	});

	test("and arrived is not said again", async () => {
		const { environment, session } = await stay();
		session.sendApp(1);
		session.sendApp(2);
		await comeBack(environment, resumed(environment, { received: 1 }));
		expect(said(environment)).toEqual([2]);
	});

	test("is forgotten when a pong says that it arrived", async () => {
		const { environment, session } = await stay();
		for (let i = 0; i < 63; i++) session.sendApp(i);
		environment.received = 64;
		// The 64th makes the client ask.
		session.sendApp(63);
		expect(environment.socket.types.at(-1)).toBe("ping");
		await comeBack(environment, resumed(environment, { received: 64 }));
		expect(said(environment)).toEqual([]);
		session.sendApp("next");
		expect(said(environment)).toEqual(["next"]);
	});

	test("is refused by name when too much waits, and taken again later", async () => {
		const { environment, session } = await stay();
		environment.closeSocket(1006);
		for (let i = 0; i < 256; i++) session.sendApp(i);
		expect(() => session.sendApp("more")).toThrow(expect.objectContaining({ code: "outgoing-full" }));
		expect(() => session.sendApp("x".repeat(70_000))).toThrow(expect.objectContaining({ code: "too-large" }));
		await environment.clock.advance(0);
		environment.received = 256;
		environment.open();
		environment.say(resumed(environment, { received: 0 }));
		expect(said(environment)).toHaveLength(256);
		session.sendApp("more");
		expect(said(environment).at(-1)).toBe("more");
	});

	test("is not said again where nobody knows whether it arrived, and the app is told", async () => {
		const { environment, session, resynced } = await stay();
		session.sendApp("perhaps");
		environment.closeSocket(1006);
		session.sendApp("surely not");
		await environment.clock.advance(0);
		environment.open();
		environment.say(resync(environment, { epoch: 2 }));
		expect(said(environment)).toEqual(["surely not"]);
		expect(resynced).toEqual([{ awayMs: 0, unsure: [{ type: "app", data: "perhaps" }] }]);
	});

	test("goes on where it was after a resync that knows", async () => {
		const { environment, session, resynced } = await stay();
		session.sendApp(1);
		session.sendApp(2);
		await comeBack(environment, resync(environment, { epoch: 2, received: 1 }));
		expect(said(environment)).toEqual([2]);
		expect(resynced).toMatchObject([{ unsure: [] }]);
	});
});

describe("an owner that another one has replaced", () => {
	test.each(["resumed", "resync"] as const)(
		"has no say with %s: another WebSocket is opened",
		async (kind) => {
			const { environment, session } = await stay();
			await comeBack(environment, resync(environment, { epoch: 5, seq: 3, received: 0 }));
			environment.closeSocket(1006);
			await environment.clock.advance(1_000);
			environment.open();
			const answer = kind === "resumed" ? resumed : resync;
			environment.say(answer(environment, { epoch: 4, seq: 99, resumeToken: "old", received: 0 }));
			expect(environment.socket.closeCode).toBe(4000);
			expect(session.status.kind).toBe("reconnecting");
			await environment.clock.advance(1_000);
			environment.open();
			expect(resumesIn(environment)).toMatchObject([{ token: "resume-1", epoch: 5, seq: 3 }]);
		},
	);
});

describe("a new owner on a WebSocket that stands", () => {
	test("goes on with the numbers, and nothing is said again", async () => {
		const { environment, session, heard, statuses } = await stay();
		session.sendApp("on its way");
		environment.say(app(3, "before"));
		environment.say(resumed(environment, { epoch: 2, received: 0, resumeToken: "resume-2" }));
		environment.say(app(3, "before"));
		environment.say(app(4, "after"));
		expect(said(environment)).toEqual(["on its way"]);
		expect(heard).toEqual(["before", "after"]);
		expect(statuses).toEqual([]);
	});

	test("that set the room up again says how it stands", async () => {
		const { environment, session, resynced } = await stay();
		session.sendApp("on its way");
		environment.say(resync(environment, { epoch: 2, seq: 1, received: 0, peers: [] }));
		expect([...session.peers.keys()]).toEqual([]);
		expect(resynced).toEqual([{ awayMs: 0, unsure: [] }]);
		expect(said(environment)).toEqual(["on its way"]);
		expect(environment.sockets).toHaveLength(1);
	});

	test("that does not know what arrived makes the client begin a clear WebSocket", async () => {
		const { environment, resynced } = await stay();
		environment.say(resync(environment, { epoch: 2 }));
		expect(environment.socket.closeCode).toBe(4000);
		expect(resynced).toEqual([]);
		await environment.clock.advance(0);
		environment.open();
		environment.say(resync(environment, { epoch: 2 }));
		expect(resynced).toHaveLength(1);
	});
});

test("degraded and recovered are told", async () => {
	const { environment, session, statuses } = await stay();
	environment.say({ type: "degraded", since: 1_700_000_000 });
	expect(session.status).toEqual({ kind: "degraded", since: 1_700_000_000_000 });
	environment.say({ type: "recovered" });
	expect(kinds(statuses)).toEqual(["degraded", "connected"]);
});

describe("a resync", () => {
	test("tells what changed, once and in a sensible order", async () => {
		const { environment, session } = await stay();
		environment.say({ type: "state", seq: 3, key: "slide", value: 1, by: "bob" });
		environment.say({ type: "state", seq: 4, key: "kept", value: { a: 1 }, by: "bob" });
		environment.say({ type: "knock", seq: 5, peer: { id: "dave" } });
		const seen: unknown[] = [];
		session.on("peer-left", ({ peer, reason }) => seen.push(`-${peer.id} ${reason}`));
		session.on("peer-joined", ({ id }) => seen.push(`+${id}`));
		session.on("peer-role", ({ peer, role }) => seen.push(`${peer} is ${role}`));
		session.on("state", ({ key, entry }) => seen.push(`${key}=${JSON.stringify(entry?.value ?? null)}`));
		session.on("locked", ({ locked }) => seen.push(`locked ${locked}`));
		session.on("knock", ({ id }) => seen.push(`knock ${id}`));
		session.on("knock-gone", ({ id }) => seen.push(`gone ${id}`));
		session.on("resynced", () => seen.push("resynced"));
		await comeBack(
			environment,
			resync(environment, {
				epoch: 2,
				role: "guest",
				peers: [{ id: "carol", role: "guest", youAre: "impolite" }],
				state: [
					{ key: "kept", value: { a: 1 }, by: "bob" },
					{ key: "title", value: "Kitchen", by: "carol" },
				],
				locked: true,
				waiting: [{ id: "erin" }],
			}),
		);
		expect(seen).toEqual([
			"-bob disconnected",
			"+carol",
			"alice is guest",
			"locked true",
			"slide=null",
			'title="Kitchen"',
			"gone dave",
			"knock erin",
			"resynced",
		]);
	});

	test("keeps the connections of peers that are still there, and leaves what works alone", async () => {
		const { environment, session } = await stay();
		environment.say({
			type: "peer-joined",
			seq: 3,
			peer: { id: "carol", role: "guest", youAre: "impolite" },
		});
		const [bob, carol] = [session.connect("bob"), session.connect("carol")];
		const [healthy, broken] = environment.connections;
		healthy?.become("connected");
		broken?.become("connected");
		broken?.become("disconnected");
		const fresh = [{ urls: ["turn:fresh"] }];
		await comeBack(
			environment,
			resync(environment, {
				epoch: 2,
				iceServers: fresh,
				peers: [
					{ id: "bob", role: "guest", youAre: "polite" },
					{ id: "carol", role: "guest", youAre: "impolite" },
				],
			}),
		);
		expect([bob.state.kind, carol.state.kind]).toEqual(["connected", "interrupted"]);
		expect(healthy?.calls).toEqual(["setConfiguration"]);
		expect(broken?.calls).toContain("restartIce");
		expect(healthy?.configuration.iceServers).toEqual(fresh);
	});

	test("leaves the connection of a peer that is gone to ICE", async () => {
		const { environment, session } = await stay();
		const bob = session.connect("bob");
		environment.connections[0]?.become("connected");
		await comeBack(environment, resync(environment, { epoch: 2, peers: [] }));
		expect(bob.state.kind).toBe("connected");
	});
});

describe("connections, while the server is away,", () => {
	test("that break spend no attempts, and try at once when it is back", async () => {
		const { environment, session } = await stay();
		const bob = session.connect("bob");
		const [pc] = environment.connections;
		pc?.become("connected");
		environment.closeSocket(1006);
		pc?.become("disconnected");
		for (let i = 0; i < 11; i++) {
			await environment.clock.advance(5_000);
			environment.closeSocket(1006);
		}
		expect(bob.state.kind).toBe("interrupted");
		expect(pc?.calls).toEqual([]);
		await environment.clock.advance(15_000);
		environment.open();
		environment.say(resumed(environment));
		await settle();
		expect(pc?.calls).toEqual(["setConfiguration", "setConfiguration", "restartIce"]);
	});

	test("that stand go on without a word", async () => {
		const { environment, session } = await stay();
		session.connect("bob");
		const [pc] = environment.connections;
		pc?.become("connected");
		await comeBack(environment, resumed(environment));
		expect(pc?.calls).toEqual(["setConfiguration"]);
	});

	test("look for new ways when it is back and the network is another", async () => {
		const { environment, session } = await stay();
		session.connect("bob");
		const [pc] = environment.connections;
		pc?.become("connected");
		environment.closeSocket(1006);
		environment.changeNetwork();
		expect(pc?.calls).toEqual([]);
		environment.open();
		environment.say(resumed(environment));
		await settle();
		expect(pc?.calls).toContain("restartIce");
	});

	test("end as ever when it is gone for good", async () => {
		const { environment, session } = await stay();
		const bob = session.connect("bob");
		const [pc] = environment.connections;
		pc?.become("connected");
		environment.closeSocket(1006);
		pc?.become("failed");
		await environment.clock.advance(0);
		environment.closeSocket(4410, "room-closed");
		expect(bob.state.kind).toBe("interrupted");
		await environment.clock.advance(45_000);
		expect(bob.state).toEqual({ kind: "ended", reason: "unreachable" });
	});
});
