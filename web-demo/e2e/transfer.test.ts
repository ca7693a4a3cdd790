//! A file goes from one browser to another: directly, through the relay, and from one to the other on the way.

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Browser, type Candidates } from "./support/browser.ts";
import { makeFile, type SourceFile, sha256OfFile } from "./support/files.ts";
import { acceptToDownloads, createLink, proofOf, shownRoot, untilState } from "./support/pages.ts";
import { Server } from "./support/server.ts";

const MEBIBYTES = 64;

let server: Server;
let file: SourceFile;
let sender: Browser;
let receiver: Browser;

beforeAll(async () => {
	[server, file] = await Promise.all([Server.start(), makeFile("sixty-four.bin", MEBIBYTES)]);
});
afterAll(async () => {
	await Promise.all([server?.stop(), file?.remove()]);
});

const startBrowsers = (candidates: Candidates) => async () => {
	[sender, receiver] = await Promise.all([Browser.start(candidates), Browser.start(candidates)]);
};
afterEach(async () => {
	await Promise.all([sender.stop(), receiver.stop()]);
});

/** Hashes what lies on the receiver's disk, and compares what both pages say. */
async function expectWhole(download: Awaited<ReturnType<typeof acceptToDownloads>>): Promise<void> {
	expect(await sha256OfFile(await download.path())).toBe(file.sha256);
	expect(download.suggestedFilename()).toBe("sixty-four.bin");
	await untilState(sender.page, "done");
	await untilState(receiver.page, "done");
	expect(await shownRoot(receiver.page)).toMatch(/^[0-9a-f]{64}$/);
	expect(await shownRoot(sender.page)).toBe(await shownRoot(receiver.page));
	expect([...sender.errors, ...receiver.errors]).toEqual([]);
}

function tell(what: string, startedAt: number): void {
	const seconds = (performance.now() - startedAt) / 1000;
	process.stdout.write(
		`  ${what}: ${MEBIBYTES} MiB in ${seconds.toFixed(2)} s, ${(MEBIBYTES / seconds).toFixed(0)} MiB/s, downloads included\n`,
	);
}

describe("directly", () => {
	beforeEach(startBrowsers("addresses"));

	test("64 MiB arrive on disk with the source's SHA-256", async () => {
		await receiver.page.goto(await createLink(sender.page, server.url, [file.path]));
		const startedAt = performance.now();
		await expectWhole(await acceptToDownloads(receiver.page));
		tell("direct", startedAt);
		const proof = await proofOf(sender.page);
		expect(proof).toMatchObject({ kind: "direct", relayUrl: null });
		process.stdout.write(`  the browser sent ${(proof.sent / file.size).toFixed(3)} of the file's size\n`);
		expect(await proofOf(receiver.page)).toMatchObject({ kind: "direct", relayUrl: null });
	});
});

describe("through the relay over UDP", () => {
	beforeEach(startBrowsers("mdns-names"));

	test("64 MiB arrive on disk with the source's SHA-256, and the relay counted them", async () => {
		await receiver.page.goto(await createLink(sender.page, server.url, [file.path], { relayOnly: true }));
		const startedAt = performance.now();
		await expectWhole(await acceptToDownloads(receiver.page));
		tell("relayed", startedAt);
		for (const { page } of [sender, receiver]) {
			const proof = await proofOf(page);
			expect(proof).toMatchObject({ kind: "relayed", local: "relay", remote: "relay" });
			expect(proof.relayUrl).toMatch(/^turn:.*transport=udp, reached over UDP$/);
		}
		// The relay reports once a second: the last report follows the last byte. What still moves are ICE's own checks.
		let known = 0;
		const news = async () => {
			const before = known;
			known = (await proofOf(sender.page)).relayedSent;
			return known - before;
		};
		await expect.poll(news, { timeout: 15_000, interval: 1_500 }).toBeLessThan(10_000);
		const delivered = async () => (await proofOf(receiver.page)).relayedReceived / file.size;
		expect(await delivered()).toBeGreaterThan(1);
		// The sender's browser and the relay count the same packets: the file, DTLS and SCTP around it, and what was sent
		// again. How much that is depends on the machine: a busy one drops what it has no time to read.
		const share = async () => {
			const { relayedSent, sent } = await proofOf(sender.page);
			return relayedSent / sent;
		};
		expect(await share()).toBeGreaterThan(0.8);
		expect(await share()).toBeLessThan(1.2);
		process.stdout.write(
			`  the relay's own count: ${(await delivered()).toFixed(3)} of the file's size, ${(await share()).toFixed(3)} of what the browser sent\n`,
		);
	});
});
