//! The page for the one who receives.

import { useEffect, useMemo, useRef } from "preact/hooks";
import { ReceiveModel } from "../model/receive.ts";
import { Heading } from "./heading.tsx";
import { Notice } from "./notice.tsx";
import { RelaySwitch } from "./relay-switch.tsx";
import { TransferCard } from "./transfer-card.tsx";

/** Opened by a link. */
export function ReceivePage({ room, fragment }: { readonly room: string; readonly fragment: string }) {
	const model = useMemo(() => new ReceiveModel(room, fragment), [room, fragment]);
	useEffect(() => {
		void model.look();
	}, [model]);
	const stage = model.stage.value;
	switch (stage.kind) {
		case "looking":
		case "joining":
			return <Waiting title="Opening the link" text="One moment." />;
		case "password":
			return <Password problem={stage.problem} onEnter={(password) => void model.join(password)} />;
		case "problem":
			return (
				<section class="hero">
					<Heading>This link does not work</Heading>
					<p class="problem" role="alert" data-testid="problem">
						{stage.sentence}
					</p>
				</section>
			);
		case "waiting":
			return (
				<>
					<Waiting title="You are in" text="Waiting for the sender’s page; it must be open." />
					<Notice notice={stage.stay.notice.value} />
				</>
			);
		case "transfer":
			return (
				<>
					<section class="hero">
						<Heading>Somebody sends you files</Heading>
						<p>They come from the other person’s browser. Accept only what you expect.</p>
					</section>
					<Notice notice={stage.stay.notice.value} />
					<TransferCard transfer={stage.transfer} stay={stage.stay} />
					<section class="card quiet">
						<RelaySwitch
							policy={stage.stay.policy.value}
							disabled={stage.stay.over}
							onSwitch={(policy) => model.switchPolicy(stage.stay, policy)}
						/>
					</section>
				</>
			);
	}
}

function Waiting({ title, text }: { readonly title: string; readonly text: string }) {
	return (
		<section class="hero">
			<Heading>{title}</Heading>
			<p class="waiting" role="status">
				<span class="pulse" aria-hidden="true" />
				{text}
			</p>
		</section>
	);
}

function Password({
	problem,
	onEnter,
}: {
	readonly problem: string | null;
	readonly onEnter: (password: string) => void;
}) {
	const input = useRef<HTMLInputElement>(null);
	useEffect(() => input.current?.focus(), []);
	return (
		<>
			<section class="hero">
				<Heading>This link has a password</Heading>
				<p>The person who sent it can tell you.</p>
			</section>
			<form
				class="card"
				onSubmit={(event) => {
					event.preventDefault();
					onEnter(input.current?.value ?? "");
				}}
			>
				<div class="field">
					<label for="password">Password</label>
					<input
						ref={input}
						id="password"
						type="password"
						autocomplete="off"
						required
						aria-invalid={problem !== null}
						aria-describedby={problem === null ? undefined : "password-problem"}
					/>
				</div>
				{problem !== null && (
					<p class="problem" role="alert" id="password-problem" data-testid="problem">
						{problem}
					</p>
				)}
				<button class="primary wide" type="submit">
					Continue
				</button>
			</form>
		</>
	);
}
