//! How far this client has heard the room's events: `(epoch, seq)`, which only grows.

/** The position; it decides which events are new. */
export class Position {
	#epoch: number;
	#seq: number;
	#duplicates = 0;

	constructor(epoch: number, seq: number) {
		this.#epoch = epoch;
		this.#seq = seq;
	}

	/** Which owner of the room numbered the latest event. */
	get epoch(): number {
		return this.#epoch;
	}

	/** The latest event's number. */
	get seq(): number {
		return this.#seq;
	}

	/** How many events came again and were dropped. */
	get duplicates(): number {
		return this.#duplicates;
	}

	/** Takes an event's number; false if it was heard before. Numbers have holes where an event was for others. */
	take(seq: number): boolean {
		if (seq <= this.#seq) {
			this.#duplicates += 1;
			return false;
		}
		this.#seq = seq;
		return true;
	}

	/** The numbers go on under this owner; false if a later one is known already, so that this one has no say. */
	follow(epoch: number): boolean {
		if (epoch < this.#epoch) return false;
		this.#epoch = epoch;
		return true;
	}

	/** A snapshot contains every event up to here; false if it is of an owner before the one that is known. */
	jump(epoch: number, seq: number): boolean {
		if (!this.follow(epoch)) return false;
		this.#seq = seq;
		return true;
	}
}
