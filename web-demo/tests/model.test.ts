//! The small parts of the pages: keys, numbers, names, and where files can go.

import { CausewayError, ERROR_CODES } from "@causeway/client";
import { describe, expect, test } from "vitest";
import { formatBytes, formatDuration, formatPercent, groupHex } from "../src/model/format.ts";
import { drawKey, readKey } from "../src/model/key.ts";
import { type LineNotice, LineWatch, type WhenOver } from "../src/model/line-watch.ts";
import { untilDone } from "../src/model/persist.ts";
import { type Abilities, MEMORY_LIMIT, savings } from "../src/model/places.ts";
import { sentenceFor, sentenceForEnd, sentenceForFailure, sentenceForLine } from "../src/model/sentences.ts";
import { CANCEL_REASONS } from "../src/transfer/control.ts";
import { Rate } from "../src/transfer/rate.ts";
import { FIRST_WINDOW, MAX_WINDOW, MIN_WINDOW, Window } from "../src/transfer/window.ts";
import { safeName, UniqueNames } from "../src/worker/names.ts";

describe("the key", () => {
	test("that is drawn is read from the link", () => {
		for (let i = 0; i < 100; i++) {
			const key = drawKey();
			expect(readKey(`#${key.text}`)).toEqual(key);
		}
	});
	test.each(["", "#", "#short", `#${"A".repeat(21)}`, `#${"A".repeat(23)}`, `#${"A".repeat(21)}+`])(
		"is not in %j",
		(fragment) => {
			expect(readKey(fragment)).toBeNull();
		},
	);
});

test.each([
	[0, "0 B"],
	[999, "999 B"],
	[1_000, "1.00 kB"],
	[9_994, "9.99 kB"],
	[9_996, "10.0 kB"],
	[99_960, "100 kB"],
	[999_600, "1.00 MB"],
	[67_108_864, "67.1 MB"],
	[100e9, "100 GB"],
	[5e15, "5000 TB"],
])("%d bytes are %s", (bytes, text) => {
	expect(formatBytes(bytes)).toBe(text);
});

test.each([
	[0, "1 second"],
	[2, "2 seconds"],
	[59, "59 seconds"],
	[60, "1 minute"],
	[125, "2 minutes"],
	[3_600, "1 h 0 min"],
	[7_190, "2 h 0 min"],
	[9_000, "2 h 30 min"],
])("%d seconds are %s", (seconds, text) => {
	expect(formatDuration(seconds)).toBe(text);
});

test("a hundred percent is said only when nothing is left", () => {
	expect([formatPercent(999, 1000), formatPercent(1000, 1000), formatPercent(0, 0)]).toEqual([
		"99 %",
		"100 %",
		"100 %",
	]);
	expect(groupHex("0123456789abcdef")).toBe("01234567 89abcdef");
});

describe("sentences", () => {
	const failures = [...CANCEL_REASONS.filter((reason) => reason !== "cancelled"), "lane-closed"] as const;
	const all = [
		...ERROR_CODES.map((code) => sentenceFor(new CausewayError(code, "What the server says."))),
		sentenceFor(new CausewayError("rate-limited", "Wait.", 7)),
		sentenceFor(new TypeError("x is not a function")),
		...(["closed", "peer-left", "unreachable", "not-authentic"] as const).map(sentenceForEnd),
		...(["reconnecting", "back", "degraded"] as const).map((kind) => sentenceForLine({ kind })),
		...["room-closed", "kicked", "displaced", "connection-lost"].map((reason) =>
			sentenceForLine({ kind: "closed", closed: { code: 4000, reason, message: null, reconnect: false } }),
		),
		...failures.flatMap((failure) =>
			(["this-side", "other-side"] as const).map((at) => sentenceForFailure({ kind: "failed", failure, at })),
		),
	];
	test.each(all)("%s", (sentence) => {
		expect(sentence).toMatch(/^[A-Z].*\.$/);
	});
});

