//! A transfer outlives the credentials that it began with. Takes a minute: runs with CAUSEWAY_E2E_LONG=1.

import { expect, test } from "vitest";
import { Browser } from "./support/browser.ts";
import { makeFile, sha256OfFile } from "./support/files.ts";
import { acceptToDownloads, createLink, untilState } from "./support/pages.ts";
import { Server } from "./support/server.ts";

// The shortest that the server allows.
const LIFE_SECONDS = 30;

test.runIf(process.env["CAUSEWAY_E2E_LONG"] === "1")(
	"a relayed transfer moves to new allocations in time",
	async () => {
		const server = await Server.start({ CAUSEWAY_SIGNAL__CREDENTIAL_TTL_SECONDS: String(LIFE_SECONDS) });
		// So much that it takes longer than a credential lives, at what a data channel moves on a fast machine.
		const file = await makeFile("long.bin", 1536);
		const browsers = await Promise.all([Browser.start("mdns-names"), Browser.start("mdns-names")]);
		const [sender, receiver] = browsers;
		try {
			await receiver.page.goto(await createLink(sender.page, server.url, [file.path], { relayOnly: true }));
			const startedAt = performance.now();
			const download = acceptToDownloads(receiver.page, "browser-storage", 280_000);
			const end = sender.page.getByTestId("local-end");
			await end.waitFor({ state: "attached" });
			const first = await end.textContent();
			expect(await sha256OfFile(await (await download).path())).toBe(file.sha256);
			await untilState(sender.page, "done");
			expect((performance.now() - startedAt) / 1000).toBeGreaterThan(LIFE_SECONDS);
			expect(await end.getAttribute("data-type")).toBe("relay");
			expect(await end.textContent()).not.toBe(first);
		} finally {
			await Promise.all([...browsers.map((browser) => browser.stop()), server.stop(), file.remove()]);
		}
	},
	300_000,
);
