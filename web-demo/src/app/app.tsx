//! The frame around both pages.

import type { ComponentChildren } from "preact";
import { Heading } from "./heading.tsx";
import { ReceivePage } from "./receive-page.tsx";
import { SendPage } from "./send-page.tsx";

/** The page for an address: `/r/<room>` receives, everything else sends. */
export function App({ path, fragment }: { readonly path: string; readonly fragment: string }) {
	const room = /^\/r\/([\w-]{1,64})\/?$/.exec(path)?.[1];
	return (
		<Frame>
			{!isSecureContext ? (
				<Insecure />
			) : room === undefined ? (
				<SendPage />
			) : (
				<ReceivePage room={room} fragment={fragment} />
			)}
		</Frame>
	);
}

function Frame({ children }: { readonly children: ComponentChildren }) {
	return (
		<>
			<header class="top">
				<a class="brand" href="/">
					<svg viewBox="0 0 32 32" aria-hidden="true">
						<path class="brand-water" d="M3 22c4.3 0 4.3-9 8.7-9s4.3 9 8.6 9 4.4-9 8.7-9" />
						<path class="brand-road" d="M3 17h26" />
					</svg>
					Causeway
				</a>
			</header>
			<main>{children}</main>
			<footer>
				Files go from browser to browser, encrypted end to end. The server introduces the two and, where no
				direct way exists, relays what it cannot read. It stores nothing.
			</footer>
		</>
	);
}

function Insecure() {
	return (
		<section class="hero">
			<Heading>This page needs https</Heading>
			<p class="problem" role="alert">
				Browsers allow hashing and saving of files only on secure pages; open this address with https, or on
				localhost.
			</p>
		</section>
	);
}
