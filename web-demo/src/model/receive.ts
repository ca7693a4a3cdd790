//! The receiving page: finds the room of the link, joins it, and waits for the sender's offer.

import {
	CausewayError,
	type Connection,
	fingerprintSeal,
	joinRoom,
	roomFacts,
	type TransportPolicy,
} from "@causeway/client";
import { signal } from "@preact/signals";
import { readKey } from "./key.ts";
import { PeerTransfer } from "./peer-transfer.ts";
import { untilDone } from "./persist.ts";
import { sentenceFor, sentenceForEnd } from "./sentences.ts";
import { Stay } from "./stay.ts";

/** Where the page is. */
export type ReceiveStage =
	| { readonly kind: "looking" }
	| { readonly kind: "password"; readonly problem: string | null }
	| { readonly kind: "joining" }
	/** In the room, and the sender has not offered anything yet. */
	| { readonly kind: "waiting"; readonly stay: Stay }
	| { readonly kind: "transfer"; readonly stay: Stay; readonly transfer: PeerTransfer }
	| { readonly kind: "problem"; readonly sentence: string };

/** The receiving page's state. */
export class ReceiveModel {
	readonly stage = signal<ReceiveStage>({ kind: "looking" });
	readonly #room: string;
	readonly #key: Uint8Array<ArrayBuffer> | null;

	constructor(room: string, fragment: string) {
		this.#room = room;
		this.#key = readKey(fragment)?.bytes ?? null;
	}

	/** Looks whether the room is there and wants a password; joins at once if not. */
	async look(): Promise<void> {
		if (this.#key === null) {
			this.stage.value = {
				kind: "problem",
				sentence:
					"The link is incomplete: the part after “#” is missing. Copy the whole link and open it again.",
			};
			return;
		}
		try {
			const facts = await roomFacts({ server: location.origin }, this.#room);
			if (facts.passwordRequired) this.stage.value = { kind: "password", problem: null };
			else await this.join("");
		} catch (error) {
			this.stage.value = { kind: "problem", sentence: sentenceFor(error) };
		}
	}

	/** Joins, with the password if the room wants one. */
	async join(password: string): Promise<void> {
		if (this.#key === null) return;
		this.stage.value = { kind: "joining" };
		try {
			await this.#enter(password);
		} catch (error) {
			const retry =
				error instanceof CausewayError &&
				(error.code === "password-wrong" || error.code === "password-required");
			const sentence = sentenceFor(error);
			this.stage.value = retry ? { kind: "password", problem: sentence } : { kind: "problem", sentence };
		}
	}

	async #enter(password: string): Promise<void> {
		if (this.#key === null) return;
		const session = await joinRoom({
			server: location.origin,
			room: this.#room,
			seal: fingerprintSeal(this.#key),
			...(password === "" ? {} : { password }),
		});
		// While nothing has begun that could be lost, as when the lid was shut before the sender's page was there.
		const waits = () => this.stage.value.kind === "waiting";
		const stay = new Stay(session, () => (waits() ? "joins-again" : "tells"));
		session.on("connection", (connection) => this.#onConnection(stay, connection));
		session.on("closed", ({ reconnect }) => {
			if (!reconnect || !waits()) return;
			untilDone(() => this.#enter(password)).catch((error: unknown) => stay.lose(sentenceFor(error)));
		});
		this.stage.value = { kind: "waiting", stay };
	}

	/** Switches both ends. */
	switchPolicy(stay: Stay, policy: TransportPolicy): void {
		stay.switchPolicy(policy, (connection) => this.#moveOver(connection));
	}

	#onConnection(stay: Stay, connection: Connection): void {
		connection.on("state", (state) => {
			if (state.kind !== "ended" || state.reason !== "not-authentic") return;
			// Whoever stands between shall not get a second try, and the sender shall not wait.
			if (this.stage.value.kind === "transfer") this.stage.value.transfer.dispose();
			stay.session.leave();
			this.stage.value = { kind: "problem", sentence: sentenceForEnd(state.reason) };
		});
		if (connection.generation > 1) return this.#moveOver(connection);
		if (this.stage.value.kind === "transfer") {
			// A sender that joined anew offers again; what is on its way from its former self goes on.
			if (this.stage.value.transfer.isUnderWay) return connection.close();
			this.stage.value.transfer.dispose();
		}
		const transfer = new PeerTransfer(connection, { kind: "receive" });
		this.stage.value = { kind: "transfer", stay, transfer };
	}

	#moveOver(connection: Connection): void {
		const stage = this.stage.value;
		if (stage.kind === "transfer" && stage.transfer.peer === connection.peer)
			stage.transfer.moveTo(connection);
		else connection.close();
	}
}
