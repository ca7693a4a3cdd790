//! The sending end of a transfer: reads blocks, hashes them, and sends as much as the receiver granted.

import { blockCount, blockLengthFor, lengthOfBlock } from "./blocks.ts";
import { type Bytes, equal, sha256, toHex } from "./bytes.ts";
import type { Clock } from "./clock.ts";
import {
	type Cancel,
	fromPayload,
	isCancel,
	isHello,
	isStats,
	type ManifestPage,
	manifestPages,
	type Stats,
	toPayload,
} from "./control.ts";
import { decodeFrame, encodeFrame, type Frame, type FrameToWrite, MAX_PAYLOAD_LENGTH } from "./frame.ts";
import type { Lane } from "./lane.ts";
import { ControlOutbox } from "./outbox.ts";
import { ProgressMeter } from "./progress.ts";
import { type Failure, isFinal, type TransferState } from "./state.ts";
import type { Source } from "./storage.ts";
import { transferRoot, treeRoot } from "./tree.ts";

/** What a sender works with. */
export interface SenderParts {
	readonly lane: Lane;
	readonly sources: readonly Source[];
	readonly clock: Clock;
	onState(state: TransferState): void;
	/** Absent: chosen by the amount of data. Tests use small ones. */
	readonly blockLength?: number;
}

interface Place {
	readonly file: number;
	readonly block: number;
}

interface ReadBlock extends Place {
	readonly bytes: Bytes;
	offset: number;
}

/** The hashes of a file, as they become known. */
interface Outbound {
	readonly leaves: (Bytes | undefined)[];
	missing: number;
	root: Bytes | null;
}

// Blocks read before they are wanted: one is sent while the next is read, and one more evens out the disk.
const READ_AHEAD = 2;
const EPOCH = 1;

/** Sends files over a lane. */
export class Sender {
	readonly #parts: SenderParts;
	readonly #control: ControlOutbox;
	readonly #blockLength: number;
	readonly #meter: ProgressMeter;
	readonly #pages: Iterator<ManifestPage>;
	readonly #places: Iterator<Place>;
	readonly #again: Place[] = [];
	readonly #ready: ReadBlock[] = [];
	readonly #outbound = new Map<number, Outbound>();
	readonly #roots: Bytes[] = [];
	#state: TransferState = { kind: "opening" };
	#greeted = false;
	#reading = 0;
	#current: ReadBlock | null = null;
	#granted = 0;
	#sent = 0;
	#seq = 0;
	#done = 0;
	#stats: Stats | null = null;
	#startedAt = 0;

	constructor(parts: SenderParts) {
		this.#parts = parts;
		const entries = parts.sources.map((source) => source.entry);
		const totalBytes = entries.reduce((sum, entry) => sum + entry.size, 0);
		this.#blockLength = parts.blockLength ?? blockLengthFor(totalBytes);
		this.#control = new ControlOutbox(parts.lane.control);
		this.#meter = new ProgressMeter(totalBytes, entries.length, parts.clock, () => this.#report());
		this.#pages = manifestPages(entries);
		this.#places = this.#everyPlace();
		parts.lane.control.open({
			onFrame: (bytes) => this.#onFrame(bytes),
			onDrain: () => this.#onControlDrain(),
			onClose: () => this.#end({ kind: "failed", failure: "lane-closed", at: "this-side" }),
		});
		parts.lane.data.open({
			onFrame: () => this.#fail("protocol"),
			onDrain: () => this.#pump(),
			onClose: () => this.#end({ kind: "failed", failure: "lane-closed", at: "this-side" }),
		});
	}

	/** How it stands. */
	get state(): TransferState {
		return this.#state;
	}

