//! Two engines joined by lanes that reorder, delay, damage and close.

import { describe, expect, test } from "vitest";
import type { Bytes } from "../src/transfer/bytes.ts";
import { decodeFrame, encodeFrame, HEADER_LENGTH } from "../src/transfer/frame.ts";
import { Inbound } from "../src/transfer/inbound.ts";
import { Receiver } from "../src/transfer/receiver.ts";
import { FIRST_WINDOW } from "../src/transfer/window.ts";
import { joinLanes } from "./support/lanes.ts";
import { Luck, seedOfThisRun } from "./support/random.ts";
import { MemoryStorage, memorySource } from "./support/storage.ts";
import { ManualClock, run, setUp, Watch } from "./support/transfer.ts";

const BLOCK = 100_000;

describe("whatever the size", () => {
	test.each([0, 1, 65_503, 65_504, 65_505, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK, 3 * BLOCK + 1])(
		"a file of %i bytes arrives whole",
		async (size) => {
			const bytes = new Luck(size).bytes(size);
			const transfer = setUp([memorySource("file", bytes)]);
			const { sender, receiver } = await run(transfer);
			expect(sender).toMatchObject({ kind: "done", totalBytes: size });
			expect(receiver).toEqual(sender);
			expect(transfer.storage.holds(0, bytes)).toBe(true);
		},
	);
});

test("many files arrive, empty ones among them", async () => {
	const luck = new Luck(1);
	const contents = [0, 5, 0, 250_000, 1, 0].map((size) => luck.bytes(size));
	const transfer = setUp(contents.map((bytes, i) => memorySource(`file ${i}`, bytes)));
	const { sender, receiver } = await run(transfer);
	expect(receiver).toEqual(sender);
	expect(receiver.kind).toBe("done");
	expect(contents.map((bytes, i) => transfer.storage.holds(i, bytes))).toEqual(contents.map(() => true));
});

test("a list of 3,000 files crosses in pages", async () => {
	const empty = new Uint8Array();
	const transfer = setUp(
		Array.from({ length: 3000 }, (_, i) => memorySource(`${"ü".repeat(40)} ${i}`, empty)),
		{ capacity: 64 * 1024 },
	);
	const { receiver } = await run(transfer);
	expect(receiver.kind).toBe("done");
	expect(transfer.storage.files.size).toBe(3000);
});

test("frames may overtake each other, at random", async () => {
	const luck = new Luck(seedOfThisRun());
	for (let round = 0; round < 20; round++) {
		const contents = Array.from({ length: 1 + luck.below(4) }, () => luck.bytes(luck.below(400_000)));
		const blockLength = 1 + luck.below(150_000);
		const transfer = setUp(
			contents.map((bytes, i) => memorySource(`file ${i}`, bytes)),
			{ pick: (waiting) => luck.below(waiting), capacity: 70_000 + luck.below(1_000_000) },
			// Tiny blocks of large files would only make the test long.
			Math.max(blockLength, 5_000),
		);
		const { sender, receiver } = await run(transfer);
		expect(receiver, `SEED=${luck.seed}, round ${round}`).toEqual(sender);
		expect(receiver.kind, `SEED=${luck.seed}, round ${round}`).toBe("done");
		expect(
			contents.every((bytes, i) => transfer.storage.holds(i, bytes)),
			`SEED=${luck.seed}, round ${round}`,
		).toBe(true);
	}
});

test("a flipped byte is refused, and the block is fetched again", async () => {
	const bytes = new Luck(2).bytes(5 * BLOCK);
	let flipped = 0;
	let asked = 0;
	const transfer = setUp([memorySource("file", bytes)], {
		onData: (frame) => {
			const data = decodeFrame(frame);
			if (data?.block === 2 && data.offset === 0) {
				asked += 1;
				if (flipped === 0) {
					flipped += 1;
					frame[HEADER_LENGTH + 7] = (frame[HEADER_LENGTH + 7] ?? 0) ^ 1;
				}
			}
			return frame;
		},
	});
	const { receiver } = await run(transfer);
	expect(receiver.kind).toBe("done");
	expect(asked).toBe(2);
	expect(transfer.storage.holds(0, bytes)).toBe(true);
});

