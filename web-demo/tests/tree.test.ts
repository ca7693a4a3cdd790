//! The tree of RFC 6962, against its definition and against known roots.

import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { toHex } from "../src/transfer/bytes.ts";
import { transferRoot, treeRoot } from "../src/transfer/tree.ts";
import { Luck } from "./support/random.ts";

const hash = (...parts: Uint8Array[]) =>
	new Uint8Array(createHash("sha256").update(Buffer.concat(parts)).digest());

/** MTH as RFC 6962 §2.1 writes it down: split at the largest power of two below n. */
function defined(entries: readonly Uint8Array[]): Uint8Array {
	const [first] = entries;
	if (first === undefined) return hash();
	if (entries.length === 1) return hash(Uint8Array.of(0), first);
	let k = 1;
	while (k * 2 < entries.length) k *= 2;
	return hash(Uint8Array.of(1), defined(entries.slice(0, k)), defined(entries.slice(k)));
}

test("the root is the definition's for every number of entries up to 70", async () => {
	const luck = new Luck(1);
	const entries = Array.from({ length: 70 }, () => luck.bytes(32));
	for (let n = 0; n <= entries.length; n++) {
		expect(toHex(await treeRoot(entries.slice(0, n))), `${n} entries`).toBe(
			toHex(defined(entries.slice(0, n))),
		);
	}
});

test("the root of nothing is the hash of nothing", async () => {
	expect(toHex(await treeRoot([]))).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
});

test("the roots of Certificate Transparency's reference tests come out", async () => {
	// The entries of the log's own test data, and the roots that every implementation of RFC 6962 gives for them.
	const entries = [
		"",
		"00",
		"10",
		"2021",
		"3031",
		"40414243",
		"5051525354555657",
		"606162636465666768696a6b6c6d6e6f",
	];
	const bytes = entries.map((hex) => new Uint8Array(Buffer.from(hex, "hex")));
	expect(toHex(await treeRoot(bytes.slice(0, 1)))).toBe(
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
	);
	expect(toHex(await treeRoot(bytes))).toBe(
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	);
});

test("one file's root stands for the transfer; several make a tree of their own", async () => {
	const [a, b] = [new Luck(2).bytes(32), new Luck(3).bytes(32)];
	expect(await transferRoot([a])).toEqual(a);
	expect(toHex(await transferRoot([a, b]))).toBe(toHex(defined([a, b])));
});
