//! Which way the bytes of a connection take, as the browser's statistics tell it (W3C webrtc-stats).

import { type Check, isCount, isRecord, isString } from "./guard.ts";

/** One end of the selected candidate pair. */
export interface PathEnd {
	/** RFC 8445 §5.1.1: `relay` is an address on a TURN server. */
	readonly type: "host" | "srflx" | "prflx" | "relay";
	readonly protocol: "udp" | "tcp";
	/** Address and port where the browser tells them. */
	readonly address: string | null;
	/** How this browser reaches its relay; null at the far end, where only the other browser knows. */
	readonly relayProtocol: "udp" | "tcp" | "tls" | null;
	/** The TURN server's URL; null at the far end. */
	readonly url: string | null;
}

/** The way between two peers, with the totals of the pair that is in use. */
export interface Path {
	/** `relayed` if at least one end is a relay. */
	readonly kind: "direct" | "relayed";
	readonly local: PathEnd;
	readonly remote: PathEnd;
	/** The latest round trip, in milliseconds; null before the first answer. */
	readonly roundTripMs: number | null;
	/** Bytes of payload on this pair, headers not counted. A new pair begins at zero. */
	readonly sentBytes: number;
	readonly receivedBytes: number;
}

type Report = Readonly<Record<string, unknown>>;

const isNumber: Check<number> = (value): value is number =>
	typeof value === "number" && Number.isFinite(value);

/** The path that the statistics show, or null while no pair is selected. */
export function pathOf(stats: Iterable<readonly [string, unknown]>): Path | null {
	const reports = new Map<string, Report>();
	for (const [id, report] of stats) if (isRecord(report)) reports.set(id, report);
	const pair = selectedPair(reports);
	if (pair === null) return null;
	const local = endOf(reports, pair["localCandidateId"]);
	const remote = endOf(reports, pair["remoteCandidateId"]);
	if (local === null || remote === null) return null;
	const roundTrip = pair["currentRoundTripTime"];
	return {
		kind: local.type === "relay" || remote.type === "relay" ? "relayed" : "direct",
		local,
		remote,
		roundTripMs: isNumber(roundTrip) ? roundTrip * 1000 : null,
		sentBytes: countOf(pair["bytesSent"]),
		receivedBytes: countOf(pair["bytesReceived"]),
	};
}

function selectedPair(reports: ReadonlyMap<string, Report>): Report | null {
	for (const report of reports.values()) {
		if (report["type"] !== "transport") continue;
		const id = report["selectedCandidatePairId"];
		const pair = isString(id) ? reports.get(id) : undefined;
		if (pair !== undefined) return pair;
	}
	// Firefox has no transport reports; it marks the pair itself.
	for (const report of reports.values()) {
		if (report["type"] === "candidate-pair" && report["selected"] === true) return report;
	}
	return null;
}

const TYPES = { host: "host", srflx: "srflx", prflx: "prflx", relay: "relay" } as const;
const isCandidateType: Check<PathEnd["type"]> = (value): value is PathEnd["type"] =>
	isString(value) && Object.hasOwn(TYPES, value);
const isRelayProtocol: Check<"udp" | "tcp" | "tls"> = (value): value is "udp" | "tcp" | "tls" =>
	value === "udp" || value === "tcp" || value === "tls";

function endOf(reports: ReadonlyMap<string, Report>, id: unknown): PathEnd | null {
	const report = isString(id) ? reports.get(id) : undefined;
	if (report === undefined) return null;
	const { candidateType, protocol, address, port, relayProtocol, url } = report;
	if (!isCandidateType(candidateType)) return null;
	return {
		type: candidateType,
		protocol: protocol === "tcp" ? "tcp" : "udp",
		address: isString(address) && address !== "" ? hostAndPort(address, port) : null,
		relayProtocol: isRelayProtocol(relayProtocol) ? relayProtocol : null,
		url: isString(url) && url !== "" ? url : null,
	};
}

function hostAndPort(address: string, port: unknown): string {
	const host = address.includes(":") ? `[${address}]` : address;
	return isCount(port) ? `${host}:${port}` : host;
}

function countOf(value: unknown): number {
	return isCount(value) ? value : 0;
}