test("a block that always comes damaged ends the transfer at both ends", async () => {
	const transfer = setUp([memorySource("file", new Luck(3).bytes(2 * BLOCK))], {
		onData: (frame) => {
			if (decodeFrame(frame)?.block === 1) frame[frame.length - 1] = (frame[frame.length - 1] ?? 0) ^ 0x80;
			return frame;
		},
	});
	const { sender, receiver } = await run(transfer);
	expect(receiver).toEqual({ kind: "failed", failure: "damaged", at: "this-side" });
	expect(sender).toEqual({ kind: "failed", failure: "damaged", at: "other-side" });
	expect(transfer.storage.files.get(0)?.fate).toBe("aborted");
});

test("the sender never sends more than was granted, however slow the disk", async () => {
	const size = FIRST_WINDOW + 40 * BLOCK;
	let sent = 0;
	let most = 0;
	const transfer = setUp([memorySource("file", new Uint8Array(size).fill(7))], {
		capacity: 8 * 1024 * 1024,
		onData: (frame) => {
			sent += frame.length - HEADER_LENGTH;
			most = Math.max(most, transfer.receiver.heldBytes);
			return frame;
		},
	});
	let open = () => {};
	transfer.storage.gate = new Promise((resolve) => {
		open = resolve;
	});
	const ended = run(transfer);
	// Everything that was granted arrives while the disk stands still, and nothing more. The next frame may not fit.
	while (sent < FIRST_WINDOW - 65_504) await new Promise(setImmediate);
	for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
	expect(sent).toBeLessThanOrEqual(FIRST_WINDOW);
	open();
	expect((await ended).receiver.kind).toBe("done");
	expect(sent).toBe(size);
	expect(most).toBeLessThanOrEqual(FIRST_WINDOW);
});

describe("another lane", () => {
	test("may be adopted while an offer waits, and before the list has crossed", async () => {
		const bytes = new Luck(8).bytes(3 * BLOCK);
		const early = setUp([memorySource("file", bytes)]);
		await early.moveTo({});
		await early.atReceiver.until((state) => state.kind === "offered");
		await early.moveTo({});
		expect((await run(early)).receiver.kind).toBe("done");
		expect(early.storage.holds(0, bytes)).toBe(true);
	});

	test("may be adopted again and again while bytes flow, at random, and the old ones close", async () => {
		const luck = new Luck(seedOfThisRun());
		for (let round = 0; round < 10; round++) {
			const say = `SEED=${luck.seed}, round ${round}`;
			const contents = Array.from({ length: 1 + luck.below(4) }, () => luck.bytes(luck.below(2_000_000)));
			let frames = 0;
			let wake = () => {};
			const way = {
				pick: (waiting: number) => luck.below(waiting),
				onData: (frame: Bytes) => {
					frames += 1;
					wake();
					return frame;
				},
			};
			const transfer = setUp(
				contents.map((bytes, i) => memorySource(`file ${i}`, bytes)),
				way,
				20_000,
			);
			const ended = run(transfer);
			for (let moves = 0; moves < 3; moves++) {
				const at = frames + luck.below(15);
				const over = ended.then(() => "over");
				while (frames < at) {
					const next = new Promise((resolve) => {
						wake = () => resolve("frame");
					});
					if ((await Promise.race([next, over])) === "over") break;
				}
				await Promise.race([transfer.moveTo(way), ended]);
			}
			const { sender, receiver } = await ended;
			expect(receiver, say).toEqual(sender);
			expect(receiver.kind, say).toBe("done");
			expect(
				contents.every((bytes, i) => transfer.storage.holds(i, bytes)),
				say,
			).toBe(true);
		}
	});

	test("brings the news that got lost with the one before", async () => {
		const bytes = new Luck(10).bytes(3 * BLOCK);
		const lost = new Set(["ack", "done"]);
		const transfer = setUp([memorySource("file", bytes)], {
			passControl: (frame) => !lost.has(decodeFrame(frame)?.type ?? ""),
		});
		const ended = run(transfer);
		await transfer.atReceiver.until((state) => state.kind === "done");
		expect(transfer.sender.state.kind).toBe("moving");
		await transfer.moveTo({});
		const { sender, receiver } = await ended;
		expect(sender).toEqual(receiver);
	});

	test("lets go of the parts that the one before brought", async () => {
		const sink = new MemoryStorage().open(0, { name: "file", size: 2 * BLOCK });
		const inbound = new Inbound({ name: "file", size: 2 * BLOCK }, BLOCK, sink);
		expect(inbound.onPart(0, 0, new Uint8Array(10))).toBe("waiting");
		expect(inbound.open).toBe(1);
		inbound.forget();
		expect(inbound.open).toBe(0);
	});

	test("that never answers changes nothing", async () => {
		const bytes = new Luck(9).bytes(20 * BLOCK);
		const transfer = setUp([memorySource("file", bytes)]);
		const dead = joinLanes();
		const ended = run(transfer);
		await transfer.atSender.until((state) => state.kind === "moving");
		transfer.sender.adopt(dead.near);
		dead.close();
		expect((await ended).receiver.kind).toBe("done");
	});
});

