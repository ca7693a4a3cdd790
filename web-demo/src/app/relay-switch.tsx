//! The switch that forces everything through the relay.

import type { TransportPolicy } from "@causeway/client";
import { useId } from "preact/hooks";

interface RelaySwitchProps {
	readonly policy: TransportPolicy;
	/** The other page cannot be told any more. */
	readonly disabled?: boolean;
	readonly onSwitch: (policy: TransportPolicy) => void;
}

/** Works before and while bytes flow. */
export function RelaySwitch({ policy, disabled = false, onSwitch }: RelaySwitchProps) {
	const hint = useId();
	return (
		<label class="switch">
			<input
				type="checkbox"
				role="switch"
				data-testid="relay-switch"
				disabled={disabled}
				checked={policy === "relay"}
				aria-checked={policy === "relay"}
				aria-describedby={hint}
				onChange={({ currentTarget }) => onSwitch(currentTarget.checked ? "relay" : "all")}
			/>
			<span class="track" aria-hidden="true" />
			<span class="switch-text">
				<span class="switch-title">Only through the relay</span>
				<span class="hint" id={hint}>
					For when direct ways are blocked, or the other person shall not learn your address. May be switched
					while files are on their way.
				</span>
			</span>
		</label>
	);
}
