//! What is offered, and where it can be saved.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { formatBytes } from "../model/format.ts";
import type { PeerTransfer } from "../model/peer-transfer.ts";
import { abilities, type Saving, savings } from "../model/places.ts";
import type { TransferState } from "../transfer/state.ts";

interface OfferProps {
	readonly state: Extract<TransferState, { kind: "offered" }>;
	readonly transfer: PeerTransfer;
}

const MOST_SHOWN = 50;

/** Accept, and where; or not. */
export function Offer({ state, transfer }: OfferProps) {
	const { files, totalBytes } = state;
	const ways = useSignal<readonly Saving[] | null>(null);
	const problem = useSignal<string | null>(null);
	useEffect(() => {
		void abilities().then((able) => {
			ways.value = savings(files, totalBytes, able);
		});
	}, [files, totalBytes, ways]);
	const accept = async (way: Saving) => {
		try {
			const place = await way.pick();
			if (place !== null) transfer.accept(place);
		} catch {
			problem.value = "The browser did not open that place; choose another.";
		}
	};
	return (
		<>
			<div class="headline">
				<h2>{files.length === 1 ? "One file" : `${files.length} files`}</h2>
				<span class="percent" data-testid="offered-size">
					{formatBytes(totalBytes)}
				</span>
			</div>
			<ul class="files" aria-label="Offered files">
				{files.slice(0, MOST_SHOWN).map((file, index) => (
					<li key={`${index} ${file.name}`}>
						<span class="file-name" data-testid="offered-name">
							{file.name}
						</span>
						<span class="file-size">{formatBytes(file.size)}</span>
					</li>
				))}
				{files.length > MOST_SHOWN && <li class="more">and {files.length - MOST_SHOWN} more</li>}
			</ul>
			{problem.value !== null && (
				<p class="problem" role="alert">
					{problem.value}
				</p>
			)}
			{ways.value?.length === 0 && (
				<p class="problem" role="alert">
					This browser has no place for {formatBytes(totalBytes)}; free some space, or open the link in a
					Chromium browser on a computer.
				</p>
			)}
			<div class="ways">
				{ways.value?.map((way, index) => (
					<div key={way.kind} class="way">
						<button
							type="button"
							class={index === 0 ? "primary" : "secondary"}
							data-testid={`accept-${way.kind}`}
							aria-describedby={`why-${way.kind}`}
							onClick={() => void accept(way)}
						>
							{way.label}
						</button>
						<span class="hint" id={`why-${way.kind}`}>
							{way.why}
						</span>
					</div>
				))}
				<div class="way">
					<button type="button" class="secondary" data-testid="decline" onClick={() => transfer.cancel()}>
						Decline
					</button>
				</div>
			</div>
		</>
	);
}