describe("an early end", () => {
	const moving = async () => {
		const transfer = setUp([memorySource("file", new Luck(4).bytes(30 * BLOCK))]);
		let open = () => {};
		transfer.storage.gate = new Promise((resolve) => {
			open = resolve;
		});
		const ended = run(transfer);
		await transfer.atSender.until((state) => state.kind === "moving");
		while (transfer.storage.files.size === 0) await new Promise(setImmediate);
		return { transfer, ended, open };
	};

	test("the receiver's cancel ends both ends and leaves no file", async () => {
		const { transfer, ended, open } = await moving();
		transfer.receiver.cancel();
		open();
		const { sender, receiver } = await ended;
		expect(receiver).toEqual({ kind: "cancelled", by: "this-side" });
		expect(sender).toEqual({ kind: "cancelled", by: "other-side" });
		expect(transfer.storage.files.get(0)?.fate).toBe("aborted");
	});

	test("the sender's cancel ends both ends and leaves no file", async () => {
		const { transfer, ended, open } = await moving();
		transfer.sender.cancel();
		open();
		const { sender, receiver } = await ended;
		expect(sender).toEqual({ kind: "cancelled", by: "this-side" });
		expect(receiver).toEqual({ kind: "cancelled", by: "other-side" });
		expect(transfer.storage.files.get(0)?.fate).toBe("aborted");
	});

	test("an offer may be declined", async () => {
		const transfer = setUp([memorySource("file", new Luck(5).bytes(10))]);
		await transfer.atReceiver.until((state) => state.kind === "offered");
		transfer.receiver.cancel();
		expect(await transfer.atSender.until((state) => state.kind === "cancelled")).toMatchObject({
			by: "other-side",
		});
	});

	test("a closed lane fails both ends", async () => {
		const { transfer, ended, open } = await moving();
		transfer.lanes.close();
		open();
		const { sender, receiver } = await ended;
		expect(sender).toMatchObject({ kind: "failed", failure: "lane-closed" });
		expect(receiver).toMatchObject({ kind: "failed", failure: "lane-closed" });
		expect(transfer.storage.files.get(0)?.fate).toBe("aborted");
	});

	test("a full disk is told to both people", async () => {
		const transfer = setUp([memorySource("file", new Luck(6).bytes(3 * BLOCK))]);
		transfer.storage.failure = new DOMException("full", "QuotaExceededError");
		const { sender, receiver } = await run(transfer);
		expect(receiver).toEqual({ kind: "failed", failure: "disk-full", at: "this-side" });
		expect(sender).toEqual({ kind: "failed", failure: "disk-full", at: "other-side" });
	});

	test("a file that can no longer be read is told to both people", async () => {
		const source = memorySource("file", new Luck(7).bytes(3 * BLOCK));
		const transfer = setUp([
			{
				entry: source.entry,
				read: (offset, length) =>
					offset === 2 * BLOCK ? Promise.reject(new Error("moved away")) : source.read(offset, length),
			},
		]);
		const { sender, receiver } = await run(transfer);
		expect(sender).toEqual({ kind: "failed", failure: "source-changed", at: "this-side" });
		expect(receiver).toEqual({ kind: "failed", failure: "source-changed", at: "other-side" });
	});
});

