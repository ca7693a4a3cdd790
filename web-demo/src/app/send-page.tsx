//! The page for the one who sends.

import { useMemo } from "preact/hooks";
import { formatBytes } from "../model/format.ts";
import { SendModel, type SendStage } from "../model/send.ts";
import type { Stay } from "../model/stay.ts";
import { FileDrop } from "./file-drop.tsx";
import { Heading } from "./heading.tsx";
import { Notice } from "./notice.tsx";
import { RelaySwitch } from "./relay-switch.tsx";
import { ShareLink } from "./share-link.tsx";
import { TransferCard } from "./transfer-card.tsx";

/** Choose, share, watch. */
export function SendPage() {
	const model = useMemo(() => new SendModel(), []);
	const stage = model.stage.value;
	return stage.kind === "sharing" ? (
		<Sharing model={model} link={stage.link} stay={stage.stay} />
	) : (
		<Choosing model={model} stage={stage} />
	);
}

function Choosing({
	model,
	stage,
}: {
	readonly model: SendModel;
	readonly stage: Exclude<SendStage, { kind: "sharing" }>;
}) {
	const files = model.files.value;
	const total = files.reduce((sum, { size }) => sum + size, 0);
	const busy = stage.kind === "creating";
	return (
		<>
			<section class="hero">
				<Heading>Send files of any size</Heading>
				<p>Straight from this browser to another. Nothing is uploaded, nothing is kept on the way.</p>
			</section>
			<form
				class="card"
				onSubmit={(event) => {
					event.preventDefault();
					void model.share();
				}}
			>
				<FileDrop files={files} onAdd={(added) => model.add(added)} onRemove={(file) => model.remove(file)} />
				<div class="options">
					<div class="field">
						<label for="password">
							Password <span class="optional">optional</span>
						</label>
						<input
							id="password"
							type="password"
							autocomplete="new-password"
							placeholder="Asked of whoever opens the link"
							value={model.password.value}
							onInput={({ currentTarget }) => {
								model.password.value = currentTarget.value;
							}}
						/>
					</div>
					<RelaySwitch
						policy={model.policy.value}
						onSwitch={(policy) => {
							model.policy.value = policy;
						}}
					/>
				</div>
				{stage.kind === "choosing" && stage.problem !== null && (
					<p class="problem" role="alert" data-testid="problem">
						{stage.problem}
					</p>
				)}
				<button class="primary wide" type="submit" disabled={files.length === 0 || busy}>
					{busy
						? "Creating the link…"
						: files.length === 0
							? "Create link"
							: `Create link for ${formatBytes(total)}`}
				</button>
			</form>
		</>
	);
}

function Sharing({
	model,
	link,
	stay,
}: {
	readonly model: SendModel;
	readonly link: string;
	readonly stay: Stay;
}) {
	const transfers = model.transfers.value;
	return (
		<>
			<section class="hero">
				<Heading>Your link is ready</Heading>
				<p>Whoever opens it is offered the files. Keep this page open until they have arrived.</p>
			</section>
			<ShareLink link={link} hasPassword={model.password.value !== ""} />
			<Notice notice={stay.notice.value} />
			{transfers.length === 0 && (
				<p class="waiting" role="status" data-testid="waiting">
					<span class="pulse" aria-hidden="true" />
					Waiting for somebody to open the link
				</p>
			)}
			{transfers.map((transfer) => (
				<TransferCard key={transfer.peer} transfer={transfer} stay={stay} />
			))}
			<section class="card quiet">
				<RelaySwitch
					policy={stay.policy.value}
					disabled={stay.over}
					onSwitch={(policy) => model.switchPolicy(stay, policy)}
				/>
			</section>
		</>
	);
}
