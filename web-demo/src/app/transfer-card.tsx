//! One transfer: what it is, how far it is, which way it takes, and how it ended.

import { formatBytes, formatDuration, formatPercent, groupHex } from "../model/format.ts";
import type { PeerTransfer } from "../model/peer-transfer.ts";
import { sentenceForEnd, sentenceForFailure } from "../model/sentences.ts";
import type { Stay } from "../model/stay.ts";
import { isFinal, type Progress, type TransferState } from "../transfer/state.ts";
import { Announcer } from "./announcer.tsx";
import { Offer } from "./offer.tsx";
import { PathView } from "./path-view.tsx";

interface TransferCardProps {
	readonly transfer: PeerTransfer;
	readonly stay: Stay;
}

/** A transfer with one other browser. */
export function TransferCard({ transfer, stay }: TransferCardProps) {
	const state = transfer.state.value;
	const link = transfer.link.value;
	const path = transfer.path.value;
	const began = state.kind === "moving" || state.kind === "done";
	// The connection knows why its channels closed; the engine only that they did.
	const broken = !isFinal(state) || (state.kind === "failed" && state.failure === "lane-closed");
	const ended = link.kind === "ended" && broken ? sentenceForEnd(link.reason) : null;
	return (
		<article class="card transfer" data-testid="transfer" data-state={ended === null ? state.kind : "failed"}>
			{ended === null ? <Body transfer={transfer} state={state} /> : <Problem sentence={ended} />}
			{path !== null && (began || isFinal(state)) && (
				<PathView path={path} relayed={stay.relayed()} restoring={link.kind === "interrupted"} />
			)}
			<Announcer text={announcement(state)} />
		</article>
	);
}

function Body({ transfer, state }: { readonly transfer: PeerTransfer; readonly state: TransferState }) {
	switch (state.kind) {
		case "opening":
			return (
				<p class="waiting">
					<span class="pulse" aria-hidden="true" />
					Connecting the two browsers
				</p>
			);
		case "offered":
			return transfer.role === "receive" ? (
				<Offer state={state} transfer={transfer} />
			) : (
				<>
					<p class="waiting" data-testid="connected">
						<span class="pulse" aria-hidden="true" />
						Somebody opened the link and is asked to accept
					</p>
					<button type="button" class="secondary" data-testid="cancel" onClick={() => transfer.cancel()}>
						Cancel
					</button>
				</>
			);
		case "moving":
			return <Moving progress={state.progress} transfer={transfer} />;
		case "done":
			return <Done state={state} transfer={transfer} />;
		case "cancelled":
			return (
				<Problem
					sentence={
						state.by === "this-side"
							? "You cancelled. Nothing unfinished was kept at either end."
							: "The other person cancelled. Nothing unfinished was kept at either end."
					}
				/>
			);
		case "failed":
			return <Problem sentence={sentenceForFailure(state)} />;
	}
}

function Moving({ progress, transfer }: { readonly progress: Progress; readonly transfer: PeerTransfer }) {
	const { durableBytes, totalBytes, bytesPerSecond, secondsLeft, files, filesDone } = progress;
	const verb = transfer.role === "send" ? "Sending" : "Receiving";
	return (
		<>
			<div class="headline">
				<h2>{verb}</h2>
				<span class="percent" data-testid="percent">
					{formatPercent(durableBytes, totalBytes)}
				</span>
			</div>
			<progress max={Math.max(1, totalBytes)} value={durableBytes} aria-label={`${verb} progress`} />
			<dl class="numbers">
				<div>
					<dt>Arrived</dt>
					<dd data-testid="arrived">
						{formatBytes(durableBytes)} of {formatBytes(totalBytes)}
					</dd>
				</div>
				<div>
					<dt>Speed</dt>
					<dd data-testid="speed">{formatBytes(bytesPerSecond)}/s</dd>
				</div>
				<div>
					<dt>Time left</dt>
					<dd>{secondsLeft === null ? "–" : formatDuration(secondsLeft)}</dd>
				</div>
				{files > 1 && (
					<div>
						<dt>Files</dt>
						<dd>
							{filesDone} of {files}
						</dd>
					</div>
				)}
			</dl>
			<button type="button" class="secondary" data-testid="cancel" onClick={() => transfer.cancel()}>
				Cancel
			</button>
		</>
	);
}

function Done({
	state,
	transfer,
}: {
	readonly state: Extract<TransferState, { kind: "done" }>;
	readonly transfer: PeerTransfer;
}) {
	const seconds = state.milliseconds / 1000;
	const rate = seconds > 0 ? ` at ${formatBytes(state.totalBytes / seconds)}/s` : "";
	const downloads = transfer.downloads.value;
	return (
		<>
			<div class="headline done">
				<h2>{transfer.role === "send" ? "Everything arrived" : "Everything is here"}</h2>
				<span class="tick" aria-hidden="true">
					✓
				</span>
			</div>
			<p>
				{formatBytes(state.totalBytes)} in {formatDuration(seconds)}
				{rate}, every block checked.
			</p>
			{downloads.length > 0 && (
				<p class="hint">
					In your Downloads. Not there?{" "}
					{downloads.map(({ name, url }) => (
						<a key={url} href={url} download={name}>
							Save {name} again
						</a>
					))}
				</p>
			)}
			<div class="root">
				<span class="root-title">Fingerprint, the same at both ends (SHA-256 tree)</span>
				<code data-testid="root" data-root={state.root}>
					{groupHex(state.root)}
				</code>
			</div>
		</>
	);
}

function Problem({ sentence }: { readonly sentence: string }) {
	return (
		<p class="problem" role="alert" data-testid="problem">
			{sentence}
		</p>
	);
}

/** What a screen reader says; tens of percent, so that it says it rarely. */
function announcement(state: TransferState): string {
	switch (state.kind) {
		case "moving": {
			const { durableBytes, totalBytes } = state.progress;
			const tens = totalBytes === 0 ? 100 : 10 * Math.floor((10 * durableBytes) / totalBytes);
			return `${tens} percent`;
		}
		case "done":
			return "Everything arrived";
		case "opening":
		case "offered":
		case "cancelled":
		case "failed":
			return "";
	}
}
