//! Typed events. A subscription returns its own undo.

/** Takes a subscription back, or stops a timer; calling it again does nothing. */
export type Undo = () => void;

/** Calls listeners by the name of an event. A listener that throws does not keep others from being called. */
export class Emitter<Events extends object> {
	readonly #listeners: { [K in keyof Events]?: Set<(event: Events[K]) => void> } = {};

	/** Subscribes until the returned function is called. */
	on<K extends keyof Events>(name: K, listener: (event: Events[K]) => void): Undo {
		const listeners = this.#listeners[name] ?? new Set();
		this.#listeners[name] = listeners;
		// A wrapper of its own, so that the same function may subscribe twice and each undo ends one.
		const entry = (event: Events[K]) => listener(event);
		listeners.add(entry);
		return () => listeners.delete(entry);
	}

	/** Calls everybody who listens to `name`, in the order of subscription. */
	emit<K extends keyof Events>(name: K, event: Events[K]): void {
		for (const listener of [...(this.#listeners[name] ?? [])]) {
			try {
				listener(event);
			} catch (error) {
				// The browser's own way for errors in event listeners: seen in the console, harmless to us.
				queueMicrotask(() => {
					throw error;
				});
			}
		}
	}
}
