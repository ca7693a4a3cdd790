//! A QR code as one SVG path.

import { generate } from "lean-qr";
import { useMemo } from "preact/hooks";

// ISO/IEC 18004 §6.3.8: four modules of quiet around the code.
const QUIET = 4;

/** The text as a code; dark on light in both colour schemes, since cameras expect that. */
export function QrCode({ text, label }: { readonly text: string; readonly label: string }) {
	const { path, size } = useMemo(() => draw(text), [text]);
	return (
		<svg
			class="qr"
			viewBox={`${-QUIET} ${-QUIET} ${size + 2 * QUIET} ${size + 2 * QUIET}`}
			role="img"
			aria-label={label}
		>
			<path d={path} shape-rendering="crispEdges" />
		</svg>
	);
}

function draw(text: string): { readonly path: string; readonly size: number } {
	const code = generate(text);
	let path = "";
	for (let y = 0; y < code.size; y++) {
		for (let x = 0; x < code.size; x++) if (code.get(x, y)) path += `M${x} ${y}h1v1h-1z`;
	}
	return { path, size: code.size };
}