describe("a hostile sender", () => {
	const SIZE = 4 * FIRST_WINDOW;
	const json = (value: object) => new TextEncoder().encode(JSON.stringify(value));
	const hello = json({ role: "sender", files: 1, totalBytes: SIZE, blockLength: BLOCK });
	const page = json({ first: 0, files: [{ name: "file", size: SIZE }] });
	const failure = { kind: "failed", failure: "protocol", at: "this-side" };

	/** A receiver whose sender is the test itself, up to the offer. */
	const offered = async () => {
		const lanes = joinLanes({ capacity: 10 * SIZE });
		const watch = new Watch();
		const clock = new ManualClock();
		const receiver = new Receiver({ lane: lanes.far, clock, onState: watch.onState });
		for (const pipe of [lanes.near.control, lanes.near.data]) {
			pipe.open({ onFrame: () => {}, onDrain: () => {}, onClose: () => {} });
		}
		const say = (...[frame]: Parameters<typeof encodeFrame>) =>
			(frame.type === "data" ? lanes.near.data : lanes.near.control).send(encodeFrame(frame));
		say({ type: "hello", epoch: 1, payload: hello });
		say({ type: "manifestPage", epoch: 1, payload: page });
		await watch.until((state) => state.kind === "offered");
		return { lanes, receiver, say, failed: () => watch.until((state) => state.kind === "failed") };
	};

	test.each<[string, Parameters<typeof encodeFrame>[0]]>([
		["data before consent", { type: "data", epoch: 1, payload: new Uint8Array(9) }],
		["a second hello", { type: "hello", epoch: 1, payload: hello }],
		["another transfer's hello", { type: "hello", epoch: 2, payload: json({ role: "sender", files: 2 }) }],
		["a page too many", { type: "manifestPage", epoch: 1, payload: page }],
		["a receiver's message", { type: "credit", epoch: 1, seq: 1 }],
		["a hash of another length", { type: "block", epoch: 1, payload: new Uint8Array(31) }],
		["a root of no file", { type: "complete", epoch: 1, file: 7, payload: new Uint8Array(32) }],
	])("is refused: %s", async (_name, frame) => {
		const { say, failed } = await offered();
		say(frame);
		expect(await failed()).toEqual(failure);
	});

	test("is refused: bytes that are no frame", async () => {
		const { lanes, failed } = await offered();
		lanes.near.control.send(new Uint8Array(40));
		expect(await failed()).toEqual(failure);
	});

	test.each([
		["beyond the file", { block: SIZE / BLOCK + 1, offset: 0 }],
		["beyond the block", { block: 0, offset: BLOCK - 8 }],
		["of no file", { file: 3, block: 0, offset: 0 }],
	])("is refused: data %s", async (_name, place) => {
		const { receiver, say, failed } = await offered();
		receiver.accept(new MemoryStorage());
		say({ type: "data", epoch: 1, payload: new Uint8Array(9), ...place });
		expect(await failed()).toEqual(failure);
	});

	test("is refused: more than was granted", async () => {
		const { receiver, say, failed } = await offered();
		receiver.accept(new MemoryStorage());
		const payload = new Uint8Array(50_000);
		for (let sent = 0; sent <= FIRST_WINDOW; sent += payload.length) {
			say({ type: "data", epoch: 1, block: Math.floor(sent / BLOCK), offset: sent % BLOCK, payload });
		}
		expect(await failed()).toEqual(failure);
	});

	test("is refused: a little of every block, to make the receiver hold them all", async () => {
		const { receiver, say, failed } = await offered();
		receiver.accept(new MemoryStorage());
		for (let block = 0; block < SIZE / BLOCK - 1; block++) {
			say({ type: "data", epoch: 1, block, payload: new Uint8Array(1) });
		}
		expect(await failed()).toEqual(failure);
	});
});
