//! The little that this client writes into session descriptions and reads from them.

const GENERATION = "a=causeway-generation:";

/** Adds an attribute of the session. Those stand before the first media section (RFC 8866 §9). */
export function withSessionAttribute(sdp: string, line: string): string {
	const media = sdp.indexOf("\r\nm=");
	return media < 0 ? `${sdp}${line}\r\n` : `${sdp.slice(0, media)}\r\n${line}${sdp.slice(media)}`;
}

/** Says which connection between two peers a description belongs to; the first is 1 and is not said. */
export function withGeneration(sdp: string, generation: number): string {
	return generation === 1 ? sdp : withSessionAttribute(sdp, GENERATION + generation);
}

/** Which connection a description belongs to. */
export function generationOf(sdp: string): number {
	const line = sdp.split("\r\n").find((candidate) => candidate.startsWith(GENERATION));
	const generation = Number(line?.slice(GENERATION.length) ?? 1);
	return Number.isSafeInteger(generation) && generation > 0 ? generation : 1;
}