	/** Ends the transfer at both ends. */
	cancel(): void {
		if (isFinal(this.#state)) return;
		this.#say({ type: "cancel", payload: toPayload({ reason: "cancelled" } satisfies Cancel) });
		this.#end({ kind: "cancelled", by: "this-side" });
	}

	#say(frame: Omit<FrameToWrite, "epoch">): void {
		this.#control.send({ ...frame, epoch: EPOCH });
	}

	#onControlDrain(): void {
		if (!this.#greeted) {
			this.#greeted = true;
			const { totalBytes, files } = this.#meter;
			const blockLength = this.#blockLength;
			this.#say({ type: "hello", payload: toPayload({ role: "sender", files, totalBytes, blockLength }) });
		}
		this.#control.flush();
		// Pages are made only as fast as they leave, so that a list of 100,000 files never lies in memory twice.
		while (this.#control.idle && !isFinal(this.#state)) {
			const page = this.#pages.next();
			if (page.done === true) return;
			this.#say({ type: "manifestPage", payload: toPayload(page.value) });
		}
	}

	#onFrame(bytes: Bytes): void {
		if (isFinal(this.#state)) return;
		const frame = decodeFrame(bytes);
		if (frame === null) return this.#fail("protocol");
		if (frame.epoch !== EPOCH) return;
		switch (frame.type) {
			case "hello":
				return this.#onHello(frame);
			case "credit":
				return this.#onCredit(frame.seq);
			case "ack":
				return this.#onAck(frame);
			case "need":
				return this.#onNeed(frame);
			case "done":
				return this.#onDone(frame);
			case "stats":
				this.#stats = fromPayload(frame.payload, isStats);
				return;
			case "ping":
				return this.#say({ type: "pong", seq: frame.seq });
			case "cancel":
				return this.#onCancel(frame);
			case "pong":
				return;
			case "data":
			case "manifestPage":
			case "block":
			case "complete":
				return this.#fail("protocol");
		}
	}

	#onHello(frame: Frame): void {
		if (fromPayload(frame.payload, isHello)?.role !== "receiver") return this.#fail("protocol");
		if (this.#state.kind !== "opening") return;
		const files = this.#parts.sources.map((source) => source.entry);
		this.#become({ kind: "offered", files, totalBytes: this.#meter.totalBytes });
	}

	/** The first credit is the receiver's consent. */
	#onCredit(granted: number): void {
		this.#granted = Math.max(this.#granted, granted);
		if (this.#state.kind === "offered" || this.#state.kind === "opening") {
			this.#startedAt = this.#parts.clock.now();
			this.#meter.start();
			this.#report();
		}
		this.#pump();
	}

