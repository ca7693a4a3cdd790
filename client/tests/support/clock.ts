//! Time moved by hand.

/** Timers that fire only when a test moves the time. */
export class ManualClock {
	#now = 1_700_000_000_000;
	#timers: { readonly at: number; readonly call: () => void }[] = [];

	readonly now = (): number => this.#now;

	readonly after = (milliseconds: number, call: () => void): (() => void) => {
		const timer = { at: this.#now + milliseconds, call };
		this.#timers.push(timer);
		return () => {
			this.#timers = this.#timers.filter((other) => other !== timer);
		};
	};

	/** Moves on; timers fire in their order, each at its own time. */
	async advance(milliseconds: number): Promise<void> {
		const end = this.#now + milliseconds;
		for (;;) {
			const [next] = this.#timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at);
			if (next === undefined) break;
			this.#timers = this.#timers.filter((other) => other !== next);
			this.#now = next.at;
			next.call();
			await settle();
		}
		this.#now = end;
		await settle();
	}
}

/** Lets everything that waits only for promises go on. */
export function settle(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve));
}
