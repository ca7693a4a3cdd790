//! The page's heading. It takes the focus when the page turns into another one, as after a navigation.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

// The first heading comes with the document itself, which browsers announce.
let first = true;

/** The heading of a stage. */
export function Heading({ children }: { readonly children: ComponentChildren }) {
	const heading = useRef<HTMLHeadingElement>(null);
	useEffect(() => {
		// What was made to be typed into keeps the focus.
		const taken = document.activeElement instanceof HTMLInputElement;
		if (!first && !taken) heading.current?.focus({ preventScroll: true });
		first = false;
	}, []);
	return (
		<h1 ref={heading} tabIndex={-1}>
			{children}
		</h1>
	);
}
