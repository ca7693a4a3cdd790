//! Time, as tests want to move it.

/** Calls once after so many milliseconds; the returned function takes it back. */
export type After = (milliseconds: number, call: () => void) => () => void;

/** The browser's own. */
export function inBrowser(milliseconds: number, call: () => void): () => void {
	const timer = setTimeout(call, milliseconds);
	return () => clearTimeout(timer);
}
