//! The sending page: files are chosen, a room is made, and everybody who opens the link is offered the files.

import {
	type Connection,
	createRoom,
	fingerprintSeal,
	type JoinOptions,
	joinRoom,
	type TransportPolicy,
} from "@causeway/client";
import { signal } from "@preact/signals";
import { drawKey } from "./key.ts";
import { PeerTransfer } from "./peer-transfer.ts";
import { untilDone } from "./persist.ts";
import { sentenceFor } from "./sentences.ts";
import { Stay } from "./stay.ts";

/** Where the page is. */
export type SendStage =
	| { readonly kind: "choosing"; readonly problem: string | null }
	| { readonly kind: "creating" }
	| { readonly kind: "sharing"; readonly link: string; readonly stay: Stay };

/** The sending page's state. */
export class SendModel {
	readonly files = signal<readonly File[]>([]);
	readonly password = signal("");
	readonly policy = signal<TransportPolicy>("all");
	readonly stage = signal<SendStage>({ kind: "choosing", problem: null });
	readonly transfers = signal<readonly PeerTransfer[]>([]);

	/** Adds files to the list; one that is there already is not added twice. */
	add(files: Iterable<File>): void {
		const same = (a: File, b: File) =>
			a.name === b.name && a.size === b.size && a.lastModified === b.lastModified;
		const fresh = [...files].filter((file) => !this.files.value.some((known) => same(known, file)));
		this.files.value = [...this.files.value, ...fresh];
	}

	/** Takes a file from the list. */
	remove(file: File): void {
		this.files.value = this.files.value.filter((other) => other !== file);
	}

	/** Makes the room and waits for others in it. */
	async share(): Promise<void> {
		if (this.stage.value.kind !== "choosing" || this.files.value.length === 0) return;
		this.stage.value = { kind: "creating" };
		try {
			const server = location.origin;
			const password = this.password.value;
			const { room, hostToken } = await createRoom({ server }, password === "" ? {} : { password });
			const key = drawKey();
			const link = `${location.origin}/r/${room}#${key.text}`;
			await this.#enter(link, {
				server,
				room,
				hostToken,
				transportPolicy: this.policy.value,
				seal: fingerprintSeal(key.bytes),
			});
		} catch (error) {
			this.stage.value = { kind: "choosing", problem: sentenceFor(error) };
		}
	}

	async #enter(link: string, how: JoinOptions): Promise<void> {
		const session = await joinRoom(how);
		const stay = new Stay(session, () => "joins-again");
		session.on("peer-joined", (peer) => this.#offer(stay, peer.id));
		// Only a later connection is begun by the other page: to move over to another way.
		session.on("connection", (connection) => this.#moveOver(connection));
		session.on("peer-left", ({ peer }) => this.#forget(peer.id));
		session.on("closed", ({ reconnect }) => {
			if (!reconnect) return;
			const again = { ...how, transportPolicy: session.transportPolicy };
			untilDone(() => this.#enter(link, again)).catch((error: unknown) => stay.lose(sentenceFor(error)));
		});
		for (const peer of session.peers.keys()) this.#offer(stay, peer);
		this.stage.value = { kind: "sharing", link, stay };
	}

	/** Switches both ends of every transfer. */
	switchPolicy(stay: Stay, policy: TransportPolicy): void {
		stay.switchPolicy(policy, (connection) => this.#moveOver(connection));
	}

	#moveOver(connection: Connection): void {
		const transfer = this.transfers.value.findLast(({ peer }) => peer === connection.peer);
		if (transfer === undefined) connection.close();
		else transfer.moveTo(connection);
	}

	#offer(stay: Stay, peer: string): void {
		// Found again after joining anew: what is on its way needs no server.
		if (this.transfers.value.some((transfer) => transfer.peer === peer && transfer.isUnderWay)) return;
		stay.tellPolicy(peer);
		const transfer = new PeerTransfer(stay.session.connect(peer), {
			kind: "send",
			files: this.files.value,
		});
		this.transfers.value = [...this.transfers.value, transfer];
	}

	/** Somebody who left before accepting leaves no trace; what had begun stays to be read. */
	#forget(peer: string): void {
		const gone = this.transfers.value.filter((transfer) => transfer.peer === peer && !transfer.hasBegun);
		for (const transfer of gone) transfer.dispose();
		this.transfers.value = this.transfers.value.filter((transfer) => !gone.includes(transfer));
	}
}
