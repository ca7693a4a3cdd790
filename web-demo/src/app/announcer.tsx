//! Tells a screen reader what changed, and not more often than can be listened to.

import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

const EVERY_MS = 5_000;

/** A live region that takes over `text` at most every few seconds. */
export function Announcer({ text }: { readonly text: string }) {
	const said = useSignal("");
	const saidAt = useRef(Number.NEGATIVE_INFINITY);
	useEffect(() => {
		const wait = Math.max(0, saidAt.current + EVERY_MS - performance.now());
		const timer = setTimeout(() => {
			saidAt.current = performance.now();
			said.value = text;
		}, wait);
		return () => clearTimeout(timer);
	}, [text, said]);
	return (
		<p class="visually-hidden" aria-live="polite">
			{said.value}
		</p>
	);
}
