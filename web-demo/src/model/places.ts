//! Where received files can go in this browser, best first, and why.

import type { FileEntry } from "../transfer/control.ts";
import type { Place } from "../worker/messages.ts";

/** A way to save that the person can choose. */
export interface Saving {
	readonly kind: Place["kind"];
	readonly label: string;
	/** One sentence: what happens and why. */
	readonly why: string;
	/** Must be called from the click itself: browsers open pickers only then. Null: the person changed their mind. */
	pick(): Promise<Place | null>;
}

/** What this browser can do. */
export interface Abilities {
	readonly filePicker: boolean;
	readonly folderPicker: boolean;
	readonly browserStorage: boolean;
	/** Bytes that the browser's storage may take; null if it does not say. */
	readonly storageLeft: number | null;
}

/** The most that may be kept in memory (transfer.md). */
export const MEMORY_LIMIT = 256 * 1024 * 1024;

/** Finds out what this browser can do. */
export async function abilities(): Promise<Abilities> {
	const browserStorage = "storage" in navigator && "getDirectory" in navigator.storage;
	const estimate = browserStorage ? await navigator.storage.estimate().catch(() => null) : null;
	const { quota, usage } = estimate ?? {};
	return {
		filePicker: picker("showSaveFilePicker") !== null,
		folderPicker: picker("showDirectoryPicker") !== null,
		browserStorage,
		storageLeft: quota === undefined || usage === undefined ? null : quota - usage,
	};
}

/** The ways to save these files, best first. Empty: this browser cannot. */
export function savings(files: readonly FileEntry[], totalBytes: number, able: Abilities): Saving[] {
	const found: Saving[] = [];
	const [only] = files;
	if (files.length === 1 && only !== undefined && able.filePicker) {
		found.push({
			kind: "file",
			label: "Choose where to save…",
			why: "Written straight to disk as it arrives; any size.",
			pick: async () => {
				const handle = await pick("showSaveFilePicker", { suggestedName: only.name });
				return handle instanceof FileSystemFileHandle ? { kind: "file", handle } : null;
			},
		});
	}
	if (files.length > 1 && able.folderPicker) {
		found.push({
			kind: "folder",
			label: "Choose a folder…",
			why: "Written straight to disk as they arrive; any size.",
			pick: async () => {
				const handle = await pick("showDirectoryPicker", { mode: "readwrite" });
				return handle instanceof FileSystemDirectoryHandle ? { kind: "folder", handle } : null;
			},
		});
	}
	if (able.browserStorage && (able.storageLeft === null || able.storageLeft > totalBytes)) {
		found.push({
			kind: "browser-storage",
			label: "Save to Downloads",
			why: "Kept in the browser's own storage until it is whole, then copied to Downloads; needs the space twice for a moment.",
			pick: async () => ({ kind: "browser-storage" }),
		});
	} else if (totalBytes <= MEMORY_LIMIT) {
		found.push({
			kind: "memory",
			label: "Save to Downloads",
			why: "Kept in memory until it is whole, because this browser lends no storage; then copied to Downloads.",
			pick: async () => ({ kind: "memory" }),
		});
	}
	return found;
}

type PickerName = "showSaveFilePicker" | "showDirectoryPicker";
type Picker = (options: object) => Promise<unknown>;

function isPicker(value: unknown): value is Picker {
	return typeof value === "function";
}

/** The pickers are in no other browsers than Chromium's, nor in the standard's types. */
function picker(name: PickerName): Picker | null {
	const found: unknown = Reflect.get(window, name);
	return isPicker(found) ? found.bind(window) : null;
}

async function pick(name: PickerName, options: object): Promise<unknown> {
	try {
		return await picker(name)?.(options);
	} catch (error) {
		if (error instanceof DOMException && error.name === "AbortError") return null;
		throw error;
	}
}
