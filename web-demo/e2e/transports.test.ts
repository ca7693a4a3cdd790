//! A file goes through the relay over each transport that reaches it. The server tells the browsers of one alone.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { Browser } from "./support/browser.ts";
import { makeFile, type SourceFile, sha256OfFile } from "./support/files.ts";
import { acceptToDownloads, createLink, proofOf, shownRoot, untilState } from "./support/pages.ts";
import { Server } from "./support/server.ts";

const MEBIBYTES = 32;

let file: SourceFile;
beforeAll(async () => {
	file = await makeFile("thirty-two.bin", MEBIBYTES);
});
afterAll(() => file?.remove());

describe.each([
	{ transport: "udp", peers: "public", url: /^turn:[^?]*\?transport=udp, reached over UDP$/ },
	{ transport: "tcp", peers: "public", url: /^turn:[^?]*\?transport=tcp, reached over TCP$/ },
	{ transport: "tls", peers: "public", url: /^turns:[^?]*\?transport=tcp, reached over TLS$/ },
	{ transport: "udp", peers: "room", url: /^turn:[^?]*\?transport=udp, reached over UDP$/ },
])("through the relay over $transport, to $peers peers", ({ transport, peers, url }) => {
	let server: Server;
	let browsers: Browser[] = [];

	beforeAll(async () => {
		server = await Server.start({
			CAUSEWAY_SIGNAL__RELAY_TRANSPORTS: transport,
			CAUSEWAY_SIGNAL__RELAY_PEERS: peers,
		});
	});
	afterEach(async () => {
		await Promise.all(browsers.map((browser) => browser.stop()));
		browsers = [];
	});
	afterAll(() => server?.stop());

	test("a file arrives on disk with the source's SHA-256", async () => {
		// The relay makes itself a certificate when it is given none; these browsers believe that one, and no other.
		const trusted = transport === "tls" ? [await server.relayKey()] : [];
		const [sender, receiver] = await Promise.all([
			Browser.start("mdns-names", trusted),
			Browser.start("mdns-names", trusted),
		]);
		browsers = [sender, receiver];
		await receiver.page.goto(await createLink(sender.page, server.url, [file.path], { relayOnly: true }));
		const startedAt = performance.now();
		const download = await acceptToDownloads(receiver.page);
		expect(await sha256OfFile(await download.path())).toBe(file.sha256);
		await Promise.all(browsers.map(({ page }) => untilState(page, "done")));
		const seconds = (performance.now() - startedAt) / 1000;
		expect(await shownRoot(sender.page)).toBe(await shownRoot(receiver.page));
		for (const { page, errors } of browsers) {
			expect(await proofOf(page)).toMatchObject({ kind: "relayed", local: "relay", remote: "relay" });
			expect((await proofOf(page)).relayUrl).toMatch(url);
			expect(errors).toEqual([]);
		}
		process.stdout.write(
			`  ${transport}, ${peers}: ${MEBIBYTES} MiB in ${seconds.toFixed(2)} s, downloads included\n`,
		);
	});
});
