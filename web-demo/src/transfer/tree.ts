//! The hash of a file: the tree of RFC 6962 §2.1 over the SHA-256 of its blocks.

import { type Bytes, sha256 } from "./bytes.ts";

/** The length of a hash, in bytes. */
export const HASH_LENGTH = 32;

// RFC 6962 §2.1: different first bytes keep a node from passing as a leaf.
const LEAF = 0;
const NODE = 1;

/** MTH of RFC 6962 §2.1, where entry i is `entries[i]`. The root of nothing is the hash of nothing. */
export async function treeRoot(entries: readonly Uint8Array[]): Promise<Bytes> {
	if (entries.length === 0) return sha256(new Uint8Array());
	let level = await Promise.all(entries.map((entry) => sha256(tagged(LEAF, entry))));
	// Pairing neighbours and carrying an odd last one up gives the same tree as splitting at powers of two.
	while (level.length > 1) {
		const above: Promise<Bytes>[] = [];
		for (let i = 0; i < level.length; i += 2) {
			const [left, right] = [level[i], level[i + 1]];
			if (left !== undefined && right !== undefined) above.push(sha256(tagged(NODE, left, right)));
			else if (left !== undefined) above.push(Promise.resolve(left));
		}
		level = await Promise.all(above);
	}
	const [root] = level;
	return root ?? sha256(new Uint8Array());
}

/** The hash of a whole transfer: one file's root, or the tree over the roots of several in their order. */
export async function transferRoot(roots: readonly Uint8Array[]): Promise<Bytes> {
	const [only] = roots;
	return roots.length === 1 && only !== undefined ? new Uint8Array(only) : treeRoot(roots);
}

function tagged(tag: number, ...parts: readonly Uint8Array[]): Bytes {
	const bytes = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
	bytes[0] = tag;
	let at = 1;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.length;
	}
	return bytes;
}
