//! What went wrong, in one sentence that says what to do.

import { CausewayError, type EndReason } from "@causeway/client";
import type { TransferState } from "../transfer/state.ts";
import type { LineNotice } from "./line-watch.ts";

/** For a refusal by the server, or any other error before a transfer. */
export function sentenceFor(error: unknown): string {
	if (!(error instanceof CausewayError))
		return "Something unexpected went wrong; reload the page and try again.";
	switch (error.code) {
		case "room-not-found":
			return "This link leads nowhere; it may have expired. Ask the sender for a new one.";
		case "room-full":
			return "This link is already in use by others; try again when they are done, or ask for a new one.";
		case "password-wrong":
			return "That is not the password; check it with the sender and try again.";
		case "rate-limited": {
			const seconds = error.retryAfterSeconds;
			return seconds === null
				? "That was too often in a short time; wait a minute and try again."
				: `That was too often in a short time; try again in ${seconds} seconds.`;
		}
		default:
			// The server's sentences say what to do; a code that is newer than this page has one as well.
			return error.message;
	}
}

/** For a connection that ended. */
export function sentenceForEnd(reason: EndReason): string {
	switch (reason) {
		case "closed":
			return "The connection was closed.";
		case "peer-left":
			return "The other person closed the page.";
		case "unreachable":
			return "No way between the two browsers was found, not even through the relay; check that its UDP port is open, then reload both pages.";
		case "not-authentic":
			return "Somebody between you and the other person changed the connection, or the link was not copied whole; get the link again on another way.";
	}
}

/** For the connection to the server; null if there is nothing to say. */
export function sentenceForLine(notice: LineNotice): string | null {
	switch (notice.kind) {
		case "none":
			return null;
		case "reconnecting":
			return "The connection to the server broke and is being made again. What is on its way goes on.";
		case "back":
			return "The connection to the server is back.";
		case "degraded":
			return "The servers cannot reach one another at the moment. What is on its way goes on; others may have to wait.";
		case "lost":
			return notice.sentence;
		case "closed":
			switch (notice.closed.reason) {
				case "room-closed":
					return "The link has expired. What is on its way goes on; for more, create a new link.";
				case "kicked":
					return notice.closed.message ?? "You were sent out of the room; ask the person who sent the link.";
				case "displaced":
					return "This page was opened again elsewhere, which takes its place.";
				default:
					return "The connection to the server is gone. What is on its way goes on; for more, reload this page.";
			}
	}
}

type Failed = Extract<TransferState, { kind: "failed" }>;

/** For a transfer that failed. */
export function sentenceForFailure({ failure, at }: Failed): string {
	const here = at === "this-side";
	switch (failure) {
		case "lane-closed":
			return "The connection to the other browser broke; reload both pages and start again.";
		case "source-changed":
			return here
				? "The file changed or was moved while it was sent; choose it again."
				: "The file changed at the sender while it was sent; ask for it again.";
		case "disk-full":
			return here
				? "There is not enough space to save this; free some, or choose another place, and start again."
				: "The receiver's disk is full; ask them to free some space and start again.";
		case "sink-failed":
			return here
				? "The file could not be written; choose another place and start again."
				: "The receiver's browser could not write the file; ask them to choose another place.";
		case "damaged":
			return "The data kept arriving damaged; nothing wrong was saved. Start again.";
		case "protocol":
			return "The two pages do not understand each other; reload both and start again.";
	}
}
