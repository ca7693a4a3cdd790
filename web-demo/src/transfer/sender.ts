//! The sending end of a transfer: reads blocks, hashes them, and sends as much as the receiver granted.

import { blockCount, blockLengthFor, lengthOfBlock } from "./blocks.ts";
import { type Bytes, equal, toHex } from "./bytes.ts";
import type { Clock } from "./clock.ts";
import {
	type Cancel,
	fromPayload,
	type Hello,
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
import { BlockReader, type Place, type ReadBlock } from "./reader.ts";
import { type Failure, isFinal, type TransferState } from "./state.ts";
import type { Source } from "./storage.ts";
import { transferRoot, treeRoot } from "./tree.ts";

/** What a sender works with. */
export interface SenderParts {
	readonly lane: Lane;
	readonly sources: readonly Source[];
	readonly clock: Clock;
	onState(state: TransferState): void;
	/** The lane that was given last carries everything; the one before may close. */
	onAdopted?(): void;
	/** Absent: chosen by the amount of data. Tests use small ones. */
	readonly blockLength?: number;
}

/** The hashes of a file, as they become known. */
interface Outbound {
	readonly leaves: (Bytes | undefined)[];
	missing: number;
	root: Bytes | null;
}

/** A lane and the attempt that it stands for. */
interface Way {
	readonly epoch: number;
	readonly lane: Lane;
	readonly control: ControlOutbox;
	greeted: boolean;
}

/** Sends files over a lane. */
export class Sender {
	readonly #parts: SenderParts;
	readonly #blockLength: number;
	readonly #meter: ProgressMeter;
	readonly #reader: BlockReader;
	readonly #outbound = new Map<number, Outbound>();
	readonly #roots: Bytes[] = [];
	#state: TransferState = { kind: "opening" };
	#way: Way;
	/** A lane that was given and has not answered yet. */
	#nextWay: Way | null = null;
	#pages: Iterator<ManifestPage> = manifestPages([], 0);
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
		this.#meter = new ProgressMeter(totalBytes, entries.length, parts.clock, () => this.#report());
		this.#reader = new BlockReader({
			sources: parts.sources,
			blockLength: this.#blockLength,
			onReady: () => this.#pump(),
			onHash: (place, hash) => this.#announce(place, hash),
			onFile: (file, blocks) => this.#begin(file, blocks),
			onFailure: () => this.#fail("source-changed"),
		});
		this.#way = this.#open(parts.lane, 1);
	}

	/**
	 * Goes on over another lane as soon as that answers; then the old one may close. What was sent and is not known to
	 * be on disk is sent again, so nothing has to be saved from the old lane.
	 */
	adopt(lane: Lane): void {
		if (!isFinal(this.#state)) this.#nextWay = this.#open(lane, this.#way.epoch + 1);
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

	#open(lane: Lane, epoch: number): Way {
		const way: Way = { epoch, lane, control: new ControlOutbox(lane.control), greeted: false };
		lane.control.open({
			onFrame: (bytes) => this.#onFrame(way, bytes),
			onDrain: () => this.#onControlDrain(way),
			onClose: () => this.#onLaneClose(way),
		});
		lane.data.open({
			onFrame: () => this.#fail("protocol"),
			onDrain: () => this.#pump(),
			onClose: () => this.#onLaneClose(way),
		});
		return way;
	}

	#onLaneClose(way: Way): void {
		if (way === this.#nextWay) this.#nextWay = null;
		// While another lane is on its way, the end of this one is no loss.
		else if (way === this.#way && this.#nextWay === null) {
			this.#end({ kind: "failed", failure: "lane-closed", at: "this-side" });
		}
	}

	#say(frame: Omit<FrameToWrite, "epoch">): void {
		this.#way.control.send({ ...frame, epoch: this.#way.epoch });
	}

	#onControlDrain(way: Way): void {
		if (!way.greeted) {
			way.greeted = true;
			const { totalBytes, files } = this.#meter;
			const hello: Hello = { role: "sender", files, totalBytes, blockLength: this.#blockLength };
			way.control.send({ type: "hello", epoch: way.epoch, payload: toPayload(hello) });
		}
		way.control.flush();
		if (way === this.#way) this.#sendPages();
	}

	#sendPages(): void {
		// Pages are made only as fast as they leave, so that a list of 100,000 files never lies in memory twice.
		while (this.#way.control.idle && !isFinal(this.#state)) {
			const page = this.#pages.next();
			if (page.done === true) return;
			this.#say({ type: "manifestPage", payload: toPayload(page.value) });
		}
	}

	#onFrame(way: Way, bytes: Bytes): void {
		if (isFinal(this.#state)) return;
		// A lane that was left may still bring what it held.
		if (way !== this.#way && way !== this.#nextWay) return;
		const frame = decodeFrame(bytes);
		if (frame === null) return this.#fail("protocol");
		if (frame.epoch !== way.epoch) return;
		if (frame.type === "hello") return this.#onHello(way, frame);
		if (way !== this.#way) return;
		switch (frame.type) {
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

	#onHello(way: Way, frame: Frame): void {
		const hello = fromPayload(frame.payload, isHello);
		if (hello?.role !== "receiver") return this.#fail("protocol");
		if (way === this.#nextWay) this.#commit(way);
		this.#pages = manifestPages(
			this.#parts.sources.map((source) => source.entry),
			hello.filesKnown,
		);
		if (this.#state.kind === "opening") {
			const files = this.#parts.sources.map((source) => source.entry);
			this.#become({ kind: "offered", files, totalBytes: this.#meter.totalBytes });
		}
		this.#sendPages();
	}

	/** The other lane is the one from here on, and everything unsettled goes again. */
	#commit(way: Way): void {
		this.#way = way;
		this.#nextWay = null;
		this.#granted = 0;
		this.#sent = 0;
		this.#current = null;
		this.#reader.restart();
		for (const [file, { root }] of this.#outbound) {
			if (root !== null) this.#say({ type: "complete", file, payload: root });
		}
		this.#parts.onAdopted?.();
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
		// A block that was sent twice is told twice and counts once.
		if (!this.#reader.settle({ file, block })) return;
		const size = this.#parts.sources[file]?.entry.size ?? 0;
		this.#meter.durable(lengthOfBlock(size, this.#blockLength, block));
	}

	#onNeed({ file, block }: Frame): void {
		const size = this.#parts.sources[file]?.entry.size ?? 0;
		if (block >= blockCount(size, this.#blockLength)) return this.#fail("protocol");
		this.#reader.repeat({ file, block });
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

	#begin(file: number, blocks: number): void {
		this.#outbound.set(file, { leaves: new Array(blocks), missing: blocks, root: null });
		if (blocks === 0) void this.#complete(file);
	}

	/** Sends while there is credit and room; called whenever one of them or a block comes. */
	#pump(): void {
		while (this.#state.kind === "moving") {
			this.#current ??= this.#reader.take();
			const block = this.#current;
			if (block === null) return;
			const length = Math.min(MAX_PAYLOAD_LENGTH, block.bytes.length - block.offset);
			if (this.#sent + length > this.#granted) return;
			const frame = encodeFrame({
				type: "data",
				epoch: this.#way.epoch,
				file: block.file,
				block: block.block,
				offset: block.offset,
				seq: this.#seq,
				payload: block.bytes.subarray(block.offset, block.offset + length),
			});
			// A closed pipe tells by itself.
			if (this.#way.lane.data.send(frame) !== "sent") return;
			this.#seq += 1;
			this.#sent += length;
			block.offset += length;
			if (block.offset === block.bytes.length) this.#current = null;
		}
	}

	#announce({ file, block }: Place, hash: Bytes): void {
		const outbound = this.#outbound.get(file);
		if (isFinal(this.#state) || outbound === undefined) return;
		const known = outbound.leaves[block];
		// A block that is read a second time must be what it was; else no root is true for the whole file.
		if (known !== undefined && !equal(known, hash)) return this.#fail("source-changed");
		this.#say({ type: "block", file, block, payload: hash });
		if (known !== undefined) return;
		outbound.leaves[block] = hash;
		outbound.missing -= 1;
		if (outbound.missing === 0) void this.#complete(file);
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
		this.#reader.stop();
		this.#current = null;
		this.#outbound.clear();
		this.#become(state);
	}

	#become(state: TransferState): void {
		this.#state = state;
		this.#parts.onState(state);
	}
}
