//! Names of received files: what a stranger calls a file must not decide where it goes.

// Above this some file systems refuse a name (255 bytes of UTF-8, less a suffix for a second file of the name).
const MOST_BYTES = 240;

/** A name that is safe in any folder of any system: the last part of a path, without what systems interpret. */
export function safeName(name: string): string {
	const last = name.split(/[/\\]/).at(-1) ?? "";
	let safe = last
		// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must go
		.replace(/[\u0000-\u001f\u007f<>:"|?*\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "_")
		.replace(/^[. ]+|[. ]+$/g, "");
	if (/^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i.test(safe)) safe = `_${safe}`;
	while (new TextEncoder().encode(safe).length > MOST_BYTES) {
		const dot = safe.lastIndexOf(".");
		const stem = dot > 0 ? safe.slice(0, dot) : safe;
		safe = [...stem].slice(0, -1).join("") + safe.slice(stem.length);
		if (stem.length <= 1) return "file";
	}
	return safe === "" ? "file" : safe;
}

/** Makes names unique by counting: `a.txt`, `a (2).txt`. */
export class UniqueNames {
	readonly #taken = new Set<string>();

	/** A name that was not given before; systems differ in whether case counts, so it does not. */
	take(name: string): string {
		const dot = name.lastIndexOf(".");
		const [stem, extension] = dot > 0 ? [name.slice(0, dot), name.slice(dot)] : [name, ""];
		let unique = name;
		for (let n = 2; this.#taken.has(unique.toLowerCase()); n++) unique = `${stem} (${n})${extension}`;
		this.#taken.add(unique.toLowerCase());
		return unique;
	}
}
