//! How fast, and how long still: from what happened in the last seconds.

// Long enough to be calm, short enough to show a change of path soon. A guess.
const SPAN_MS = 4_000;

/** A rate over the last seconds. */
export class Rate {
	#samples: { readonly at: number; readonly total: number }[] = [];

	/** The total at a time, in milliseconds; times never go back. */
	sample(at: number, total: number): void {
		this.#samples.push({ at, total });
		// One sample beyond the span stays, so that the span is always covered.
		while ((this.#samples[1]?.at ?? at) <= at - SPAN_MS) this.#samples.shift();
	}

	/** Per second; zero before there are two samples. */
	get perSecond(): number {
		const first = this.#samples[0];
		const last = this.#samples[this.#samples.length - 1];
		if (first === undefined || last === undefined || last.at === first.at) return 0;
		return Math.round(((last.total - first.total) * 1000) / (last.at - first.at));
	}
}
