//! The link's key: 128 random bits in the fragment, which browsers never send to a server.

const KEY_LENGTH = 16;

/** A key, and the text of it that stands in a link. */
export interface LinkKey {
	readonly bytes: Uint8Array<ArrayBuffer>;
	/** base64url without padding (RFC 4648 §5). */
	readonly text: string;
}

/** Draws a key. */
export function drawKey(): LinkKey {
	const bytes = crypto.getRandomValues(new Uint8Array(KEY_LENGTH));
	const text = btoa(String.fromCharCode(...bytes))
		.replaceAll("+", "-")
		.replaceAll("/", "_")
		.replaceAll("=", "");
	return { bytes, text };
}

/** Reads the key in a location's fragment, such as `#abc`; null if there is none of the right length. */
export function readKey(fragment: string): LinkKey | null {
	const text = fragment.replace(/^#/, "");
	if (!/^[\w-]{22}$/.test(text)) return null;
	const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
	return { bytes: Uint8Array.from(binary, (char) => char.charCodeAt(0)), text };
}
