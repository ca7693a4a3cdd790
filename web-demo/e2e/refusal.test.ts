//! What must not work does not, and both people are told.

import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Browser } from "./support/browser.ts";
import { makeFile, type SourceFile } from "./support/files.ts";
import { createLink, untilState } from "./support/pages.ts";
import { Server } from "./support/server.ts";

let server: Server;
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
	[sender, receiver] = await Promise.all([Browser.start("addresses"), Browser.start("addresses")]);
});
afterEach(async () => {
	await Promise.all([sender.stop(), receiver.stop()]);
});

const problem = (browser: Browser) => browser.page.getByTestId("problem");

/** The names in the page's own file system that belong to transfers. */
async function leftBehind(browser: Browser): Promise<string[]> {
	return browser.page.evaluate(async () => {
		const found: string[] = [];
		const root = await navigator.storage.getDirectory();
		for await (const [name, handle] of root.entries()) {
			if (handle instanceof FileSystemDirectoryHandle) {
				for await (const file of handle.keys()) found.push(`${name}/${file}`);
			}
		}
		return found;
	});
}

test.each(["sender", "receiver"] as const)(
	"a cancel by the %s midway ends both ends and leaves nothing",
	async (who) => {
		await receiver.page.goto(await createLink(sender.page, server.url, [file.path]));
		await receiver.page.getByTestId("accept-browser-storage").click();
		const percent = receiver.page.getByTestId("percent");
		await expect
			.poll(async () => Number.parseInt((await percent.textContent()) ?? "0", 10))
			.toBeGreaterThan(0);
		const [canceller, other] = who === "sender" ? [sender, receiver] : [receiver, sender];
		await canceller.page.getByTestId("cancel").click();
		await untilState(canceller.page, "cancelled");
		await untilState(other.page, "cancelled");
		expect(await problem(canceller).textContent()).toMatch(/^You cancelled/);
		expect(await problem(other).textContent()).toMatch(/^The other person cancelled/);
		expect(await leftBehind(receiver)).toEqual([]);
	},
);

test("a wrong password is refused, and the right one opens", async () => {
	const link = await createLink(sender.page, server.url, [file.path], { password: "open sesame" });
	await receiver.page.goto(link);
	await receiver.page.getByLabel("Password").fill("close sesame");
	await receiver.page.getByRole("button", { name: "Continue" }).click();
	await problem(receiver).waitFor();
	expect(await problem(receiver).textContent()).toMatch(/not the password/);
	await receiver.page.getByLabel("Password").fill("open sesame");
	await receiver.page.getByRole("button", { name: "Continue" }).click();
	await untilState(receiver.page, "offered");
	expect(await receiver.page.getByTestId("offered-name").textContent()).toBe("large.bin");
});

test("a wrong key fails closed", async () => {
	const link = await createLink(sender.page, server.url, [file.path]);
	const key = link.slice(link.indexOf("#") + 1);
	await receiver.page.goto(
		`${link.slice(0, link.indexOf("#"))}#${key.startsWith("A") ? "B" : "A"}${key.slice(1)}`,
	);
	await problem(receiver).waitFor();
	expect(await problem(receiver).textContent()).toMatch(/link was not copied whole/);
	expect(await receiver.page.getByTestId("offered-name").count()).toBe(0);
	await sender.page.getByTestId("waiting").waitFor();
});

test("a link without its key is not even tried", async () => {
	const link = await createLink(sender.page, server.url, [file.path]);
	await receiver.page.goto(link.slice(0, link.indexOf("#")));
	await problem(receiver).waitFor();
	expect(await problem(receiver).textContent()).toMatch(/incomplete/);
});

test("a link to no room says so", async () => {
	await receiver.page.goto(`${server.url}/r/nosuchroom00#AAAAAAAAAAAAAAAAAAAAAA`);
	await problem(receiver).waitFor();
	expect(await problem(receiver).textContent()).toMatch(/leads nowhere/);
});