describe("the connection to the server", () => {
	/** Notices in the order in which they are shown, with time moved by hand. */
	const watch = (whenOver: WhenOver = "tells") => {
		const timers: { at: number; call: () => void }[] = [];
		let now = 0;
		const line = new LineWatch(
			() => whenOver,
			(milliseconds, call) => {
				const timer = { at: now + milliseconds, call };
				timers.push(timer);
				return () => timers.splice(timers.indexOf(timer), timers.includes(timer) ? 1 : 0);
			},
		);
		const seen: LineNotice["kind"][] = [];
		line.notice.subscribe(({ kind }) => seen.push(kind));
		const advance = (milliseconds: number) => {
			now += milliseconds;
			for (const timer of timers.filter(({ at }) => at <= now)) {
				timers.splice(timers.indexOf(timer), 1);
				timer.call();
			}
		};
		const breaks = (attempt: number) => line.onStatus({ kind: "reconnecting", since: 0, attempt });
		return { line, seen, advance, breaks };
	};

	test("that is back within two seconds is not worth a word", () => {
		const { line, seen, advance, breaks } = watch();
		breaks(1);
		advance(1_900);
		breaks(2);
		line.onStatus({ kind: "connected" });
		advance(60_000);
		expect(seen).toEqual(["none"]);
	});

	test("that is away for longer is told once, and so is its return", () => {
		const { line, seen, advance, breaks } = watch();
		breaks(1);
		advance(1_000);
		breaks(2);
		advance(1_000);
		breaks(3);
		line.onStatus({ kind: "connected" });
		advance(6_000);
		expect(seen).toEqual(["none", "reconnecting", "back", "none"]);
	});

	test("that breaks again while its return is told begins anew", () => {
		const { line, seen, advance, breaks } = watch();
		breaks(1);
		advance(2_000);
		line.onStatus({ kind: "connected" });
		breaks(1);
		line.onStatus({ kind: "connected" });
		advance(60_000);
		expect(seen).toEqual(["none", "reconnecting", "back", "none"]);
	});

	test("that is gone for good stays told, unless this page left", () => {
		const { line, seen, advance, breaks } = watch();
		breaks(1);
		const closed = { code: 4410, reason: "room-closed", message: null, reconnect: false };
		line.onStatus({ kind: "closed", closed });
		advance(60_000);
		expect(seen).toEqual(["none", "closed"]);
		const other = watch();
		other.line.onStatus({
			kind: "closed",
			closed: { code: 1000, reason: "left", message: null, reconnect: false },
		});
		expect(other.seen.every((kind) => kind === "none")).toBe(true);
	});

	test("of a page that joins again is being made until that fails for good", () => {
		const { line, seen } = watch("joins-again");
		const closed = { code: 4412, reason: "resume-refused", message: null, reconnect: true };
		line.onStatus({ kind: "closed", closed });
		line.lose("The link has expired.");
		expect(seen).toEqual(["none", "reconnecting", "lost"]);
		const final = watch("joins-again");
		final.line.onStatus({ kind: "closed", closed: { ...closed, reason: "room-closed", reconnect: false } });
		expect(final.seen).toEqual(["none", "closed"]);
	});
});

test("what fails because the server is away is tried again, what it refuses is not", async () => {
	const waits: number[] = [];
	const after = (milliseconds: number, call: () => void) => {
		waits.push(milliseconds);
		queueMicrotask(call);
		return () => {};
	};
	const answers = [
		...Array.from({ length: 6 }, () => new CausewayError("unreachable", "Away.")),
		new CausewayError("rate-limited", "Wait.", 60),
		null,
	];
	const attempt = async () => {
		const answer = answers.shift() ?? null;
		if (answer !== null) throw answer;
	};
	await untilDone(attempt, after);
	expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 60_000]);
	answers.push(new CausewayError("room-not-found", "It has ended."));
	await expect(untilDone(attempt, after)).rejects.toMatchObject({ code: "room-not-found" });
});

