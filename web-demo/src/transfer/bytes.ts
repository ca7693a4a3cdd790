//! Small tools for bytes.

/** Bytes in memory of their own, as WebCrypto and data channels want them. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** SHA-256 of the bytes, by WebCrypto; it works beside this thread. */
export async function sha256(bytes: Bytes): Promise<Bytes> {
	return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Whether both hold the same bytes. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
	return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Lower-case hexadecimal digits. */
export function toHex(bytes: Uint8Array): string {
	return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
