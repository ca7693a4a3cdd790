//! Says when the server is gone, when it is back, and what still works.

import type { LineNotice } from "../model/line-watch.ts";
import { sentenceForLine } from "../model/sentences.ts";

/** A live region: always there, so that what appears in it is read out, when the screen reader has time. */
export function Notice({ notice }: { readonly notice: LineNotice }) {
	const sentence = sentenceForLine(notice);
	return (
		<div role="status" aria-live="polite">
			{sentence !== null && (
				<p class="notice" data-testid="notice" data-kind={notice.kind}>
					{sentence}
				</p>
			)}
		</div>
	);
}
