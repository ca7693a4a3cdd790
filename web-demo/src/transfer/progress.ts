//! Counts what is durable, and says so a few times a second.

import type { Clock } from "./clock.ts";
import type { Stats } from "./control.ts";
import { Rate } from "./rate.ts";
import type { Progress } from "./state.ts";

// Four a second look alive and cost nothing.
const REPORT_MS = 250;

/** The progress of one transfer. */
export class ProgressMeter {
	readonly totalBytes: number;
	readonly files: number;
	readonly #clock: Clock;
	readonly #rate = new Rate();
	readonly #report: () => void;
	#durable = 0;
	#filesDone = 0;
	#timer = () => {};

	constructor(totalBytes: number, files: number, clock: Clock, report: () => void) {
		this.totalBytes = totalBytes;
		this.files = files;
		this.#clock = clock;
		this.#report = report;
	}

	/** Bytes that lie on disk. */
	get durableBytes(): number {
		return this.#durable;
	}

	/** Durable bytes a second. */
	get bytesPerSecond(): number {
		return this.#rate.perSecond;
	}

	/** Begins to report. */
	start(): void {
		this.#rate.sample(this.#clock.now(), this.#durable);
		this.#timer = this.#clock.after(REPORT_MS, () => {
			this.start();
			this.#report();
		});
	}

	/** Ends reporting. */
	stop(): void {
		this.#timer();
	}

	/** More bytes lie on disk. */
	durable(bytes: number): void {
		this.#durable = Math.min(this.totalBytes, this.#durable + bytes);
	}

	/** One more file is whole. */
	fileDone(): void {
		this.#filesDone += 1;
	}

	/** How far it is. */
	progress(receiver: Stats | null): Progress {
		const bytesPerSecond = this.#rate.perSecond;
		const left = this.totalBytes - this.#durable;
		return {
			durableBytes: this.#durable,
			totalBytes: this.totalBytes,
			filesDone: this.#filesDone,
			files: this.files,
			bytesPerSecond,
			secondsLeft: bytesPerSecond > 0 ? left / bytesPerSecond : null,
			receiver,
		};
	}
}
