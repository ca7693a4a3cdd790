//! The room as this member knows it: a snapshot, and every event since.

import type { Knocker, LeaveReason, Peer, Role, RoomEvent, Snapshot, StateItem } from "./messages.ts";

/** One entry of the room's state. */
export interface StateEntry {
	readonly value: unknown;
	/** Who set it. */
	readonly by: string;
	/** When it goes by itself, in milliseconds since 1970; null: with the room. */
	readonly expiresAt: number | null;
}

/** What changed. `by` is null where only the outcome is known. */
export type ViewChange =
	| { readonly kind: "peer-joined"; readonly peer: Peer }
	| { readonly kind: "peer-left"; readonly peer: Peer; readonly reason: LeaveReason }
	| { readonly kind: "peer-role"; readonly peer: string; readonly role: Role }
	| {
			readonly kind: "state";
			readonly key: string;
			readonly entry: StateEntry | null;
			readonly by: string | null;
	  }
	| { readonly kind: "locked"; readonly locked: boolean; readonly by: string | null }
	| { readonly kind: "knock"; readonly peer: Knocker }
	| { readonly kind: "knock-gone"; readonly peer: Knocker };

/** The events that change the view; the others pass through. */
export type ViewEvent = Extract<
	RoomEvent,
	{ type: "peer-joined" | "peer-left" | "peer-role" | "state" | "locked" | "knock" | "knock-gone" }
>;

/** The view of one member. */
export class RoomView {
	readonly #self: string;
	readonly #peers = new Map<string, Peer>();
	readonly #state = new Map<string, StateEntry>();
	readonly #waiting = new Map<string, Knocker>();
	#role: Role;
	#locked: boolean;
	#lobby: boolean;
	#expiresAt: number;

	constructor(snapshot: Snapshot) {
		this.#self = snapshot.peer;
		this.#role = snapshot.role;
		this.#locked = snapshot.locked;
		this.#lobby = snapshot.lobby;
		this.#expiresAt = snapshot.expiresAt * 1000;
		for (const peer of snapshot.peers) this.#peers.set(peer.id, peer);
		for (const item of snapshot.state) this.#state.set(item.key, entryOf(item));
		for (const knocker of snapshot.waiting) this.#waiting.set(knocker.id, knocker);
	}

	/** The others. */
	get peers(): ReadonlyMap<string, Peer> {
		return this.#peers;
	}

	get state(): ReadonlyMap<string, StateEntry> {
		return this.#state;
	}

	/** Who waits to be let in, as far as this member is told. */
	get waiting(): ReadonlyMap<string, Knocker> {
		return this.#waiting;
	}

	/** What this side is. */
	get role(): Role {
		return this.#role;
	}

	get locked(): boolean {
		return this.#locked;
	}

	get lobby(): boolean {
		return this.#lobby;
	}

	/** When the room ends, in milliseconds since 1970. */
	get expiresAt(): number {
		return this.#expiresAt;
	}

	/** Takes an event over. */
	apply(event: ViewEvent): readonly ViewChange[] {
		switch (event.type) {
			case "peer-joined":
				this.#peers.set(event.peer.id, event.peer);
				return [{ kind: "peer-joined", peer: event.peer }];
			case "peer-left": {
				const peer = this.#peers.get(event.peer);
				if (peer === undefined) return [];
				this.#peers.delete(peer.id);
				return [{ kind: "peer-left", peer, reason: event.reason }];
			}
			case "peer-role":
				return this.#setRole(event.peer, event.role);
			case "state": {
				const { key, value, by, expiresAt } = event;
				const entry =
					value === undefined
						? null
						: entryOf({ key, value, by, ...(expiresAt === undefined ? {} : { expiresAt }) });
				return this.#setState(key, entry, by);
			}
			case "locked":
				this.#locked = event.locked;
				return [{ kind: "locked", locked: event.locked, by: event.by }];
			case "knock":
				this.#waiting.set(event.peer.id, event.peer);
				return [{ kind: "knock", peer: event.peer }];
			case "knock-gone":
				this.#waiting.delete(event.peer.id);
				return [{ kind: "knock-gone", peer: event.peer }];
		}
	}

	/** Takes a whole snapshot over; says what is different, departures first, so that no place is taken twice. */
	replace(snapshot: Snapshot): readonly ViewChange[] {
		const changes: ViewChange[] = [];
		this.#lobby = snapshot.lobby;
		this.#expiresAt = snapshot.expiresAt * 1000;
		this.#replacePeers(snapshot, changes);
		changes.push(...this.#setRole(this.#self, snapshot.role));
		if (this.#locked !== snapshot.locked) {
			this.#locked = snapshot.locked;
			changes.push({ kind: "locked", locked: snapshot.locked, by: null });
		}
		this.#replaceState(snapshot, changes);
		this.#replaceWaiting(snapshot, changes);
		return changes;
	}

	#replacePeers({ peers }: Snapshot, changes: ViewChange[]): void {
		const present = new Set(peers.map(({ id }) => id));
		for (const peer of [...this.#peers.values()].filter(({ id }) => !present.has(id))) {
			this.#peers.delete(peer.id);
			// Why is not known any more; this reason leaves connections alone, which may well go on.
			changes.push({ kind: "peer-left", peer, reason: "disconnected" });
		}
		for (const peer of peers) {
			const known = this.#peers.get(peer.id);
			this.#peers.set(peer.id, peer);
			if (known === undefined) changes.push({ kind: "peer-joined", peer });
			else if (known.role !== peer.role) {
				changes.push({ kind: "peer-role", peer: peer.id, role: peer.role });
			}
		}
	}

	#replaceState({ state }: Snapshot, changes: ViewChange[]): void {
		const present = new Set(state.map(({ key }) => key));
		for (const key of [...this.#state.keys()].filter((known) => !present.has(known))) {
			changes.push(...this.#setState(key, null, null));
		}
		for (const item of state) {
			const entry = entryOf(item);
			const known = this.#state.get(item.key);
			if (known === undefined || !isSame(known, entry)) {
				changes.push(...this.#setState(item.key, entry, item.by));
			}
		}
	}

	#replaceWaiting({ waiting }: Snapshot, changes: ViewChange[]): void {
		const present = new Set(waiting.map(({ id }) => id));
		for (const peer of [...this.#waiting.values()].filter(({ id }) => !present.has(id))) {
			this.#waiting.delete(peer.id);
			changes.push({ kind: "knock-gone", peer });
		}
		for (const peer of waiting) {
			if (!this.#waiting.has(peer.id)) changes.push({ kind: "knock", peer });
			this.#waiting.set(peer.id, peer);
		}
	}

	#setRole(id: string, role: Role): readonly ViewChange[] {
		const peer = this.#peers.get(id);
		if (peer !== undefined) this.#peers.set(id, { ...peer, role });
		else if (id !== this.#self || role === this.#role) return [];
		else this.#role = role;
		return [{ kind: "peer-role", peer: id, role }];
	}

	#setState(key: string, entry: StateEntry | null, by: string | null): readonly ViewChange[] {
		if (entry !== null) this.#state.set(key, entry);
		else if (!this.#state.delete(key)) return [];
		return [{ kind: "state", key, entry, by }];
	}
}

function entryOf({ value, by, expiresAt }: StateItem): StateEntry {
	return { value, by, expiresAt: expiresAt === undefined ? null : expiresAt * 1000 };
}

/** Values came as JSON from the same server, which spells equal values equally. */
function isSame(a: StateEntry, b: StateEntry): boolean {
	return a.by === b.by && a.expiresAt === b.expiresAt && JSON.stringify(a.value) === JSON.stringify(b.value);
}
