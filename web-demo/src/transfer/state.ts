//! How a transfer stands, as both ends tell it, and every way in which it fails.

import type { CancelReason, FileEntry, Stats } from "./control.ts";

/** Why a transfer failed. */
export type Failure =
	| Exclude<CancelReason, "cancelled">
	/** The connection ended. */
	| "lane-closed";

/** How far it is. */
export interface Progress {
	/** Bytes that lie on the receiver's disk, hash checked. */
	readonly durableBytes: number;
	readonly totalBytes: number;
	readonly filesDone: number;
	readonly files: number;
	/** Of durable bytes, over the last seconds. */
	readonly bytesPerSecond: number;
	/** Null while nothing moves. */
	readonly secondsLeft: number | null;
	/** What the receiver last said of itself; at the receiver, what it says. */
	readonly receiver: Stats | null;
}

/** How a transfer stands. */
export type TransferState =
	/** The two have not spoken. */
	| { readonly kind: "opening" }
	/** The receiver may accept. */
	| { readonly kind: "offered"; readonly files: readonly FileEntry[]; readonly totalBytes: number }
	| { readonly kind: "moving"; readonly progress: Progress }
	/** Everything lies on disk, and both ends have the same root. */
	| {
			readonly kind: "done";
			/** SHA-256 tree root, hexadecimal. */
			readonly root: string;
			readonly totalBytes: number;
			readonly milliseconds: number;
	  }
	| { readonly kind: "cancelled"; readonly by: "this-side" | "other-side" }
	| { readonly kind: "failed"; readonly failure: Failure; readonly at: "this-side" | "other-side" };

/** Whether nothing follows. */
export function isFinal(state: TransferState): boolean {
	return state.kind === "done" || state.kind === "cancelled" || state.kind === "failed";
}
