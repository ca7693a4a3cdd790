//! Frames and control messages: what is written is read, and what is not ours is refused.

import { expect, test } from "vitest";
import {
	fromPayload,
	isCancel,
	isHello,
	isManifestPage,
	manifestPages,
	toPayload,
} from "../src/transfer/control.ts";
import {
	decodeFrame,
	encodeFrame,
	FRAME_TYPES,
	HEADER_LENGTH,
	MAX_FRAME_LENGTH,
	MAX_PAYLOAD_LENGTH,
} from "../src/transfer/frame.ts";
import { Luck, seedOfThisRun } from "./support/random.ts";

test("the header lies on the wire as drawn", () => {
	const frame = encodeFrame({
		type: "data",
		epoch: 0x01020304,
		file: 0x11121314,
		block: 0x21222324,
		offset: 0x31323334,
		seq: 0x0001020304050607,
		payload: Uint8Array.of(0xaa, 0xbb),
	});
	expect(
		Buffer.from(frame)
			.toString("hex")
			.replace(/(.{8})(?=.)/g, "$1 "),
	).toBe("01010000 01020304 11121314 21222324 31323334 00000002 00010203 04050607 aabb");
});

test("every frame is read as it was written", () => {
	const luck = new Luck(seedOfThisRun());
	for (const type of ["data", "need", "credit", "done"] as const) {
		const fields = { file: luck.below(2 ** 32), block: luck.below(2 ** 32), offset: luck.below(2 ** 32) };
		const seq = luck.below(2 ** 21) * 2 ** 32 + luck.below(2 ** 32);
		const frame = { type, epoch: luck.below(2 ** 32), ...fields, seq, payload: luck.bytes(luck.below(100)) };
		expect(decodeFrame(encodeFrame(frame)), `SEED=${luck.seed}`).toEqual(frame);
	}
});

test.each([
	["too short", (frame: Uint8Array<ArrayBuffer>) => frame.slice(0, HEADER_LENGTH - 1)],
	["empty", () => new Uint8Array()],
	["of another version", (frame: Uint8Array<ArrayBuffer>) => frame.fill(2, 0, 1)],
	["of no known type", (frame: Uint8Array<ArrayBuffer>) => frame.fill(99, 1, 2)],
	["longer than it says", (frame: Uint8Array<ArrayBuffer>) => frame.fill(4, 23, 24)],
	["shorter than it says", (frame: Uint8Array<ArrayBuffer>) => frame.fill(6, 23, 24)],
	["counting beyond 2^53", (frame: Uint8Array<ArrayBuffer>) => frame.fill(0xff, 24, 26)],
	[
		"longer than allowed",
		() => encodeFrame({ type: "data", epoch: 1, payload: new Uint8Array(MAX_PAYLOAD_LENGTH + 1) }),
	],
])("a frame is refused that is %s", (_name, change) => {
	const frame = encodeFrame({ type: "data", epoch: 1, payload: new Uint8Array(5) });
	expect(decodeFrame(frame)).not.toBeNull();
	expect(decodeFrame(change(frame))).toBeNull();
});

test("no bytes at all make the decoder throw", () => {
	const luck = new Luck(seedOfThisRun());
	for (let i = 0; i < 2_000; i++) {
		const bytes = luck.bytes(luck.below(80));
		if (bytes.length > 1) bytes.set([1, Object.values(FRAME_TYPES)[luck.below(5)] ?? 1]);
		decodeFrame(bytes);
	}
});

test("pages hold every file once, in order, and fit into frames", () => {
	const luck = new Luck(seedOfThisRun());
	const files = Array.from({ length: 5_000 }, (_, i) => ({
		name: `${"\u0001ü😀".repeat(luck.below(60))}${i}`,
		size: i,
	}));
	for (const from of [0, 1, 4_999, 5_000]) {
		let next = from;
		for (const page of manifestPages(files, from)) {
			expect(page.first).toBe(next);
			expect(page.files).toEqual(files.slice(next, next + page.files.length));
			const payload = toPayload(page);
			expect(payload.length + HEADER_LENGTH).toBeLessThanOrEqual(MAX_FRAME_LENGTH);
			expect(fromPayload(payload, isManifestPage)).toEqual(page);
			next += page.files.length;
		}
		expect(next).toBe(files.length);
	}
});

test.each([
	"",
	"{",
	"[]",
	"null",
	'{"role":"thief"}',
	'{"role":"sender","files":-1}',
	'{"reason":"because"}',
	"\ud800",
])("%j is no control message", (text) => {
	const payload = new TextEncoder().encode(text);
	expect(fromPayload(payload, isHello)).toBeNull();
	expect(fromPayload(payload, isManifestPage)).toBeNull();
	expect(fromPayload(payload, isCancel)).toBeNull();
});