describe("names from strangers", () => {
	test.each([
		["report.pdf", "report.pdf"],
		["../../etc/passwd", "passwd"],
		["C:\\Windows\\win.ini", "win.ini"],
		[".bashrc", "bashrc"],
		["..", "file"],
		["", "file"],
		["a/", "file"],
		["con.txt", "_con.txt"],
		["a\u202egnp.exe", "a_gnp.exe"],
		["x\u0000y?.txt", "x_y_.txt"],
		["trailing. . ", "trailing"],
	])("%j becomes %j", (name, safe) => {
		expect(safeName(name)).toBe(safe);
	});

	test("a long name is cut and keeps its end, within what file systems take", () => {
		const safe = safeName(`${"😀".repeat(300)}.tar`);
		expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(240);
		expect(safe).toMatch(/😀\.tar$/);
		expect(Buffer.byteLength(safeName(`a.${"b".repeat(500)}`))).toBeLessThanOrEqual(240);
	});

	test("the same name twice is told apart", () => {
		const names = new UniqueNames();
		expect(["a.txt", "A.txt", "a.txt", "b"].map((name) => names.take(name))).toEqual([
			"a.txt",
			"A (2).txt",
			"a (3).txt",
			"b",
		]);
	});
});

describe("where files can go", () => {
	const one = [{ name: "a", size: 10 }];
	const two = [...one, { name: "b", size: 10 }];
	const chromium: Abilities = {
		filePicker: true,
		folderPicker: true,
		browserStorage: true,
		storageLeft: 1000,
	};
	const firefox: Abilities = { ...chromium, filePicker: false, folderPicker: false };
	const oldest: Abilities = { ...firefox, browserStorage: false, storageLeft: null };
	const kinds = (...args: Parameters<typeof savings>) => savings(...args).map(({ kind }) => kind);

	test("is best first", () => {
		expect(kinds(one, 10, chromium)).toEqual(["file", "browser-storage"]);
		expect(kinds(two, 20, chromium)).toEqual(["folder", "browser-storage"]);
		expect(kinds(one, 10, firefox)).toEqual(["browser-storage"]);
		expect(kinds(one, 10, oldest)).toEqual(["memory"]);
	});
	test("leaves out what is too small", () => {
		expect(kinds(one, 1000, chromium)).toEqual(["file", "memory"]);
		expect(kinds(one, MEMORY_LIMIT + 1, chromium)).toEqual(["file"]);
		expect(kinds(one, MEMORY_LIMIT + 1, oldest)).toEqual([]);
	});
});

describe("the window", () => {
	test("grants what settles, and never takes back", () => {
		const window = new Window();
		expect(window.grant()).toBe(FIRST_WINDOW);
		expect(window.grant()).toBeNull();
		expect(window.receive(FIRST_WINDOW)).toBe(true);
		expect(window.held).toBe(FIRST_WINDOW);
		window.settle(FIRST_WINDOW / 2);
		expect(window.grant()).toBe(1.5 * FIRST_WINDOW);
		window.fit(1, 1);
		expect(window.width).toBe(MIN_WINDOW);
		expect(window.grant()).toBeNull();
		expect(window.receive(FIRST_WINDOW / 2 + 1)).toBe(false);
	});
	test("fits twice what the path holds, within its bounds", () => {
		const window = new Window();
		window.fit(100e6, 100);
		expect(window.width).toBe(20e6);
		window.fit(1e9, 200);
		expect(window.width).toBe(MAX_WINDOW);
	});
});

test("a rate is that of the last seconds", () => {
	const rate = new Rate();
	expect(rate.perSecond).toBe(0);
	for (let second = 0; second <= 10; second++) rate.sample(second * 1000, second * 100);
	expect(rate.perSecond).toBe(100);
	for (let second = 11; second <= 20; second++) rate.sample(second * 1000, 1000);
	expect(rate.perSecond).toBe(0);
});
