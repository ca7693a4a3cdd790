//! The server under test: the real binary on free ports of loopback with a data folder of its own, or one that already
//! runs, such as a container's.

import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";

/** The binary under test. */
export const BINARY =
	process.env["CAUSEWAY_BIN"] ?? join(import.meta.dirname, "../../../target/release/causeway");
/** A server that runs already, and its operator's address. Tests with settings of their own start the binary all the same. */
const RUNNING = { url: process.env["CAUSEWAY_URL"], ops: process.env["CAUSEWAY_OPS"] };
const READY_MS = 20_000;
const STOP_MS = 15_000;

/** A running server. */
export class Server {
	readonly url: string;
	readonly #ops: string;
	/** The relay's port for TLS. */
	readonly #turns: number | null;
	readonly #stop: () => Promise<void>;

	/** Finds the running server, or starts the binary with settings from the environment and waits until it is ready. */
	static async start(settings: Readonly<Record<string, string>> = {}): Promise<Server> {
		const { url, ops } = RUNNING;
		if (url !== undefined && ops !== undefined && Object.keys(settings).length === 0) {
			return new Server({ url, ops, turns: null }, async () => {});
		}
		if (!existsSync(BINARY)) throw new Error(`${BINARY} is not there; build it with: make build`);
		const folder = await mkdtemp(join(tmpdir(), "causeway-e2e-"));
		const child = spawn(
			BINARY,
			[
				"serve",
				...["--http", "127.0.0.1:0", "--ops", "127.0.0.1:0", "--turn-port", "0"],
				...["--listen", "127.0.0.1", "--data-dir", folder],
			],
			{ stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...settings } },
		);
		const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
		const stop = async () => {
			child.kill("SIGTERM");
			const force = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
			await exited;
			clearTimeout(force);
			await rm(folder, { recursive: true, force: true });
		};
		try {
			const banner = await printed(child, "Stop with Ctrl-C.");
			const turns = /turns:127\.0\.0\.1:(\d+)/.exec(banner)?.[1];
			const doors = { url: addressIn(banner, "demo"), ops: addressIn(banner, "metrics") };
			return new Server({ ...doors, turns: turns === undefined ? null : Number(turns) }, stop);
		} catch (error) {
			await stop();
			throw error;
		}
	}

	private constructor(doors: { url: string; ops: string; turns: number | null }, stop: () => Promise<void>) {
		this.url = doors.url;
		this.#ops = doors.ops;
		this.#turns = doors.turns;
		this.#stop = stop;
	}

	/** The sum of a metric over all its labels; zero if it was never moved. */
	async metric(name: string): Promise<number> {
		const text = await (await fetch(`${this.#ops}/metrics`)).text();
		const lines = text
			.split("\n")
			.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
		return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
	}

	/** The SHA-256 of the public key that the relay shows over TLS, in Base64. */
	async relayKey(): Promise<string> {
		if (this.#turns === null) throw new Error("the server does not say where its relay listens for TLS");
		const socket = connect({ host: "127.0.0.1", port: this.#turns, rejectUnauthorized: false });
		try {
			await new Promise((resolve, reject) => socket.once("secureConnect", resolve).once("error", reject));
			const key = socket.getPeerX509Certificate()?.publicKey.export({ type: "spki", format: "der" });
			if (key === undefined) throw new Error("the relay shows no certificate");
			return createHash("sha256").update(key).digest("base64");
		} finally {
			socket.destroy();
		}
	}

	/** Stops the server if it was started here. */
	stop(): Promise<void> {
		return this.#stop();
	}
}

/** What the process prints up to a line, which it prints once everything is bound. */
function printed(child: ChildProcess, last: string): Promise<string> {
	return new Promise((resolve, reject) => {
		let said = "";
		const give = (what: string) => reject(new Error(`the server ${what}:\n${said}`));
		const timer = setTimeout(() => give("did not become ready"), READY_MS);
		child.once("exit", () => give("ended"));
		for (const stream of [child.stdout, child.stderr]) {
			stream?.on("data", (chunk: Buffer) => {
				said += chunk.toString();
				if (!said.includes(last)) return;
				clearTimeout(timer);
				resolve(said);
			});
		}
	});
}

/** The origin on the banner's line of this name. */
function addressIn(banner: string, name: string): string {
	const line = banner.split("\n").find((candidate) => candidate.trimStart().startsWith(name));
	const url = /http:\/\/\S+/.exec(line ?? "")?.[0];
	if (url === undefined) throw new Error(`the server does not say its ${name} address:\n${banner}`);
	return new URL(url).origin;
}
