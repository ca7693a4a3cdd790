//! Random breaks against a model of the server: no event is lost without a resync or heard twice, and no message is
//! processed twice, out of order, or lost without being named.

import { expect, test } from "vitest";
import { joinRoom } from "../src/join.ts";
import { settle } from "./support/clock.ts";
import { FakeEnvironment } from "./support/environment.ts";
import { ModelServer, randomFrom } from "./support/model-server.ts";

const RUNS = 400;
const STEPS = 250;
const SEED = Number(process.env["SEED"] ?? Math.floor(Math.random() * 2 ** 32));

interface Run {
	readonly server: ModelServer;
	readonly heard: number;
	readonly duplicates: number;
	readonly unsure: number;
	readonly breaks: number;
}

async function run(seed: number): Promise<Run> {
	const random = randomFrom(seed);
	const environment = new FakeEnvironment();
	environment.answersPings = false;
	const server = new ModelServer(random);
	environment.onSocket = (socket) => server.accept(socket);
	const joining = joinRoom({ server: "http://model", room: "kitchen", appToken: "minted", environment });
	await settle();
	while (server.carry()) await settle();
	const session = await joining;

	// The checker of what Alice hears: events come in order, and holes only where a snapshot filled them.
	const wrong: string[] = [];
	let [heard, count] = [0, 0];
	session.on("app", ({ data }) => {
		if (data !== heard + 1) wrong.push(`event ${data} after ${heard}`);
		heard = Number(data);
		count += 1;
	});
	const unsure = new Set<unknown>();
	session.on("resynced", (facts) => {
		const snapshot = Number(session.state.get("latest")?.value);
		if (snapshot < heard) wrong.push(`a snapshot of ${snapshot} after ${heard}`);
		heard = snapshot;
		for (const message of facts.unsure) if (message.type === "app") unsure.add(message.data);
	});
	const here = new Set(session.peers.keys());
	session.on("peer-joined", ({ id }) => {
		if (here.has(id)) wrong.push(`${id} joins twice`);
		here.add(id);
	});
	session.on("peer-left", ({ peer }) => {
		if (!here.delete(peer.id)) wrong.push(`${peer.id} leaves and was not there`);
	});
	let breaks = 0;
	session.on("status", ({ kind }) => {
		if (kind === "reconnecting") breaks += 1;
	});

	let said = 0;
	for (let step = 0; step < STEPS; step++) {
		environment.luck = random();
		const luck = random();
		if (luck < 0.25) session.sendApp(++said);
		else if (luck < 0.45) server.act();
		else if (luck < 0.85) server.carry();
		else if (luck < 0.88) server.cut();
		else if (luck < 0.89) server.handOver();
		else if (luck < 0.9) server.failOver(random() < 0.5);
		else await environment.clock.advance(Math.floor(random() * 2_000));
		await settle();
	}

	// The network is good from here on: everything arrives.
	for (let turn = 0; session.status.kind !== "connected" || !server.quiet; turn++) {
		expect(turn, "it comes to rest").toBeLessThan(2_000);
		if (!server.carry()) await environment.clock.advance(500);
		await settle();
	}
	expect(wrong).toEqual([]);
	expect(heard, "the latest event was heard, or a snapshot contains it").toBe(server.latest);
	expect([...session.peers.keys()].sort()).toEqual([...server.others].sort());
	expect([...here].sort()).toEqual([...server.others].sort());
	const everything = Array.from({ length: said }, (_, index) => index + 1);
	const processed = new Set(server.processed);
	expect(server.processed.length, "nothing is processed twice").toBe(processed.size);
	expect(server.processed, "in the order in which it was said").toEqual(
		everything.filter((message) => processed.has(message)),
	);
	expect(everything.filter((message) => !processed.has(message) && !unsure.has(message))).toEqual([]);
	return { server, heard: count, duplicates: session.duplicates, unsure: unsure.size, breaks };
}

test(`${RUNS} runs of ${STEPS} random steps, seed ${SEED}`, { timeout: 60_000 }, async () => {
	const seen = { heard: 0, duplicates: 0, unsure: 0, breaks: 0, resumes: 0, resyncs: 0 };
	for (let i = 0; i < RUNS; i++) {
		const seed = (SEED + i) >>> 0;
		const done = await run(seed).catch((error: unknown) => {
			throw new Error(`SEED=${seed} breaks it`, { cause: error });
		});
		seen.heard += done.heard;
		seen.duplicates += done.duplicates;
		seen.unsure += done.unsure;
		seen.breaks += done.breaks;
		seen.resumes += done.server.resumes;
		seen.resyncs += done.server.resyncs;
	}
	// The runs are of use only if they meet what they are about.
	for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0);
	process.stdout.write(`  seed ${SEED}: ${JSON.stringify(seen)}\n`);
});
