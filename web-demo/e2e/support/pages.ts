//! The two pages as a person uses them.

import type { Download, Page } from "playwright-core";

/** How a transfer's path was proven on a page. */
export interface Proof {
	readonly kind: string | null;
	readonly local: string | null;
	readonly remote: string | null;
	readonly relayUrl: string | null;
	/** The browser's count of what it sent on this path, retransmissions included. */
	readonly sent: number;
	/** The relay's own count of what this page's peer sent through it, and received. */
	readonly relayedSent: number;
	readonly relayedReceived: number;
}

/** What a sender sets before the link is made. */
export interface Wishes {
	readonly password?: string;
	readonly relayOnly?: boolean;
}

/** Chooses files and makes the link. */
export async function createLink(
	page: Page,
	url: string,
	paths: readonly string[],
	wishes: Wishes = {},
): Promise<string> {
	await page.goto(url);
	await page.getByTestId("files").setInputFiles([...paths]);
	if (wishes.password !== undefined) await page.getByLabel("Password").fill(wishes.password);
	if (wishes.relayOnly === true) await page.getByRole("switch").check({ force: true });
	await page.getByRole("button", { name: /^Create link/ }).click();
	return page.getByLabel("Send this link").inputValue();
}

/** Accepts what is offered, and gives the download when the browser has it whole. */
export async function acceptToDownloads(
	page: Page,
	keptIn: "browser-storage" | "memory" = "browser-storage",
	timeout = 100_000,
): Promise<Download> {
	const download = page.waitForEvent("download", { timeout });
	await page.getByTestId(`accept-${keptIn}`).click();
	return download;
}

/** Waits until the page's only transfer is in the state. */
export async function untilState(page: Page, state: string): Promise<void> {
	await page.locator(`[data-testid=transfer][data-state=${state}]`).waitFor({ timeout: 100_000 });
}

/** The root that the page shows at the end. */
export async function shownRoot(page: Page): Promise<string | null> {
	return page.getByTestId("root").getAttribute("data-root");
}

/** What the page shows about the path. */
export async function proofOf(page: Page): Promise<Proof> {
	const url = page.getByTestId("relay-url");
	const counted = page.getByTestId("relay-bytes");
	return {
		kind: await page.getByTestId("path").getAttribute("data-kind"),
		local: await page.getByTestId("local-end").getAttribute("data-type"),
		remote: await page.getByTestId("remote-end").getAttribute("data-type"),
		relayUrl: (await url.count()) > 0 ? await url.textContent() : null,
		sent: Number(await page.getByTestId("pair-bytes").getAttribute("data-sent")),
		relayedSent: Number(await counted.getAttribute("data-sent")),
		relayedReceived: Number(await counted.getAttribute("data-received")),
	};
}
