//! A stay in a room: joining, credentials, signs of life, and how it ends.

import { describe, expect, test } from "vitest";
import { CausewayError } from "../src/error.ts";
import { isRecord } from "../src/guard.ts";
import { type JoinOptions, joinRoom } from "../src/join.ts";
import type { Closed } from "../src/line.ts";
import { settle } from "./support/clock.ts";
import { FakeEnvironment } from "./support/environment.ts";
import { HOUR_MS, welcome } from "./support/room.ts";

async function join(
	environment = new FakeEnvironment(),
	more: Partial<JoinOptions> = {},
	snapshot: object = {},
) {
	const joining = joinRoom({ server: "http://localhost:8080", room: "kitchen", environment, ...more });
	await settle();
	environment.open();
	environment.say(welcome(environment, snapshot));
	return { session: await joining, environment, socket: environment.socket };
}

const relayed = [
	["t", { type: "transport", selectedCandidatePairId: "p" }],
	["p", { type: "candidate-pair", localCandidateId: "l", remoteCandidateId: "r" }],
	["l", { type: "local-candidate", candidateType: "relay", protocol: "udp" }],
	["r", { type: "remote-candidate", candidateType: "host", protocol: "udp" }],
] as const;

describe("joining", () => {
	test("asks for a token, says hello with it, and is welcomed", async () => {
		const { session, environment, socket } = await join(new FakeEnvironment(), {
			server: "https://north.gov/causeway",
			password: "open sesame",
		});
		const [request] = environment.requests;
		expect(request?.url).toBe("https://north.gov/causeway/api/v1/rooms/kitchen/join");
		expect(request?.init.body).toBe(JSON.stringify({ password: "open sesame" }));
		expect(environment.address).toBe("wss://north.gov/causeway/api/v1/ws");
		expect(socket.sent).toEqual([{ type: "hello", version: 1, token: "token" }]);
		expect([...session.peers.keys()]).toEqual(["bob"]);
		expect([session.room, session.peer, session.role]).toEqual(["kitchen", "alice", "host"]);
	});

	test("a refusal over HTTP carries the server's code", async () => {
		const environment = new FakeEnvironment();
		environment.response = () =>
			Response.json({ code: "rate-limited", message: "Wait.", retryAfterSeconds: 2 }, { status: 429 });
		const refused = joinRoom({ server: "http://localhost", room: "kitchen", environment });
		await expect(refused).rejects.toEqual(new CausewayError("rate-limited", "Wait.", 2));
	});

	test("an answer that is none of ours is told apart from a refusal", async () => {
		const environment = new FakeEnvironment();
		environment.response = () => new Response("<h1>It works!</h1>", { status: 200 });
		const refused = joinRoom({ server: "http://localhost", room: "kitchen", environment });
		await expect(refused).rejects.toMatchObject({ code: "bad-answer" });
	});

	test("a refusal over the WebSocket carries the server's code", async () => {
		const environment = new FakeEnvironment();
		const joining = joinRoom({ server: "http://localhost", room: "kitchen", environment });
		await settle();
		environment.open();
		environment.say({ type: "error", code: "room-full", message: "The room is full." });
		environment.closeSocket(4413, "room-full");
		await expect(joining).rejects.toMatchObject({ code: "room-full" });
	});

	test("a server that shuts down in between is not the only one", async () => {
		const environment = new FakeEnvironment();
		const joining = joinRoom({ server: "http://localhost", room: "kitchen", environment });
		await settle();
		environment.open();
		environment.say({ type: "closing", code: 4503, reason: "draining", reconnect: true });
		environment.closeSocket(4503, "draining");
		await environment.clock.advance(250);
		expect(environment.sockets).toHaveLength(2);
		environment.open();
		expect(environment.socket.sent).toEqual([{ type: "hello", version: 1, token: "token" }]);
		environment.say(welcome(environment));
		expect((await joining).status.kind).toBe("connected");
		await environment.clock.advance(60_000);
		expect(environment.sockets).toHaveLength(2);
	});

	test("that nobody answers is given up in time", async () => {
		const environment = new FakeEnvironment();
		environment.luck = 1;
		const joining = joinRoom({ server: "http://localhost", room: "kitchen", environment });
		const refused = expect(joining).rejects.toMatchObject({ code: "join-refused" });
		await settle();
		for (let second = 0; second <= 15; second++) {
			environment.closeSocket(1006);
			await environment.clock.advance(1_000);
		}
		environment.closeSocket(1006);
		await refused;
		const { length } = environment.sockets;
		await environment.clock.advance(60_000);
		expect(environment.sockets).toHaveLength(length);
	});

	test("a server that never welcomes is left after a while", async () => {
		const environment = new FakeEnvironment();
		const joining = joinRoom({ server: "http://localhost", room: "kitchen", environment });
		const refused = expect(joining).rejects.toMatchObject({ code: "join-refused" });
		await settle();
		await environment.clock.advance(15_000);
		expect(environment.socket.closedByClient).toBe(true);
		await refused;
	});
});

