//! The connection to the server breaks while a file is on its way: the transfer does not notice, and people are told calmly.

import { roomFacts } from "@causeway/client";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Browser } from "./support/browser.ts";
import { makeFile, type SourceFile, sha256OfFile } from "./support/files.ts";
import { NodeEnvironment } from "./support/node.ts";
import { acceptToDownloads, createLink, untilState } from "./support/pages.ts";
import { TcpProxy } from "./support/proxy.ts";
import { Server } from "./support/server.ts";

let server: Server;
let proxy: TcpProxy;
let file: SourceFile;
let sender: Browser;
let receiver: Browser;

beforeAll(async () => {
	[server, file] = await Promise.all([Server.start(), makeFile("large.bin", 256)]);
});
afterAll(async () => {
	await Promise.all([server?.stop(), file?.remove()]);
});
beforeEach(async () => {
	proxy = await TcpProxy.start(server.url);
	[sender, receiver] = await Promise.all([Browser.start("addresses"), Browser.start("addresses")]);
});
afterEach(async () => {
	await Promise.all([sender.stop(), receiver.stop(), proxy.stop()]);
});

/** Browsers write a line for every WebSocket that could not be opened; here that is what was asked for. */
const unexpected = (browser: Browser) => browser.errors.filter((error) => !error.includes("WebSocket"));

test("the server is away while a file goes: both are told, the file arrives, and the link works on", async () => {
	const link = await createLink(sender.page, proxy.url, [file.path]);
	await receiver.page.goto(link);
	const download = acceptToDownloads(receiver.page);
	await untilState(sender.page, "moving");
	proxy.become("refuse");
	proxy.cut();
	for (const { page } of [sender, receiver]) {
		const notice = page.locator("[data-testid=notice][data-kind=reconnecting]");
		await notice.waitFor();
		expect(await notice.locator("xpath=..").getAttribute("aria-live")).toBe("polite");
	}
	// Each comes back when its own backoff is over, and the notice stands for a moment only.
	const back = [sender, receiver].map(({ page }) =>
		page.locator("[data-testid=notice][data-kind=back]").waitFor(),
	);
	proxy.become("pass");
	await Promise.all(back);
	expect(await sha256OfFile(await (await download).path())).toBe(file.sha256);
	await untilState(sender.page, "done");
	for (const { page } of [sender, receiver]) {
		await expect.poll(() => page.getByTestId("notice").count()).toBe(0);
	}

	// The sender's session is the one of before: it hears of somebody new.
	const another = await Browser.start("addresses");
	try {
		await another.page.goto(link);
		await another.page.locator("[data-testid=transfer][data-state=offered]").waitFor();
	} finally {
		await another.stop();
	}
	expect([unexpected(sender), unexpected(receiver)]).toEqual([[], []]);
});

test("short breaks are not worth a word", async () => {
	await receiver.page.goto(await createLink(sender.page, proxy.url, [file.path]));
	const download = acceptToDownloads(receiver.page);
	await untilState(sender.page, "moving");
	const before = proxy.connections;
	proxy.cut();
	await expect.poll(() => proxy.connections).toBeGreaterThanOrEqual(before + 2);
	expect(await sha256OfFile(await (await download).path())).toBe(file.sha256);
	for (const { page } of [sender, receiver]) expect(await page.getByTestId("notice").count()).toBe(0);
});

test("a page that was away for too long joins its room again, and its link works", async () => {
	const strict = await Server.start({ CAUSEWAY_SIGNAL__TIMING__RESUME_SECONDS: "1" });
	const before = await TcpProxy.start(strict.url);
	try {
		const link = await createLink(sender.page, before.url, [file.path]);
		const room = new URL(link).pathname.split("/").at(-1) ?? "";
		const present = async () =>
			(await roomFacts({ server: strict.url, environment: new NodeEnvironment() }, room)).peers;
		await expect.poll(present).toBe(1);
		before.become("refuse");
		before.cut();
		await expect.poll(present).toBe(0);
		before.become("pass");
		await expect.poll(present).toBe(1);
		await receiver.page.goto(link);
		await receiver.page.locator("[data-testid=transfer][data-state=offered]").waitFor();
	} finally {
		await before.stop();
		await strict.stop();
	}
});

test("whoever closes the page is gone at once", async () => {
	await receiver.page.goto(await createLink(sender.page, proxy.url, [file.path]));
	const card = sender.page.getByTestId("transfer");
	await sender.page.locator("[data-testid=transfer][data-state=offered]").waitFor();
	await receiver.page.close();
	// The server keeps the place of somebody who broke off for half a minute.
	await expect.poll(() => card.count(), { timeout: 5_000 }).toBe(0);
});