	#onAck({ file, block }: Frame): void {
		const size = this.#parts.sources[file]?.entry.size ?? 0;
		this.#meter.durable(lengthOfBlock(size, this.#blockLength, block));
	}

	#onNeed({ file, block }: Frame): void {
		const size = this.#parts.sources[file]?.entry.size ?? 0;
		if (block >= blockCount(size, this.#blockLength)) return this.#fail("protocol");
		this.#again.push({ file, block });
		this.#pump();
	}

	#onDone({ file, payload }: Frame): void {
		const root = this.#outbound.get(file)?.root ?? null;
		if (root === null) return this.#fail("protocol");
		if (!equal(root, payload)) return this.#fail("damaged");
		this.#outbound.delete(file);
		this.#roots[file] = root;
		this.#done += 1;
		this.#meter.fileDone();
		if (this.#done === this.#parts.sources.length) void this.#finish();
	}

	async #finish(): Promise<void> {
		const root = toHex(await transferRoot(this.#roots));
		const milliseconds = this.#parts.clock.now() - this.#startedAt;
		this.#end({ kind: "done", root, totalBytes: this.#meter.totalBytes, milliseconds });
	}

	#onCancel(frame: Frame): void {
		const reason = fromPayload(frame.payload, isCancel)?.reason ?? "protocol";
		if (reason === "cancelled") return this.#end({ kind: "cancelled", by: "other-side" });
		this.#end({ kind: "failed", failure: reason, at: "other-side" });
	}

	*#everyPlace(): Generator<Place> {
		for (const [file, { entry }] of this.#parts.sources.entries()) {
			const blocks = blockCount(entry.size, this.#blockLength);
			this.#outbound.set(file, { leaves: new Array(blocks), missing: blocks, root: null });
			if (blocks === 0) void this.#complete(file);
			for (let block = 0; block < blocks; block++) yield { file, block };
		}
	}

	/** Sends while there is credit and room; called whenever one of them or a block comes. */
	#pump(): void {
		while (this.#state.kind === "moving") {
			this.#current ??= this.#ready.shift() ?? null;
			this.#readAhead();
			const block = this.#current;
			if (block === null) return;
			const length = Math.min(MAX_PAYLOAD_LENGTH, block.bytes.length - block.offset);
			if (this.#sent + length > this.#granted) return;
			const frame = encodeFrame({
				type: "data",
				epoch: EPOCH,
				file: block.file,
				block: block.block,
				offset: block.offset,
				seq: this.#seq,
				payload: block.bytes.subarray(block.offset, block.offset + length),
			});
			// A closed pipe tells by itself.
			if (this.#parts.lane.data.send(frame) !== "sent") return;
			this.#seq += 1;
			this.#sent += length;
			block.offset += length;
			if (block.offset === block.bytes.length) this.#current = null;
		}
	}

	#readAhead(): void {
		while (this.#ready.length + this.#reading < READ_AHEAD) {
			const place = this.#again.shift() ?? this.#nextPlace();
			if (place === null) return;
			this.#reading += 1;
			void this.#read(place);
		}
	}

	#nextPlace(): Place | null {
		const next = this.#places.next();
		return next.done === true ? null : next.value;
	}

	async #read({ file, block }: Place): Promise<void> {
		try {
			const source = this.#parts.sources[file];
			if (source === undefined) return;
			const length = lengthOfBlock(source.entry.size, this.#blockLength, block);
			const bytes = await source.read(block * this.#blockLength, length);
			if (isFinal(this.#state)) return;
			if (bytes.length !== length) return this.#fail("source-changed");
			this.#ready.push({ file, block, bytes, offset: 0 });
			this.#reading -= 1;
			this.#pump();
			await this.#announce(file, block, await sha256(bytes));
		} catch {
			this.#fail("source-changed");
		}
	}

	async #announce(file: number, block: number, hash: Bytes): Promise<void> {
		const outbound = this.#outbound.get(file);
		if (isFinal(this.#state) || outbound === undefined) return;
		const known = outbound.leaves[block];
		// A block that is read a second time must be what it was; else no root is true for the whole file.
		if (known !== undefined && !equal(known, hash)) return this.#fail("source-changed");
		this.#say({ type: "block", file, block, payload: hash });
		if (known !== undefined) return;
		outbound.leaves[block] = hash;
		outbound.missing -= 1;
		if (outbound.missing === 0) await this.#complete(file);
	}

	async #complete(file: number): Promise<void> {
		const outbound = this.#outbound.get(file);
		if (outbound === undefined) return;
		outbound.root = await treeRoot(outbound.leaves.filter((leaf) => leaf !== undefined));
		if (!isFinal(this.#state)) this.#say({ type: "complete", file, payload: outbound.root });
	}

	#fail(failure: Exclude<Failure, "lane-closed">): void {
		if (isFinal(this.#state)) return;
		this.#say({ type: "cancel", payload: toPayload({ reason: failure } satisfies Cancel) });
		this.#end({ kind: "failed", failure, at: "this-side" });
	}

	#report(): void {
		this.#become({ kind: "moving", progress: this.#meter.progress(this.#stats) });
	}

	#end(state: TransferState): void {
		if (isFinal(this.#state)) return;
		this.#meter.stop();
		this.#ready.length = 0;
		this.#again.length = 0;
		this.#current = null;
		this.#outbound.clear();
		this.#become(state);
	}

	#become(state: TransferState): void {
		this.#state = state;
		this.#parts.onState(state);
	}
}