describe("a lobby", () => {
	const wait = async (more: Partial<JoinOptions> = {}) => {
		const environment = new FakeEnvironment();
		let waits = 0;
		const onWaiting = () => {
			waits += 1;
		};
		const joining = joinRoom({
			server: "http://localhost",
			room: "kitchen",
			environment,
			onWaiting,
			...more,
		});
		await settle();
		environment.open();
		environment.say({ type: "waiting" });
		return { environment, joining, waits };
	};

	test("is waited in for as long as it takes, with signs of life", async () => {
		const { environment, joining, waits } = await wait();
		await environment.clock.advance(600_000);
		expect(environment.socket.types.filter((type) => type === "ping")).toHaveLength(40);
		environment.say(welcome(environment));
		expect((await joining).peer).toBe("alice");
		expect(waits).toBe(1);
	});

	test("that a host lets nobody out of carries the server's code", async () => {
		const { environment, joining } = await wait();
		environment.say({ type: "error", code: "entry-denied", message: "A host did not let you in." });
		environment.closeSocket(4403, "kicked");
		await expect(joining).rejects.toMatchObject({ code: "entry-denied" });
		await environment.clock.advance(60_000);
		expect(environment.sockets).toHaveLength(1);
	});

	test("can be given up", async () => {
		const abort = new AbortController();
		const { environment, joining } = await wait({ signal: abort.signal });
		abort.abort(new Error("enough"));
		await expect(joining).rejects.toThrow("enough");
		expect(environment.socket.closedByClient).toBe(true);
	});

	test("with a dead network is not waited in", async () => {
		const { environment, joining } = await wait();
		const refused = expect(joining).rejects.toMatchObject({ code: "join-refused" });
		environment.answersPings = false;
		await environment.clock.advance(60_000);
		expect(environment.socket.closedByClient).toBe(true);
		await refused;
	});
});

test("a token of the app's own server needs no HTTP", async () => {
	const { environment, socket } = await join(new FakeEnvironment(), { appToken: "minted" });
	expect(environment.requests).toEqual([]);
	expect(socket.sent).toEqual([{ type: "hello", version: 1, token: "minted" }]);
});

describe("peers", () => {
	test("come and go", async () => {
		const { session, environment } = await join();
		const seen: string[] = [];
		session.on("peer-joined", ({ id }) => seen.push(`+${id}`));
		const undo = session.on("peer-left", ({ peer, reason }) => seen.push(`-${peer.id} ${reason}`));
		environment.say({
			type: "peer-joined",
			seq: 3,
			peer: { id: "carol", role: "guest", youAre: "impolite" },
		});
		environment.say({ type: "peer-left", seq: 4, peer: "bob", reason: "left" });
		undo();
		environment.say({ type: "peer-left", seq: 5, peer: "carol", reason: "left" });
		expect(seen).toEqual(["+carol", "-bob left"]);
		expect(session.peers.size).toBe(0);
	});

	test("an offer of a peer begins a connection, told before the offer is read", async () => {
		const { session, environment } = await join();
		const seen: string[] = [];
		session.on("connection", ({ peer, pc }) => seen.push(`${peer} ${pc.signalingState}`));
		environment.say({ type: "offer", seq: 3, from: "bob", sdp: "v=0\r\n" });
		await settle();
		await settle();
		await settle();
		expect(seen).toEqual(["bob stable"]);
		expect(environment.socket.types).toContain("answer");
	});

	test("an offer of somebody who is not in the room, and a stray candidate, begin nothing", async () => {
		const { session, environment } = await join();
		environment.say({ type: "offer", seq: 3, from: "mallory", sdp: "v=0\r\n" });
		environment.say({ type: "candidate", seq: 4, from: "bob", candidate: { candidate: "x" } });
		expect(session.connections.size).toBe(0);
	});

	test("one who left takes the connection along; one who lost the server does not", async () => {
		const { session, environment } = await join();
		environment.say({
			type: "peer-joined",
			seq: 3,
			peer: { id: "carol", role: "guest", youAre: "impolite" },
		});
		const [bob, carol] = [session.connect("bob"), session.connect("carol")];
		environment.say({ type: "peer-left", seq: 4, peer: "bob", reason: "left" });
		environment.say({ type: "peer-left", seq: 5, peer: "carol", reason: "timed-out" });
		expect(bob.state).toEqual({ kind: "ended", reason: "peer-left" });
		expect(carol.state.kind).toBe("connecting");
		expect([...session.connections.keys()]).toEqual(["carol"]);
	});

	test("connect gives the same connection again, and refuses strangers", async () => {
		const { session } = await join();
		expect(session.connect("bob")).toBe(session.connect("bob"));
		expect(() => session.connect("mallory")).toThrow(expect.objectContaining({ code: "no-such-peer" }));
	});
});

