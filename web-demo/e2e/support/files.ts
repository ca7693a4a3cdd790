//! Files to send, and the hashes that decide.

import { createHash, randomFillSync } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

const MIB = 1024 * 1024;

/** A file of random bytes in a folder of its own. */
export interface SourceFile {
	readonly path: string;
	readonly size: number;
	readonly sha256: string;
	remove(): Promise<void>;
}

/** Writes a file of random bytes. */
export async function makeFile(name: string, mebibytes: number): Promise<SourceFile> {
	const folder = await mkdtemp(join(tmpdir(), "causeway-source-"));
	const path = join(folder, name);
	const file = await open(path, "w");
	const hash = createHash("sha256");
	const block = Buffer.alloc(MIB);
	for (let i = 0; i < mebibytes; i++) {
		randomFillSync(block);
		hash.update(block);
		await file.write(block);
	}
	await file.close();
	return {
		path,
		size: mebibytes * MIB,
		sha256: hash.digest("hex"),
		remove: () => rm(folder, { recursive: true, force: true }),
	};
}

/** The SHA-256 of a file on disk. */
export async function sha256OfFile(path: string): Promise<string> {
	const hash = createHash("sha256");
	for await (const chunk of createReadStream(path)) hash.update(chunk);
	return hash.digest("hex");
}
