//! One transfer with one other browser, as the page sees it: the engine's state, the path, and what to do about them.

import type { Connection, ConnectionState, Path } from "@causeway/client";
import { type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { giveLane } from "../rtc/lane.ts";
import { isFinal, type TransferState } from "../transfer/state.ts";
import type { Command, Place, Report } from "../worker/messages.ts";

/** A whole file that waits to be handed to the person. */
export interface Download {
	readonly name: string;
	readonly url: string;
}

/** What this side does. */
export type Task = { readonly kind: "send"; readonly files: readonly File[] } | { readonly kind: "receive" };

const PATH_EVERY_MS = 1_000;

/** One transfer. */
export class PeerTransfer {
	readonly peer: string;
	readonly role: Task["kind"];
	readonly #state = signal<TransferState>({ kind: "opening" });
	#begun = false;
	#connection: Connection;
	/** A later connection to the same browser that does not carry the transfer yet. */
	#next: Connection | null = null;
	readonly #link: Signal<ConnectionState>;
	readonly #path = signal<Path | null>(null);
	readonly #downloads = signal<readonly Download[]>([]);
	readonly #worker: Worker;
	readonly #undo: (() => void)[] = [];

	constructor(connection: Connection, task: Task) {
		this.peer = connection.peer;
		this.role = task.kind;
		this.#connection = connection;
		this.#link = signal(connection.state);
		this.#watch(connection);
		this.#worker = new Worker(new URL("../worker/transfer.worker.ts", import.meta.url), { type: "module" });
		this.#worker.onmessage = ({ data }: MessageEvent<Report>) => this.#onReport(data);
		giveLane(connection.pc, this.#worker, (lane) => ({ ...task, lane }));
		const timer = setInterval(() => void this.#observePath(), PATH_EVERY_MS);
		this.#undo.push(() => clearInterval(timer));
		const onLeave = (event: BeforeUnloadEvent) => {
			// The browser asks the person: leaving ends what is on its way.
			if (this.#state.value.kind === "moving") event.preventDefault();
		};
		addEventListener("beforeunload", onLeave);
		this.#undo.push(() => removeEventListener("beforeunload", onLeave));
	}

	/** How the transfer stands. */
	get state(): ReadonlySignal<TransferState> {
		return this.#state;
	}

	/** Whether the other side ever accepted, however it ended. */
	get hasBegun(): boolean {
		return this.#begun;
	}

	/** Whether bytes flow, or will again without anybody's doing. */
	get isUnderWay(): boolean {
		return this.#state.value.kind === "moving" && this.#link.value.kind !== "ended";
	}

	/** How the connection stands. */
	get link(): ReadonlySignal<ConnectionState> {
		return this.#link;
	}

	/** Which way the bytes take; the last one stays when the connection has ended. */
	get path(): ReadonlySignal<Path | null> {
		return this.#path;
	}

	/** Files to hand over, where they do not go to a picked place. */
	get downloads(): ReadonlySignal<readonly Download[]> {
		return this.#downloads;
	}

	/** Moves over to a later connection, while bytes flow; the one before closes when it is no longer needed. */
	moveTo(connection: Connection): void {
		this.#next?.close();
		this.#next = connection;
		this.#watch(connection);
		giveLane(connection.pc, this.#worker, (lane) => ({ kind: "adopt", lane }));
	}

	/** Consents to receive. */
	accept(place: Place): void {
		this.#tell({ kind: "accept", place });
	}

	/** Ends the transfer at both ends. */
	cancel(): void {
		this.#tell({ kind: "cancel" });
	}

	/** Ends everything that belongs to this transfer. */
	dispose(): void {
		for (const undo of this.#undo) undo();
		this.#worker.terminate();
		this.#connection.close();
		this.#next?.close();
		for (const { url } of this.#downloads.value) URL.revokeObjectURL(url);
	}

	#tell(command: Command): void {
		this.#worker.postMessage(command);
	}

	#onReport(report: Report): void {
		switch (report.kind) {
			case "state":
				if (report.state.kind === "moving") this.#begun = true;
				this.#state.value = report.state;
				// The proof of the way shall stand for the whole transfer, its end included.
				if (isFinal(report.state)) void this.#observePath();
				return;
			case "adopted":
				return this.#onAdopted();
			case "export": {
				const download = { name: report.name, url: URL.createObjectURL(report.blob) };
				this.#downloads.value = [...this.#downloads.value, download];
				return save(download);
			}
		}
	}

	#watch(connection: Connection): void {
		const onState = (state: ConnectionState) => {
			if (connection === this.#connection) this.#link.value = state;
			// The other way did not come about: the transfer stays where it is.
			else if (connection === this.#next && state.kind === "ended") this.#next = null;
		};
		this.#undo.push(connection.on("state", onState));
	}

	#onAdopted(): void {
		if (this.#next === null) return;
		const old = this.#connection;
		this.#connection = this.#next;
		this.#next = null;
		this.#link.value = this.#connection.state;
		old.close();
		void this.#observePath();
	}

	async #observePath(): Promise<void> {
		const path = await this.#connection.path();
		if (path !== null) this.#path.value = path;
	}
}

/** Hands a file to the browser's downloads. */
function save({ name, url }: Download): void {
	const anchor = document.createElement("a");
	anchor.href = url;
	anchor.download = name;
	anchor.click();
}