describe("the room", () => {
	const stay = async () => {
		const joined = await join();
		const seen: unknown[] = [];
		const { session } = joined;
		session.on("state", (event) => seen.push(event));
		session.on("locked", (event) => seen.push(event));
		session.on("peer-role", (event) => seen.push(event));
		session.on("knock", ({ id }) => seen.push(`knock ${id}`));
		session.on("knock-gone", ({ id }) => seen.push(`gone ${id}`));
		return { ...joined, seen };
	};

	test("is as the welcome says", async () => {
		const { session } = await join(
			new FakeEnvironment(),
			{},
			{
				state: [{ key: "slide", value: { page: 7 }, by: "bob", expiresAt: 1_800_000_600 }],
				locked: true,
				lobby: true,
				waiting: [{ id: "dave", name: "Dave" }],
			},
		);
		expect([...session.state]).toEqual([
			["slide", { value: { page: 7 }, by: "bob", expiresAt: 1_800_000_600_000 }],
		]);
		expect([session.locked, session.lobby]).toEqual([true, true]);
		expect([...session.waiting.keys()]).toEqual(["dave"]);
	});

	test("changes, and says so", async () => {
		const { session, environment, seen } = await stay();
		environment.say({ type: "state", seq: 3, key: "slide", value: 7, by: "bob", expiresAt: 1_800_000_600 });
		expect(session.state.get("slide")?.value).toBe(7);
		environment.say({ type: "state", seq: 4, key: "slide", by: "bob" });
		environment.say({ type: "locked", seq: 5, locked: true, by: "bob" });
		environment.say({ type: "peer-role", seq: 6, peer: "bob", role: "host" });
		environment.say({ type: "peer-role", seq: 7, peer: "alice", role: "guest" });
		environment.say({ type: "knock", seq: 8, peer: { id: "dave" } });
		expect([...session.waiting.keys()]).toEqual(["dave"]);
		environment.say({ type: "knock-gone", seq: 9, peer: { id: "dave" } });
		expect(seen).toEqual([
			{ key: "slide", entry: { value: 7, by: "bob", expiresAt: 1_800_000_600_000 }, by: "bob" },
			{ key: "slide", entry: null, by: "bob" },
			{ locked: true, by: "bob" },
			{ peer: "bob", role: "host" },
			{ peer: "alice", role: "guest" },
			"knock dave",
			"gone dave",
		]);
		expect([session.locked, session.role, session.peers.get("bob")?.role]).toEqual([true, "guest", "host"]);
		expect([session.state.size, session.waiting.size]).toEqual([0, 0]);
	});

	test("is governed with messages as documented", async () => {
		const { session, socket } = await stay();
		session.setState("slide", { page: 7 }, { ttlSeconds: 600 });
		session.deleteState("slide");
		session.admit("dave");
		session.deny("erin");
		session.kick("bob");
		session.kick("carol", { ban: true, reason: "Please stop shouting." });
		session.lock();
		session.unlock();
		session.claimHost("token");
		expect(socket.sent.slice(1)).toEqual([
			{ type: "set-state", key: "slide", value: { page: 7 }, ttlSeconds: 600 },
			{ type: "set-state", key: "slide" },
			{ type: "admit", peer: "dave" },
			{ type: "deny", peer: "erin" },
			{ type: "kick", peer: "bob" },
			{ type: "kick", peer: "carol", ban: true, reason: "Please stop shouting." },
			{ type: "lock", locked: true },
			{ type: "lock", locked: false },
			{ type: "claim-host", token: "token" },
		]);
	});

	test("that sends a peer away ends the connection to it", async () => {
		const { session, environment } = await stay();
		const bob = session.connect("bob");
		environment.say({ type: "peer-left", seq: 3, peer: "bob", reason: "kicked" });
		expect(bob.state).toEqual({ kind: "ended", reason: "peer-left" });
	});
});

