//! The proof over the DTLS fingerprints: what it lets through and what it stops.

import { describe, expect, test } from "vitest";
import { fingerprintSeal } from "../src/seal.ts";

const SDP = [
	"v=0",
	"o=- 1 2 IN IP4 127.0.0.1",
	"s=-",
	"t=0 0",
	"m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
	"a=fingerprint:sha-256 AA:BB",
	"a=sctp-port:5000",
	"",
].join("\r\n");
const seal = fingerprintSeal(new Uint8Array(16).fill(7));

test("what was sealed opens as it was", async () => {
	const sealed = await seal.seal(SDP, "alice", "bob");
	expect(sealed).not.toBe(SDP);
	expect(await seal.open(sealed, "alice", "bob")).toBe(SDP);
});

test("the proof stands among the session's attributes, before the first media section", async () => {
	const lines = (await seal.seal(SDP, "alice", "bob")).split("\r\n");
	expect(lines.findIndex((line) => line.startsWith("a=causeway-mac:"))).toBe(4);
	expect(lines[5]).toMatch(/^m=/);
});

describe("refused is", () => {
	test.each([
		["another fingerprint", (sealed: string) => sealed.replace("AA:BB", "AA:BC")],
		["one more fingerprint", (sealed: string) => `${sealed}a=fingerprint:sha-256 CC:DD\r\n`],
		["no fingerprint", (sealed: string) => sealed.replace("a=fingerprint:sha-256 AA:BB\r\n", "")],
		["no proof", () => SDP],
		["a cut proof", (sealed: string) => sealed.replace(/(a=causeway-mac:.{8}).*/, "$1")],
		["a proof that is no hexadecimal", (sealed: string) => sealed.replace(/(a=causeway-mac:).*/, "$1zz")],
		["two proofs", (sealed: string) => sealed.replace(/(a=causeway-mac:.*)/, "$1\r\n$1")],
	])("%s", async (_name, change) => {
		expect(await seal.open(change(await seal.seal(SDP, "alice", "bob")), "alice", "bob")).toBeNull();
	});

	test("a description sent back to its author", async () => {
		const sealed = await seal.seal(SDP, "alice", "bob");
		expect(await seal.open(sealed, "bob", "alice")).toBeNull();
	});

	test("one of another key", async () => {
		const other = fingerprintSeal(new Uint8Array(16).fill(8));
		expect(await other.open(await seal.seal(SDP, "alice", "bob"), "alice", "bob")).toBeNull();
	});
});
