//! The link: to copy, and as a code for a camera.

import { useSignal } from "@preact/signals";
import { QrCode } from "./qr-code.tsx";

const COPIED_MS = 2_000;

/** The link of a room. */
export function ShareLink({ link, hasPassword }: { readonly link: string; readonly hasPassword: boolean }) {
	const copied = useSignal(false);
	const copy = async () => {
		await navigator.clipboard.writeText(link);
		copied.value = true;
		setTimeout(() => {
			copied.value = false;
		}, COPIED_MS);
	};
	return (
		<section class="card share" aria-label="Link">
			<QrCode text={link} label="QR code of the link" />
			<div class="share-text">
				<label for="link">Send this link to one person you trust</label>
				<div class="copy">
					<input
						id="link"
						data-testid="link"
						readOnly
						value={link}
						onFocus={({ currentTarget }) => currentTarget.select()}
					/>
					<button type="button" class="secondary" onClick={() => void copy()}>
						{copied.value ? "Copied" : "Copy"}
					</button>
				</div>
				<p class="hint">
					{hasPassword ? "Tell the password on another way. " : ""}
					The part after “#” is a key that no server sees: it proves to both browsers that nobody stands
					between them.
				</p>
			</div>
		</section>
	);
}