describe("a later connection to the same peer", () => {
	const generation = (sdp: unknown) => /a=causeway-generation:(\d+)/.exec(String(sdp))?.[1];
	const wait = async () => {
		for (let turn = 0; turn < 5; turn++) await settle();
	};

	test("is offered under the next generation, and the one before is silent but alive", async () => {
		const { session, environment, socket } = await join();
		const first = session.connect("bob");
		const second = session.reconnect("bob");
		const [old, pc] = environment.connections;
		old?.need();
		pc?.need();
		await wait();
		const offers = socket.sent.filter((message) => isRecord(message) && message["type"] === "offer");
		expect(offers.map((offer) => isRecord(offer) && generation(offer["sdp"]))).toEqual(["2"]);
		expect([first.generation, second.generation]).toEqual([1, 2]);
		expect(first.state.kind).toBe("connecting");
		expect(session.connections.get("bob")).toBe(second);
		await environment.clock.advance(60_000);
		expect([first.state.kind, second.state.kind]).toEqual(["connecting", "ended"]);
	});

	test("of the other side is told like a first one", async () => {
		const { session, environment } = await join();
		session.connect("bob");
		const seen: number[] = [];
		session.on("connection", (connection) => seen.push(connection.generation));
		environment.say({ type: "offer", seq: 3, from: "bob", sdp: "v=0\r\na=causeway-generation:2\r\n" });
		await wait();
		expect(seen).toEqual([2]);
		expect(generation(environment.socket.sent.map((message) => JSON.stringify(message)).join())).toBe("2");
	});

	test("is not disturbed by what was meant for the one before", async () => {
		const { session, environment } = await join();
		session.connect("bob");
		session.reconnect("bob");
		const [, pc] = environment.connections;
		environment.say({ type: "offer", seq: 3, from: "bob", sdp: "v=0\r\n" });
		environment.say({ type: "answer", seq: 4, from: "bob", sdp: "v=0\r\n" });
		await wait();
		expect(pc?.remoteDescription).toBeNull();
		expect(environment.connections).toHaveLength(2);
	});
});

