//! The relay is switched on and off while bytes flow, and several files go at once.

import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Browser } from "./support/browser.ts";
import { makeFile, type SourceFile, sha256OfFile } from "./support/files.ts";
import { acceptToDownloads, createLink, proofOf, shownRoot, untilState } from "./support/pages.ts";
import { Server } from "./support/server.ts";

let server: Server;
let sender: Browser;
let receiver: Browser;
const files: SourceFile[] = [];

beforeAll(async () => {
	server = await Server.start();
	files.push(
		await makeFile("large.bin", 512),
		await makeFile("small.bin", 3),
		await makeFile("empty.bin", 0),
	);
});
afterAll(async () => {
	await Promise.all([server?.stop(), ...files.map((file) => file.remove())]);
});
beforeEach(async () => {
	[sender, receiver] = await Promise.all([Browser.start("addresses"), Browser.start("addresses")]);
});
afterEach(async () => {
	await Promise.all([sender.stop(), receiver.stop()]);
});

test("direct, then relayed, then direct again: the file arrives whole", async () => {
	const [large] = files;
	if (large === undefined) throw new Error("made before");
	await receiver.page.goto(await createLink(sender.page, server.url, [large.path]));
	const download = acceptToDownloads(receiver.page);
	const both = async (what: "kind" | "local" | "remote") =>
		Promise.all([sender.page, receiver.page].map(async (page) => (await proofOf(page))[what]));
	await expect.poll(() => both("kind")).toEqual(["direct", "direct"]);

	await sender.page.getByRole("switch").check({ force: true });
	await expect.poll(() => both("local")).toEqual(["relay", "relay"]);
	expect(await both("remote")).toEqual(["relay", "relay"]);
	expect(await receiver.page.getByRole("switch").isChecked()).toBe(true);
	expect(await receiver.page.getByTestId("transfer").getAttribute("data-state")).toBe("moving");

	await receiver.page.getByRole("switch").uncheck({ force: true });
	await expect.poll(() => both("kind")).toEqual(["direct", "direct"]);

	expect(await sha256OfFile(await (await download).path())).toBe(large.sha256);
	await untilState(sender.page, "done");
	expect(await shownRoot(sender.page)).toBe(await shownRoot(receiver.page));
	expect([...sender.errors, ...receiver.errors]).toEqual([]);
});

test("several files arrive, an empty one among them", async () => {
	const some = files.slice(1);
	await receiver.page.goto(
		await createLink(
			sender.page,
			server.url,
			some.map(({ path }) => path),
		),
	);
	const arrived = new Map<string, string>();
	receiver.page.on("download", async (download) => {
		arrived.set(download.suggestedFilename(), await sha256OfFile(await download.path()));
	});
	await receiver.page.getByTestId("accept-browser-storage").click();
	await untilState(receiver.page, "done");
	await expect.poll(() => arrived.size).toBe(some.length);
	expect(arrived).toEqual(
		new Map(some.map(({ path, sha256 }) => [path.slice(join(path, "..").length + 1), sha256])),
	);
});
