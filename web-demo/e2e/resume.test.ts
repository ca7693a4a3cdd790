//! The client against the real server, through a proxy that breaks connections: nothing is lost, nothing comes twice.

import { createRoom, joinRoom, type Session } from "@causeway/client";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { NodeEnvironment } from "./support/node.ts";
import { TcpProxy } from "./support/proxy.ts";
import { Server } from "./support/server.ts";

// More than an attempt to resume takes that nobody answers.
const RESUME_SECONDS = 15;

let server: Server;
let proxy: TcpProxy;
let environment: NodeEnvironment;
let alice: Session;
let bob: Session;

beforeAll(async () => {
	server = await Server.start({ CAUSEWAY_SIGNAL__TIMING__RESUME_SECONDS: String(RESUME_SECONDS) });
});
afterAll(() => server?.stop());

beforeEach(async () => {
	proxy = await TcpProxy.start(server.url);
	environment = new NodeEnvironment();
	const direct = { server: server.url, environment: new NodeEnvironment() };
	const { room, hostToken } = await createRoom(direct);
	bob = await joinRoom({ ...direct, room, hostToken });
	alice = await joinRoom({ server: proxy.url, environment, room });
	await expect.poll(() => bob.peers.size).toBe(1);
});
afterEach(async () => {
	for (const session of [alice, bob]) session.leave();
	await proxy.stop();
});

/** What a session hears from others, and what becomes of it. */
function listen(session: Session) {
	const heard: unknown[] = [];
	const told: string[] = [];
	session.on("app", ({ data }) => heard.push(data));
	session.on("resumed", () => told.push("resumed"));
	session.on("resynced", ({ unsure }) => told.push(`resynced, unsure of ${unsure.length}`));
	session.on("peer-left", ({ reason }) => told.push(`peer-left ${reason}`));
	session.on("peer-joined", () => told.push("peer-joined"));
	session.on("closed", ({ reason }) => told.push(`closed ${reason}`));
	return { heard, told };
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

test("a conversation over a line that breaks again and again is complete at both ends", async () => {
	const MESSAGES = 200;
	const [here, there] = [listen(alice), listen(bob)];
	// So many breaks in a row make a client wait longer and longer, unless luck has it that all waits are short.
	environment.luck = () => 0;
	let cuts = 0;
	// Both say the next thing when they hear the last; every tenth time the line breaks with something on its way.
	alice.on("app", ({ data }) => {
		const count = Number(data) + 1;
		if (count < MESSAGES) alice.sendApp(count);
		if (count % 10 !== 0) return;
		cuts += 1;
		proxy.cut();
	});
	bob.on("app", ({ data }) => bob.sendApp(data));
	alice.sendApp(0);
	await expect.poll(() => here.heard.length, { timeout: 60_000 }).toBe(MESSAGES);
	expect(here.heard).toEqual(upTo(MESSAGES));
	expect(there.heard).toEqual(upTo(MESSAGES));
	await expect.poll(() => alice.status.kind).toBe("connected");
	expect(cuts).toBe(MESSAGES / 10);
	expect(here.told.every((what) => what === "resumed")).toBe(true);
	expect(here.told.length).toBeGreaterThan(MESSAGES / 20);
	expect(there.told).toEqual([]);
	process.stdout.write(
		`  ${cuts} cuts, ${here.told.length} resumed, ${alice.duplicates} duplicates dropped\n`,
	);
});

test("what both say while the line is away arrives when it is back, in order", async () => {
	const [here, there] = [listen(alice), listen(bob)];
	proxy.become("refuse");
	proxy.cut();
	await expect.poll(() => alice.status.kind).toBe("reconnecting");
	// As much as the room keeps, and nearly as much as a client does.
	for (const number of upTo(250)) {
		alice.sendApp(number);
		bob.sendApp(number);
	}
	bob.setState("slide", { page: 7 });
	proxy.become("pass");
	environment.changeNetwork();
	await expect.poll(() => there.heard.length).toBe(250);
	await expect.poll(() => alice.state.get("slide")?.value).toEqual({ page: 7 });
	expect([here.heard, there.heard]).toEqual([upTo(250), upTo(250)]);
	expect([here.told, there.told]).toEqual([["resumed"], []]);
});

test("who was away for longer than the room remembers is told so, and sees the room as it is", async () => {
	const here = listen(alice);
	proxy.become("refuse");
	proxy.cut();
	await expect.poll(() => alice.status.kind).toBe("reconnecting");
	for (const number of upTo(300)) {
		bob.setState("counter", number);
		// The room confirms as it goes; more than it has confirmed is not taken.
		if (number % 50 === 0) await expect.poll(() => bob.state.get("counter")?.value).toBe(number);
	}
	await expect.poll(() => bob.state.get("counter")?.value).toBe(299);
	proxy.become("pass");
	environment.changeNetwork();
	await expect.poll(() => here.told).toEqual(["resynced, unsure of 0"]);
	expect(alice.state.get("counter")?.value).toBe(299);
	alice.sendApp("still here");
	const there = listen(bob);
	await expect.poll(() => there.heard).toEqual(["still here"]);
});

describe("a place in the room", () => {
	test("is kept when the client gives up a WebSocket that says nothing", async () => {
		const [here, there] = [listen(alice), listen(bob)];
		proxy.become("swallow");
		bob.sendApp("into the void");
		environment.changeNetwork();
		// Five seconds without an answer; the client closes, and the server hears it.
		await expect.poll(() => alice.status.kind, { timeout: 20_000 }).toBe("reconnecting");
		proxy.become("pass");
		await expect.poll(() => here.heard).toEqual(["into the void"]);
		expect([here.told, there.told]).toEqual([["resumed"], []]);
	});

	test("is given away after a while, and the others are told then", async () => {
		const there = listen(bob);
		proxy.become("refuse");
		proxy.cut();
		const lostAt = performance.now();
		await expect.poll(() => there.told).toEqual(["peer-left disconnected"]);
		expect(performance.now() - lostAt).toBeGreaterThan((RESUME_SECONDS - 1) * 1_000);
		expect(performance.now() - lostAt).toBeLessThan((RESUME_SECONDS + 5) * 1_000);
	});

	test("is free at once when its owner leaves", async () => {
		const there = listen(bob);
		alice.leave();
		await expect.poll(() => there.told, { timeout: 2_000 }).toEqual(["peer-left left"]);
	});

	test("that was taken by a kick is not taken back", async () => {
		const here = listen(alice);
		bob.kick(alice.peer, { reason: "Enough." });
		await expect.poll(() => here.told).toEqual(["closed kicked"]);
		expect(alice.closed?.reconnect).toBe(false);
	});
});
