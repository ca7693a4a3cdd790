//! What the two pages tell each other over the room besides the client's own messages: whether to use only the relay.

import type { TransportPolicy } from "@causeway/client";
import { isOneOf, isShape } from "@causeway/client/guard";

/** One page switched; the other follows. */
export interface PolicyNote {
	readonly kind: "transport-policy";
	readonly policy: TransportPolicy;
}

/** Guards what the other page says. */
export const isPolicyNote = isShape({ kind: isOneOf("transport-policy"), policy: isOneOf("all", "relay") });

/** The note of a policy. */
export function policyNote(policy: TransportPolicy): PolicyNote {
	return { kind: "transport-policy", policy };
}
