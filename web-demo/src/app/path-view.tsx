//! Which way the bytes take, as a picture and as proof.

import type { Path, PathEnd } from "@causeway/client";
import { formatBytes } from "../model/format.ts";
import type { RelayedBytes } from "../model/stay.ts";

interface PathViewProps {
	readonly path: Path;
	/** What the relay itself counted for this browser. */
	readonly relayed: RelayedBytes;
	readonly restoring: boolean;
}

/** Direct or relayed, and how one knows. */
export function PathView({ path, relayed: counted, restoring }: PathViewProps) {
	const relayed = path.kind === "relayed";
	return (
		<section class="path" aria-label="Path" data-testid="path" data-kind={path.kind}>
			<div class="road" aria-hidden="true">
				<span class="end">You</span>
				<span class="line" />
				{relayed && <span class="relay">Relay</span>}
				{relayed && <span class="line" />}
				<span class="end">Them</span>
			</div>
			<p class="path-kind">
				{restoring
					? "Looking for a new way…"
					: relayed
						? "Through the relay"
						: "Directly, browser to browser"}
				{path.roundTripMs !== null && (
					<span class="hint"> · {Math.max(1, Math.round(path.roundTripMs))} ms round trip</span>
				)}
			</p>
			<details>
				<summary>How do I know?</summary>
				<dl class="proof">
					<dt>This browser’s end</dt>
					<dd data-testid="local-end" data-type={path.local.type}>
						{describe(path.local)}
					</dd>
					<dt>The other end</dt>
					<dd data-testid="remote-end" data-type={path.remote.type}>
						{describe(path.remote)}
					</dd>
					{path.local.url !== null && (
						<>
							<dt>Relay</dt>
							<dd data-testid="relay-url">
								{path.local.url}
								{path.local.relayProtocol !== null &&
									`, reached over ${path.local.relayProtocol.toUpperCase()}`}
							</dd>
						</>
					)}
					<dt>On this way, by the browser’s count</dt>
					<dd data-testid="pair-bytes" data-sent={path.sentBytes} data-received={path.receivedBytes}>
						{formatBytes(path.sentBytes)} sent, {formatBytes(path.receivedBytes)} received
					</dd>
					<dt>For this browser, by the relay’s own count</dt>
					<dd data-testid="relay-bytes" data-sent={counted.sent} data-received={counted.received}>
						{formatBytes(counted.sent)} sent, {formatBytes(counted.received)} received
					</dd>
				</dl>
			</details>
		</section>
	);
}

function describe(end: PathEnd): string {
	const kinds = {
		host: "its own address",
		srflx: "its address as the internet sees it",
		prflx: "an address found on the way",
		relay: "an address on the relay",
	} as const;
	const address = end.address === null ? "" : ` ${end.address}`;
	return `${end.type}: ${kinds[end.type]}${address}, ${end.protocol.toUpperCase()}`;
}
