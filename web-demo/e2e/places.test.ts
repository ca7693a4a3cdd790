//! Where files go: a picked file, a picked folder, and a browser that lends nothing but memory.

import { basename } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { Browser } from "./support/browser.ts";
import { makeFile, type SourceFile, sha256OfFile } from "./support/files.ts";
import { acceptToDownloads, createLink, untilState } from "./support/pages.ts";
import { Server } from "./support/server.ts";

let server: Server;
let sender: Browser;
let receiver: Browser;
const files: SourceFile[] = [];

beforeAll(async () => {
	server = await Server.start();
	files.push(await makeFile("large.bin", 32), await makeFile("small.bin", 3), await makeFile("empty.bin", 0));
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

/** Lets the pickers, which only a person can use, give places in the page's own file system: the same interface. */
async function replacePickers(browser: Browser): Promise<void> {
	await browser.page.addInitScript(() => {
		const folder = async () =>
			(await navigator.storage.getDirectory()).getDirectoryHandle("picked", { create: true });
		Object.assign(window, {
			showSaveFilePicker: async ({ suggestedName }: { suggestedName: string }) =>
				(await folder()).getFileHandle(suggestedName, { create: true }),
			showDirectoryPicker: folder,
		});
	});
}

/** What lies in the picked place: names and SHA-256. */
async function picked(browser: Browser): Promise<Record<string, string>> {
	return browser.page.evaluate(async () => {
		const found: Record<string, string> = {};
		const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("picked");
		for await (const [name, handle] of folder.entries()) {
			if (!(handle instanceof FileSystemFileHandle)) continue;
			const bytes = await (await handle.getFile()).arrayBuffer();
			const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
			found[name] = Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
		}
		return found;
	});
}

const expected = (sources: readonly SourceFile[]) =>
	Object.fromEntries(sources.map(({ path, sha256 }) => [basename(path), sha256]));

test("one file goes straight into the file that was picked", async () => {
	await replacePickers(receiver);
	const some = files.slice(0, 1);
	await receiver.page.goto(
		await createLink(
			sender.page,
			server.url,
			some.map(({ path }) => path),
		),
	);
	await receiver.page.getByTestId("accept-file").click();
	await untilState(receiver.page, "done");
	expect(await picked(receiver)).toEqual(expected(some));
});

test("several files go into the folder that was picked, beside what is there", async () => {
	await replacePickers(receiver);
	const link = await createLink(
		sender.page,
		server.url,
		files.map(({ path }) => path),
	);
	await receiver.page.goto(link);
	await receiver.page.evaluate(async () => {
		const folder = await (await navigator.storage.getDirectory()).getDirectoryHandle("picked", {
			create: true,
		});
		await folder.getFileHandle("small.bin", { create: true });
	});
	await receiver.page.getByTestId("accept-folder").click();
	await untilState(receiver.page, "done");
	const [large, small, empty] = files.map(({ sha256 }) => sha256);
	expect(await picked(receiver)).toEqual({
		"large.bin": large,
		"small.bin": empty,
		"small (2).bin": small,
		"empty.bin": empty,
	});
});

test("a cancel leaves nothing in the folder that was picked", async () => {
	await replacePickers(receiver);
	const large = await makeFile("huge.bin", 256);
	files.push(large);
	await receiver.page.goto(await createLink(sender.page, server.url, [large.path]));
	await receiver.page.getByTestId("accept-file").click();
	const percent = receiver.page.getByTestId("percent");
	await expect.poll(async () => Number.parseInt((await percent.textContent()) ?? "0", 10)).toBeGreaterThan(0);
	await sender.page.getByTestId("cancel").click();
	await untilState(receiver.page, "cancelled");
	expect(await picked(receiver)).toEqual({});
});

test("a browser without pickers, storage and transferable channels receives into memory, and downloads", async () => {
	await receiver.page.addInitScript(() => {
		Reflect.deleteProperty(window, "showSaveFilePicker");
		Reflect.deleteProperty(window, "showDirectoryPicker");
		Reflect.deleteProperty(StorageManager.prototype, "getDirectory");
		const post = Worker.prototype.postMessage;
		Object.assign(Worker.prototype, {
			postMessage(this: Worker, message: unknown, transfer: Transferable[] = []) {
				if (transfer.some((item) => item instanceof RTCDataChannel)) {
					throw new DOMException("channels stay here", "DataCloneError");
				}
				Reflect.apply(post, this, [message, transfer]);
			},
		});
	});
	const [large] = files;
	if (large === undefined) throw new Error("made before");
	await receiver.page.goto(await createLink(sender.page, server.url, [large.path]));
	const download = await acceptToDownloads(receiver.page, "memory");
	expect(await sha256OfFile(await download.path())).toBe(large.sha256);
	await untilState(sender.page, "done");
	expect([...sender.errors, ...receiver.errors]).toEqual([]);
});
