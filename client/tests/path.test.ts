//! The path, read from statistics as browsers give them.

import { expect, test } from "vitest";
import { pathOf } from "../src/path.ts";

const relayLocal = {
	type: "local-candidate",
	candidateType: "relay",
	protocol: "udp",
	relayProtocol: "tls",
	url: "turns:relay.example:443?transport=tcp",
	address: "2001:db8::1",
	port: 50000,
};
const hostRemote = { type: "remote-candidate", candidateType: "host", protocol: "udp", address: "", port: 9 };
const pair = {
	type: "candidate-pair",
	localCandidateId: "l",
	remoteCandidateId: "r",
	currentRoundTripTime: 0.012,
	bytesSent: 5,
	bytesReceived: 7,
};

const chromium = (local: object, remote: object): [string, object][] => [
	["t", { type: "transport", selectedCandidatePairId: "p" }],
	["p", pair],
	["q", { ...pair, localCandidateId: "r" }],
	["l", local],
	["r", remote],
];

test("a relay at this end is told with its URL", () => {
	expect(pathOf(chromium(relayLocal, hostRemote))).toEqual({
		kind: "relayed",
		local: {
			type: "relay",
			protocol: "udp",
			address: "[2001:db8::1]:50000",
			relayProtocol: "tls",
			url: "turns:relay.example:443?transport=tcp",
		},
		remote: { type: "host", protocol: "udp", address: null, relayProtocol: null, url: null },
		roundTripMs: 12,
		sentBytes: 5,
		receivedBytes: 7,
	});
});

test("a relay at the far end alone is relayed too", () => {
	const remote = { type: "remote-candidate", candidateType: "relay", protocol: "udp" };
	expect(pathOf(chromium({ ...hostRemote, type: "local-candidate" }, remote))?.kind).toBe("relayed");
});

test("without a relay it is direct", () => {
	expect(pathOf(chromium({ ...hostRemote, candidateType: "prflx" }, hostRemote))?.kind).toBe("direct");
});

test("Firefox marks the pair itself", () => {
	expect(
		pathOf([
			["q", { ...pair, localCandidateId: "none" }],
			["p", { ...pair, selected: true }],
			["l", relayLocal],
			["r", hostRemote],
		])?.kind,
	).toBe("relayed");
});

test.each([
	["nothing", []],
	["no selected pair", [["p", pair]]],
	["a pair that is gone", [["t", { type: "transport", selectedCandidatePairId: "p" }]]],
	["candidates that are gone", chromium(relayLocal, hostRemote).slice(0, 3)],
	["a type of candidate that is unknown", chromium({ ...relayLocal, candidateType: "quantum" }, hostRemote)],
] satisfies [string, [string, object][]][])("no path from %s", (_name, stats) => {
	expect(pathOf(stats)).toBeNull();
});
