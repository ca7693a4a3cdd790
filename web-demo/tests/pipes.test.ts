//! Pipes over data channels and ports: full means full, and a drain always follows.

import { describe, expect, test } from "vitest";
import { type Channel, ChannelPipe } from "../src/transfer/channel-pipe.ts";
import type { PipeEvents } from "../src/transfer/lane.ts";
import { bridge, PortPipe } from "../src/transfer/port-pipe.ts";

const HIGH_WATER = 1024 * 1024;
const FRAME = 64 * 1024;

/** A data channel that buffers everything until a test drains it. */
class FakeChannel implements Channel {
	binaryType: BinaryType = "blob";
	bufferedAmount = 0;
	bufferedAmountLowThreshold = 0;
	readyState: RTCDataChannelState = "connecting";
	onbufferedamountlow: Channel["onbufferedamountlow"] = null;
	onclose: Channel["onclose"] = null;
	onmessage: Channel["onmessage"] = null;
	onopen: Channel["onopen"] = null;
	most = 0;
	readonly sent: Uint8Array[] = [];
	onSent = () => {};
	refuses = false;

	send(data: unknown): void {
		if (this.refuses) throw new DOMException("full", "OperationError");
		if (!(data instanceof Uint8Array)) throw new Error("frames are bytes");
		this.sent.push(data);
		this.bufferedAmount += data.length;
		this.most = Math.max(this.most, this.bufferedAmount);
		this.onSent();
	}

	open(): void {
		this.readyState = "open";
		this.#fire(this.onopen, new Event("open"));
	}

	close(): void {
		this.readyState = "closed";
		this.#fire(this.onclose, new Event("close"));
	}

	drain(): void {
		const crossed = this.bufferedAmount > this.bufferedAmountLowThreshold;
		this.bufferedAmount = 0;
		if (crossed) this.#fire(this.onbufferedamountlow, new Event("bufferedamountlow"));
	}

	arrive(data: unknown): void {
		this.#fire(this.onmessage, new MessageEvent("message", { data }));
	}

	#fire<E extends Event>(handler: ((this: RTCDataChannel, event: E) => unknown) | null, event: E): void {
		if (handler !== null) Reflect.apply(handler, this, [event]);
	}
}

function listen() {
	const seen = { frames: [] as Uint8Array[], drains: 0, closes: 0 };
	let wake = () => {};
	const events: PipeEvents = {
		onFrame: (frame) => {
			seen.frames.push(frame);
			wake();
		},
		onDrain: () => {
			seen.drains += 1;
			wake();
		},
		onClose: () => {
			seen.closes += 1;
			wake();
		},
	};
	const until = async (done: () => boolean) => {
		while (!done()) {
			await new Promise<void>((resolve) => {
				wake = resolve;
			});
		}
	};
	return { seen, events, until, look: () => wake() };
}

describe("over a data channel", () => {
	test("it is full until the channel opens, and says so when it does", () => {
		const channel = new FakeChannel();
		const pipe = new ChannelPipe(channel);
		const { seen, events } = listen();
		pipe.open(events);
		expect(pipe.send(new Uint8Array(1))).toBe("full");
		channel.open();
		expect(seen.drains).toBe(1);
		expect(pipe.send(new Uint8Array(1))).toBe("sent");
	});

	test("it never lets the channel buffer more than the high water, and drains at half", () => {
		const channel = new FakeChannel();
		const pipe = new ChannelPipe(channel);
		const { seen, events } = listen();
		pipe.open(events);
		channel.open();
		while (pipe.send(new Uint8Array(FRAME)) === "sent");
		expect(channel.most).toBe(HIGH_WATER);
		expect(channel.bufferedAmountLowThreshold).toBe(HIGH_WATER / 2);
		channel.drain();
		expect(seen.drains).toBe(2);
		expect(pipe.send(new Uint8Array(FRAME))).toBe("sent");
	});

	test("a frame that the browser refuses was not taken", () => {
		const channel = new FakeChannel();
		const pipe = new ChannelPipe(channel);
		pipe.open(listen().events);
		channel.open();
		channel.refuses = true;
		expect(pipe.send(new Uint8Array(1))).toBe("full");
	});

	test("the end is told once, and nothing is taken after it", () => {
		const channel = new FakeChannel();
		const pipe = new ChannelPipe(channel);
		const { seen, events } = listen();
		pipe.open(events);
		channel.open();
		channel.close();
		expect(seen.closes).toBe(1);
		expect(pipe.send(new Uint8Array(1))).toBe("closed");
	});

	test("text becomes a frame that nobody accepts", () => {
		const channel = new FakeChannel();
		const { seen, events } = listen();
		new ChannelPipe(channel).open(events);
		channel.arrive(new Uint8Array([1, 2]).buffer);
		channel.arrive("hello");
		expect(seen.frames).toEqual([Uint8Array.of(1, 2), new Uint8Array()]);
	});
});

describe("over a port", () => {
	const joined = () => {
		const channel = new FakeChannel();
		const ports = new MessageChannel();
		bridge(new ChannelPipe(channel), ports.port1);
		const pipe = new PortPipe(ports.port2);
		const { seen, events, until, look } = listen();
		pipe.open(events);
		channel.onSent = look;
		const close = () => {
			ports.port1.close();
			ports.port2.close();
		};
		return { channel, pipe, seen, until, close };
	};

	test("frames cross in both directions, in order", async () => {
		const { channel, pipe, seen, until, close } = joined();
		expect(pipe.send(Uint8Array.of(0))).toBe("full");
		channel.open();
		await until(() => seen.drains > 0);
		for (let i = 0; i < 10; i++) expect(pipe.send(Uint8Array.of(i))).toBe("sent");
		channel.arrive(Uint8Array.of(42).buffer);
		await until(() => seen.frames.length === 1 && channel.sent.length === 10);
		expect(channel.sent.map(([byte]) => byte)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
		expect(seen.frames).toEqual([Uint8Array.of(42)]);
		close();
	});

	test("a slow channel holds the engine back", async () => {
		const { channel, pipe, seen, until, close } = joined();
		channel.open();
		await until(() => seen.drains > 0);
		let sent = 0;
		for (let round = 0; round < 10; round++) {
			const drains = seen.drains;
			while (pipe.send(new Uint8Array(FRAME)) === "sent") sent += 1;
			channel.drain();
			await until(() => seen.drains > drains);
			channel.drain();
		}
		expect(channel.most).toBeLessThanOrEqual(HIGH_WATER);
		expect(sent).toBeGreaterThan(10 * (HIGH_WATER / 2 / FRAME));
		close();
	});

	test("the channel's end arrives", async () => {
		const { channel, pipe, seen, until, close } = joined();
		channel.open();
		channel.close();
		await until(() => seen.closes === 1);
		expect(pipe.send(Uint8Array.of(1))).toBe("closed");
		close();
	});
});
