//! What the page and the transfer worker say to each other. Both come from the same build, so the types suffice.

import type { TransferState } from "../transfer/state.ts";

/** A lane on its way into the worker. */
export type LaneHandles =
	| { readonly kind: "channels"; readonly control: RTCDataChannel; readonly data: RTCDataChannel }
	| { readonly kind: "ports"; readonly control: MessagePort; readonly data: MessagePort };

/** Where received files go. */
export type Place =
	/** A file that the person picked. */
	| { readonly kind: "file"; readonly handle: FileSystemFileHandle }
	/** A folder that the person picked. */
	| { readonly kind: "folder"; readonly handle: FileSystemDirectoryHandle }
	/** The origin's private file system, and from there to Downloads. */
	| { readonly kind: "browser-storage" }
	/** Memory, and from there to Downloads. */
	| { readonly kind: "memory" };

/** What the page wants. */
export type Command =
	| { readonly kind: "send"; readonly lane: LaneHandles; readonly files: readonly File[] }
	| { readonly kind: "receive"; readonly lane: LaneHandles }
	/** Another lane of the same two browsers; the engine moves over when it can. */
	| { readonly kind: "adopt"; readonly lane: LaneHandles }
	| { readonly kind: "accept"; readonly place: Place }
	| { readonly kind: "cancel" };

/** What the worker tells. */
export type Report =
	| { readonly kind: "state"; readonly state: TransferState }
	/** The lane given last carries everything. */
	| { readonly kind: "adopted" }
	/** A whole file that the page must hand to the person. */
	| { readonly kind: "export"; readonly name: string; readonly blob: Blob };
