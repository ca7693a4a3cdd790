//! What is kept for saying again, how long to wait, and which events are new.

import { describe, expect, test } from "vitest";
import { backoff } from "../src/backoff.ts";
import { type Counted, Outgoing } from "../src/outgoing.ts";
import { Position } from "../src/position.ts";

const app = (data: unknown): Counted => ({ type: "app", data });

/** Everything that goes to the socket of the moment. */
function written(outgoing: Outgoing): unknown[] {
	const all: unknown[] = [];
	for (let text = outgoing.next(); text !== null; text = outgoing.next()) all.push(JSON.parse(text).data);
	return all;
}

function filled(...data: unknown[]): Outgoing {
	const outgoing = new Outgoing();
	for (const each of data) expect(outgoing.push(app(each))).toBeNull();
	return outgoing;
}

describe("what was said", () => {
	test("goes out in order, once a socket", () => {
		const outgoing = filled(1, 2, 3);
		expect(written(outgoing)).toEqual([1, 2, 3]);
		outgoing.push(app(4));
		expect(written(outgoing)).toEqual([4]);
	});

	test("is said again on another socket unless it was confirmed", () => {
		const outgoing = filled(1, 2, 3);
		written(outgoing);
		outgoing.confirm(2);
		outgoing.rewind();
		outgoing.push(app(4));
		expect(written(outgoing)).toEqual([3, 4]);
	});

	test("is confirmed by a count that only grows and cannot exceed what was written", () => {
		const outgoing = filled(1, 2, 3);
		expect(outgoing.next()).not.toBeNull();
		for (const impossible of [2, 3, 99]) outgoing.confirm(impossible);
		expect(outgoing.uttered).toBe(1);
		outgoing.confirm(1);
		outgoing.confirm(0);
		outgoing.rewind();
		expect(written(outgoing)).toEqual([2, 3]);
	});

	test("is aligned with a server that forgot some of what it had confirmed", () => {
		const outgoing = filled(1, 2, 3);
		written(outgoing);
		outgoing.confirm(2);
		outgoing.rewind();
		outgoing.align(1);
		expect(written(outgoing)).toEqual([3]);
		outgoing.confirm(2);
		expect(outgoing.uttered).toBe(0);
	});

	test("is handed back where nobody knows what the room heard; what was never written goes out", () => {
		const outgoing = filled(1, 2);
		written(outgoing);
		outgoing.confirm(1);
		outgoing.push(app(3));
		outgoing.rewind();
		expect(outgoing.restart()).toEqual([app(2)]);
		expect(written(outgoing)).toEqual([3]);
		outgoing.confirm(1);
		expect(outgoing.uttered).toBe(0);
	});
});

describe("the bound", () => {
	test("is 256 messages", () => {
		const outgoing = filled(...Array(256).keys());
		expect(outgoing.push(app("more"))).toBe("full");
		outgoing.next();
		outgoing.confirm(1);
		expect(outgoing.push(app("more"))).toBeNull();
	});

	test("is 1 MiB, counted as it travels", () => {
		// Two bytes a letter in UTF-8, and the rest of the message around them.
		const large = "é".repeat(30_000);
		const outgoing = new Outgoing();
		let taken = 0;
		while (outgoing.push(app(large)) === null) taken += 1;
		expect(taken).toBe(Math.floor((1024 * 1024) / (60_000 + '{"type":"app","data":""}'.length)));
		expect(outgoing.push(app("small"))).toBeNull();
	});

	test("of one message is what the server reads", () => {
		expect(new Outgoing().push(app("x".repeat(64 * 1024)))).toBe("too-large");
	});

	test("is not waited for: a quarter of it is worth asking how much arrived", () => {
		const outgoing = filled(...Array(63).keys());
		written(outgoing);
		expect(outgoing.many).toBe(false);
		outgoing.push(app("more"));
		expect(outgoing.many).toBe(true);
	});
});

test("waits begin with none, double up to 15 s, and are spread from nothing to the whole", () => {
	const longest = Array.from({ length: 9 }, (_, attempt) => backoff(attempt, () => 1));
	expect(longest).toEqual([0, 250, 500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
	expect(backoff(1_000, () => 1)).toBe(15_000);
	expect(backoff(5, () => 0.25)).toBe(1_000);
	expect(backoff(5, () => 0)).toBe(0);
});

describe("the position", () => {
	test("takes each number once, and holes", () => {
		const position = new Position(1, 10);
		expect([10, 11, 11, 15, 12].map((seq) => position.take(seq))).toEqual([false, true, false, true, false]);
		expect([position.seq, position.duplicates]).toEqual([15, 3]);
	});

	test("goes on under a later owner and never back to an earlier one", () => {
		const position = new Position(5, 10);
		expect(position.follow(6)).toBe(true);
		expect([position.epoch, position.seq]).toEqual([6, 10]);
		expect(position.jump(7, 3)).toBe(true);
		expect(position.follow(6)).toBe(false);
		expect(position.jump(6, 99)).toBe(false);
		expect([position.epoch, position.seq]).toEqual([7, 3]);
	});
});
