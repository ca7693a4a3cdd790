//! Where files are dropped or chosen, and the list of them.

import { useSignal } from "@preact/signals";
import { formatBytes } from "../model/format.ts";

interface FileDropProps {
	readonly files: readonly File[];
	readonly onAdd: (files: Iterable<File>) => void;
	readonly onRemove: (file: File) => void;
}

// More would only be scrolled past; the count and the sum stand below.
const MOST_SHOWN = 50;

/** A large target that also works by keyboard: it is the label of a file input. */
export function FileDrop({ files, onAdd, onRemove }: FileDropProps) {
	const over = useSignal(false);
	return (
		<>
			<label
				class={`drop ${over.value ? "over" : ""} ${files.length > 0 ? "small" : ""}`}
				onDragOver={(event) => {
					event.preventDefault();
					over.value = true;
				}}
				onDragLeave={() => {
					over.value = false;
				}}
				onDrop={(event) => {
					event.preventDefault();
					over.value = false;
					onAdd(event.dataTransfer?.files ?? []);
				}}
			>
				<input
					type="file"
					multiple
					data-testid="files"
					onChange={({ currentTarget }) => {
						onAdd(currentTarget.files ?? []);
						// The same file may be chosen again after it was removed.
						currentTarget.value = "";
					}}
				/>
				<span class="drop-title">{files.length === 0 ? "Choose files" : "Add more files"}</span>
				<span class="drop-hint">or drop them here</span>
			</label>
			{files.length > 0 && (
				<ul class="files" aria-label="Files to send">
					{files.slice(0, MOST_SHOWN).map((file) => (
						<li key={`${file.name} ${file.size} ${file.lastModified}`}>
							<span class="file-name">{file.name}</span>
							<span class="file-size">{formatBytes(file.size)}</span>
							<button
								type="button"
								class="remove"
								aria-label={`Remove ${file.name}`}
								onClick={() => onRemove(file)}
							>
								×
							</button>
						</li>
					))}
					{files.length > MOST_SHOWN && <li class="more">and {files.length - MOST_SHOWN} more</li>}
				</ul>
			)}
		</>
	);
}
