//! A sender and a receiver at the two ends of joined lanes.

import type { Clock } from "../../src/transfer/clock.ts";
import { Receiver } from "../../src/transfer/receiver.ts";
import { Sender } from "../../src/transfer/sender.ts";
import { isFinal, type TransferState } from "../../src/transfer/state.ts";
import type { Source } from "../../src/transfer/storage.ts";
import { type JoinedLanes, joinLanes, type Way } from "./lanes.ts";
import { MemoryStorage } from "./storage.ts";

/** Time moved by hand; the engine's own timers only report. */
export class ManualClock implements Clock {
	#now = 0;
	#timers: { at: number; call: () => void }[] = [];

	now(): number {
		return this.#now;
	}

	after(milliseconds: number, call: () => void): () => void {
		const timer = { at: this.#now + milliseconds, call };
		this.#timers.push(timer);
		return () => {
			this.#timers = this.#timers.filter((other) => other !== timer);
		};
	}

	advance(milliseconds: number): void {
		this.#now += milliseconds;
		const due = this.#timers.filter((timer) => timer.at <= this.#now);
		this.#timers = this.#timers.filter((timer) => timer.at > this.#now);
		for (const timer of due) timer.call();
	}
}

/** One end's states, and the wait for one of them. */
export class Watch {
	readonly states: TransferState[] = [];
	#waiting: { wanted: (state: TransferState) => boolean; resolve: (state: TransferState) => void }[] = [];

	readonly onState = (state: TransferState): void => {
		this.states.push(state);
		const met = this.#waiting.filter(({ wanted }) => wanted(state));
		this.#waiting = this.#waiting.filter((entry) => !met.includes(entry));
		for (const { resolve } of met) resolve(state);
	};

	until(wanted: (state: TransferState) => boolean): Promise<TransferState> {
		const known = this.states.find(wanted);
		if (known !== undefined) return Promise.resolve(known);
		return new Promise((resolve) => this.#waiting.push({ wanted, resolve }));
	}
}

/** A whole transfer. */
export interface Transfer {
	readonly sender: Sender;
	readonly receiver: Receiver;
	readonly storage: MemoryStorage;
	readonly clock: ManualClock;
	readonly lanes: JoinedLanes;
	readonly atSender: Watch;
	readonly atReceiver: Watch;
	/** Gives both ends another lane, and closes the one before when both have adopted it. */
	moveTo(way: Way): Promise<void>;
}

/** Sets up a transfer with small blocks. */
export function setUp(sources: readonly Source[], way: Way = {}, blockLength = 100_000): Transfer {
	let lanes = joinLanes(way);
	const clock = new ManualClock();
	const atSender = new Watch();
	const atReceiver = new Watch();
	let adopted = () => {};
	const onAdopted = () => adopted();
	const receiver = new Receiver({ lane: lanes.far, clock, onState: atReceiver.onState, onAdopted });
	const sender = new Sender({
		lane: lanes.near,
		sources,
		clock,
		onState: atSender.onState,
		onAdopted,
		blockLength,
	});
	const moveTo = (next: Way) =>
		new Promise<void>((resolve) => {
			const old = lanes;
			let ends = 0;
			adopted = () => {
				ends += 1;
				if (ends < 2) return;
				old.close();
				resolve();
			};
			lanes = joinLanes(next);
			receiver.adopt(lanes.far);
			sender.adopt(lanes.near);
		});
	return { sender, receiver, storage: new MemoryStorage(), clock, lanes, atSender, atReceiver, moveTo };
}

/** Accepts as soon as it can, and gives the last states of both ends. */
export async function run(transfer: Transfer): Promise<{ sender: TransferState; receiver: TransferState }> {
	await transfer.atReceiver.until((state) => state.kind === "offered");
	transfer.receiver.accept(transfer.storage);
	const [sender, receiver] = await Promise.all([
		transfer.atSender.until(isFinal),
		transfer.atReceiver.until(isFinal),
	]);
	return { sender, receiver };
}
