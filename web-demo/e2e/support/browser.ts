//! A Chromium process of its own, with a fresh profile and a downloads folder.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrowserContext, chromium, type Page } from "playwright-core";

const EXECUTABLE = process.env["CHROMIUM"] ?? "/usr/bin/chromium";

const ARGUMENTS = [
	"--headless=new",
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
];

// mDNS names of host candidates are not resolved between two processes where no multicast is; relayed paths need no flag.
const SHOW_ADDRESSES = "--disable-features=WebRtcHideLocalIpsWithMdns";

/** Whether host candidates show addresses. */
export type Candidates = "addresses" | "mdns-names";

/** One browser process. */
export class Browser {
	readonly page: Page;
	/** What the page wrote to the console as errors, and what it threw. */
	readonly errors: string[] = [];
	readonly #context: BrowserContext;
	readonly #folder: string;

	/** Starts a browser with one page. It believes certificates whose key has one of the SHA-256 hashes in `trusted`. */
	static async start(candidates: Candidates, trusted: readonly string[] = []): Promise<Browser> {
		const folder = await mkdtemp(join(tmpdir(), "causeway-chromium-"));
		const context = await chromium.launchPersistentContext(join(folder, "profile"), {
			executablePath: EXECUTABLE,
			args: [
				...ARGUMENTS,
				...(candidates === "addresses" ? [SHOW_ADDRESSES] : []),
				...(trusted.length > 0 ? [`--ignore-certificate-errors-spki-list=${trusted.join(",")}`] : []),
			],
			acceptDownloads: true,
			downloadsPath: join(folder, "downloads"),
		});
		return new Browser(context, context.pages()[0] ?? (await context.newPage()), folder);
	}

	private constructor(context: BrowserContext, page: Page, folder: string) {
		this.#context = context;
		this.page = page;
		this.#folder = folder;
		page.on("console", (message) => {
			if (message.type() === "error") this.errors.push(message.text());
		});
		page.on("pageerror", (error) => this.errors.push(error.message));
	}

	/** Ends the process and removes what it wrote. */
	async stop(): Promise<void> {
		await this.#context.close();
		await rm(this.#folder, { recursive: true, force: true });
	}
}
