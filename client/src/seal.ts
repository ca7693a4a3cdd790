//! Proof that a session description comes from somebody who knows the link's key: a MAC over its DTLS fingerprints.
//!
//! The server carries the descriptions, so a hostile one could put itself in the middle by exchanging the
//! fingerprints (RFC 8827 §9). The key is in the link's fragment, which browsers never send to a server. The MAC
//! travels as one more attribute at the session's level, which receivers that do not know it ignore (RFC 8866 §5.13).

import { withSessionAttribute } from "./sdp.ts";

/** Seals what is sent to another peer, and opens what another peer sealed. */
export interface DescriptionSeal {
	/** The description with its proof. */
	seal(sdp: string, from: string, to: string): Promise<string>;
	/** The description without its proof, or null if the proof is missing or wrong. */
	open(sdp: string, from: string, to: string): Promise<string | null>;
}

const ATTRIBUTE = "a=causeway-mac:";

/** A seal that whoever knows `key` can make and check. The key: at least 16 random bytes. */
export function fingerprintSeal(key: Uint8Array<ArrayBuffer>): DescriptionSeal {
	const mac = derive(key);
	return {
		async seal(sdp, from, to) {
			const signature = await crypto.subtle.sign("HMAC", await mac, covered(sdp, from, to));
			return withSessionAttribute(sdp, ATTRIBUTE + toHex(new Uint8Array(signature)));
		},
		async open(sdp, from, to) {
			const lines = sdp.split("\r\n");
			const proofs = lines.filter((line) => line.startsWith(ATTRIBUTE));
			const [proof] = proofs;
			if (proof === undefined || proofs.length !== 1) return null;
			const signature = fromHex(proof.slice(ATTRIBUTE.length));
			if (signature === null) return null;
			const plain = lines.filter((line) => line !== proof).join("\r\n");
			const message = covered(plain, from, to);
			return (await crypto.subtle.verify("HMAC", await mac, signature, message)) ? plain : null;
		},
	};
}

async function derive(key: Uint8Array<ArrayBuffer>): Promise<CryptoKey> {
	const material = await crypto.subtle.importKey("raw", key, "HKDF", false, ["deriveKey"]);
	const info = new TextEncoder().encode("causeway dtls fingerprints v1");
	return crypto.subtle.deriveKey(
		{ name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info },
		material,
		{ name: "HMAC", hash: "SHA-256", length: 256 },
		false,
		["sign", "verify"],
	);
}

/** What the MAC covers: the direction, so that nothing can be sent back to its author, every fingerprint, and what this client adds. */
function covered(sdp: string, from: string, to: string): Uint8Array<ArrayBuffer> {
	const lines = sdp.split("\r\n");
	const vouched = lines.filter((line) => /^a=(?:fingerprint|causeway-generation):/.test(line));
	// A space cannot occur in an id, nor a line feed in a line.
	return new TextEncoder().encode([`${from} ${to}`, ...vouched].join("\n"));
}

function toHex(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromHex(text: string): Uint8Array<ArrayBuffer> | null {
	if (!/^(?:[0-9a-f]{2})+$/.test(text)) return null;
	const bytes = new Uint8Array(text.length / 2);
	for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
	return bytes;
}
