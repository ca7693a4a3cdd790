//! Says when the server is gone, and what still works.

import type { Closed } from "@causeway/client";

/** Nothing while the session stands. */
export function Notice({ closed }: { readonly closed: Closed | null }) {
	if (closed === null) return null;
	return (
		<p class="notice" role="status" data-testid="notice">
			{closed.reason === "room-closed"
				? "The link has expired. What is on its way goes on; for more, create a new link."
				: "The connection to the server is gone. What is on its way goes on; for more, reload this page."}
		</p>
	);
}