describe("credentials", () => {
	test("are asked for before they expire, and applied", async () => {
		const { session, environment, socket } = await join();
		session.connect("bob");
		environment.connections[0]?.become("connected");
		await environment.clock.advance(0.89 * HOUR_MS - 1);
		expect(socket.types).not.toContain("refresh-ice");
		await environment.clock.advance(0.01 * HOUR_MS + 1);
		expect(socket.types.filter((type) => type === "refresh-ice")).toHaveLength(1);
		environment.say({
			type: "ice-servers",
			iceServers: [{ urls: ["turn:fresh"] }],
			iceExpiresAt: Math.ceil((environment.now() + HOUR_MS) / 1000),
		});
		expect(environment.connections[0]?.configuration.iceServers).toEqual([{ urls: ["turn:fresh"] }]);
	});

	test("that expire under a relayed connection make it look for a new allocation", async () => {
		const { session, environment } = await join();
		session.connect("bob");
		const [pc] = environment.connections;
		if (pc === undefined) throw new Error("connect makes one");
		pc.stats = relayed;
		pc.become("connected");
		await environment.clock.advance(0.9 * HOUR_MS);
		environment.say({
			type: "ice-servers",
			iceServers: [],
			iceExpiresAt: Math.ceil((environment.now() + HOUR_MS) / 1000),
		});
		await settle();
		expect(pc.calls).toContain("restartIce");
	});

	test("that nobody answers for are asked for again", async () => {
		const { environment, socket } = await join();
		await environment.clock.advance(0.9 * HOUR_MS + 60_000);
		expect(socket.types.filter((type) => type === "refresh-ice")).toHaveLength(3);
	});

	test("that come ahead of time do not prolong the allocations of those before", async () => {
		const { session, environment } = await join();
		session.connect("bob");
		const [pc] = environment.connections;
		if (pc === undefined) throw new Error("connect makes one");
		pc.stats = relayed;
		pc.become("connected");
		const fresh = () => ({
			type: "ice-servers",
			iceServers: [],
			iceExpiresAt: Math.ceil((environment.now() + HOUR_MS) / 1000),
		});
		await environment.clock.advance(0.8 * HOUR_MS);
		environment.say(fresh());
		await environment.clock.advance(0.1 * HOUR_MS);
		expect(environment.socket.types).toContain("refresh-ice");
		environment.say(fresh());
		await settle();
		expect(pc.calls).toContain("restartIce");
	});

	test("that do not come are not waited for: the old ones are tried", async () => {
		const { session, environment } = await join();
		session.connect("bob");
		await environment.clock.advance(10_000);
		environment.connections[0]?.become("failed");
		await environment.clock.advance(5_000);
		expect(environment.connections[0]?.calls).toEqual(["setConfiguration", "restartIce"]);
	});

	test("another network restarts every connection, with one request", async () => {
		const { session, environment, socket } = await join();
		environment.say({
			type: "peer-joined",
			seq: 3,
			peer: { id: "carol", role: "guest", youAre: "impolite" },
		});
		session.connect("bob");
		session.connect("carol");
		await environment.clock.advance(6_000);
		environment.changeNetwork();
		environment.say({
			type: "ice-servers",
			iceServers: [],
			iceExpiresAt: Math.ceil((environment.now() + HOUR_MS) / 1000),
		});
		await settle();
		expect(socket.types.filter((type) => type === "refresh-ice")).toHaveLength(1);
		expect(environment.connections.map(({ calls }) => calls.includes("restartIce"))).toEqual([true, true]);
	});

	test("the policy can be switched while connected", async () => {
		const { session, environment } = await join();
		session.connect("bob");
		const [pc] = environment.connections;
		expect(pc?.configuration.iceTransportPolicy).toBe("all");
		session.switchTransportPolicy("relay");
		await settle();
		expect(pc?.configuration.iceTransportPolicy).toBe("relay");
		expect(pc?.calls).toContain("restartIce");
	});
});

describe("the end", () => {
	const closings = async () => {
		const joined = await join();
		const seen: Closed[] = [];
		joined.session.on("closed", (closed) => seen.push(closed));
		return { ...joined, seen };
	};

	test("is told with what the server said last", async () => {
		const { environment, seen } = await closings();
		// About one message, so not about the end.
		environment.say({ type: "error", code: "peer-not-found", message: "Gone.", refused: "offer" });
		environment.say({ type: "closing", code: 4410, reason: "room-closed", reconnect: false });
		environment.closeSocket(4410, "room-closed");
		expect(seen).toEqual([{ code: 4410, reason: "room-closed", message: null, reconnect: false }]);
		expect(environment.watched).toBe(false);
	});

	test("leaves connections that stand alone", async () => {
		const { session, environment } = await closings();
		const bob = session.connect("bob");
		environment.connections[0]?.become("connected");
		environment.closeSocket(4410, "room-closed");
		expect(bob.state.kind).toBe("connected");
		expect(session.connect("bob")).toBe(bob);
		expect(() => session.connect("carol")).toThrow(expect.objectContaining({ code: "closed" }));
		expect(() => session.sendApp("more")).toThrow(expect.objectContaining({ code: "closed" }));
	});

	test("of the page is a farewell", async () => {
		const { environment, socket, seen } = await closings();
		environment.endPage();
		expect(socket.types.at(-1)).toBe("leave");
		expect(seen).toEqual([{ code: 1000, reason: "left", message: null, reconnect: false }]);
		expect(environment.watched).toBe(false);
	});

	test("leaving says so and closes every connection", async () => {
		const { session, socket, seen } = await closings();
		const bob = session.connect("bob");
		session.leave();
		session.leave();
		expect(socket.types.at(-1)).toBe("leave");
		expect(socket.closeCode).toBe(1000);
		expect(bob.state).toEqual({ kind: "ended", reason: "closed" });
		expect(seen).toEqual([{ code: 1000, reason: "left", message: null, reconnect: false }]);
	});
});

test("what is no message of ours is passed over", async () => {
	const { session, environment } = await join();
	for (const nonsense of ["", "{", "null", '{"type":"new-in-version-2"}', '{"type":"peer-left"}']) {
		environment.say(nonsense);
	}
	expect(session.closed).toBeNull();
});
