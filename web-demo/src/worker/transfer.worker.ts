//! The worker of one transfer: reading, hashing, sending, checking and writing happen here and never on the page.

import { ChannelPipe } from "../transfer/channel-pipe.ts";
import { systemClock } from "../transfer/clock.ts";
import type { Lane } from "../transfer/lane.ts";
import { PortPipe } from "../transfer/port-pipe.ts";
import { Receiver } from "../transfer/receiver.ts";
import { Sender } from "../transfer/sender.ts";
import type { TransferState } from "../transfer/state.ts";
import type { Source, Storage } from "../transfer/storage.ts";
import { BrowserStorage } from "./browser-storage.ts";
import { MemoryStorage } from "./memory.ts";
import type { Command, LaneHandles, Place, Report } from "./messages.ts";
import { PickedFile, PickedFolder } from "./picked.ts";

let engine: Sender | Receiver | null = null;

addEventListener("message", ({ data }: MessageEvent<Command>) => {
	switch (data.kind) {
		case "send":
			engine = new Sender({
				lane: toLane(data.lane),
				sources: data.files.map(toSource),
				clock: systemClock,
				onState,
				onAdopted,
			});
			return;
		case "receive":
			engine = new Receiver({ lane: toLane(data.lane), clock: systemClock, onState, onAdopted });
			return;
		case "adopt":
			engine?.adopt(toLane(data.lane));
			return;
		case "accept":
			if (engine instanceof Receiver) engine.accept(toStorage(data.place));
			return;
		case "cancel":
			engine?.cancel();
			return;
	}
});

function tell(report: Report): void {
	postMessage(report);
}

function onState(state: TransferState): void {
	tell({ kind: "state", state });
}

function onAdopted(): void {
	tell({ kind: "adopted" });
}

function toLane(handles: LaneHandles): Lane {
	switch (handles.kind) {
		case "channels":
			return { control: new ChannelPipe(handles.control), data: new ChannelPipe(handles.data) };
		case "ports":
			return { control: new PortPipe(handles.control), data: new PortPipe(handles.data) };
	}
}

function toSource(file: File): Source {
	return {
		entry: { name: file.name, size: file.size },
		// Browsers refuse to read a file that changed since it was chosen (File API §4: NotReadableError).
		read: async (offset, length) => new Uint8Array(await file.slice(offset, offset + length).arrayBuffer()),
	};
}

function toStorage(place: Place): Storage {
	const give = (name: string, blob: Blob) => tell({ kind: "export", name, blob });
	switch (place.kind) {
		case "file":
			return new PickedFile(place.handle);
		case "folder":
			return new PickedFolder(place.handle);
		case "browser-storage":
			return new BrowserStorage(give);
		case "memory":
			return new MemoryStorage(give);
	}
}
