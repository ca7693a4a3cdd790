//! The server under test: the real binary on free ports of loopback, with a data folder of its own.

import { type ChildProcess, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const BINARY = process.env["CAUSEWAY_BIN"] ?? join(import.meta.dirname, "../../../target/release/causeway");
const READY_MS = 20_000;
const STOP_MS = 15_000;

/** A running server. */
export class Server {
	readonly url: string;
	readonly #ops: string;
	readonly #process: ChildProcess;
	readonly #exited: Promise<void>;
	readonly #folder: string;

	/** Starts the binary with settings from the environment, and waits until it is ready. */
	static async start(settings: Readonly<Record<string, string>> = {}): Promise<Server> {
		if (!existsSync(BINARY)) throw new Error(`${BINARY} is not there; build it with: make build`);
		const folder = await mkdtemp(join(tmpdir(), "causeway-e2e-"));
		const [http, ops, turn] = [await freeTcpPort(), await freeTcpPort(), await freeUdpPort()];
		const child = spawn(
			BINARY,
			[
				"serve",
				...["--http", `127.0.0.1:${http}`, "--ops", `127.0.0.1:${ops}`, "--turn-port", String(turn)],
				...["--listen", "127.0.0.1", "--data-dir", folder],
			],
			{ stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...settings } },
		);
		const server = new Server(child, http, ops, folder);
		await server.#ready();
		return server;
	}

	private constructor(child: ChildProcess, http: number, ops: number, folder: string) {
		this.url = `http://localhost:${http}`;
		this.#ops = `http://127.0.0.1:${ops}`;
		this.#process = child;
		this.#folder = folder;
		this.#exited = new Promise((resolve) => child.once("exit", () => resolve()));
		child.stdout?.on("data", (chunk: Buffer) => this.#log.push(chunk.toString()));
		child.stderr?.on("data", (chunk: Buffer) => this.#log.push(chunk.toString()));
	}

	readonly #log: string[] = [];

	/** What the server said so far. */
	get log(): string {
		return this.#log.join("");
	}

	/** The sum of a metric over all its labels; zero if it was never moved. */
	async metric(name: string): Promise<number> {
		const text = await (await fetch(`${this.#ops}/metrics`)).text();
		const lines = text
			.split("\n")
			.filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`));
		return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
	}

	/** Stops the server. */
	async stop(): Promise<void> {
		this.#process.kill("SIGTERM");
		const force = setTimeout(() => this.#process.kill("SIGKILL"), STOP_MS);
		await this.#exited;
		clearTimeout(force);
		await rm(this.#folder, { recursive: true, force: true });
	}

	async #ready(): Promise<void> {
		const deadline = Date.now() + READY_MS;
		for (;;) {
			const ready = await fetch(`${this.#ops}/readyz`).then(
				(response) => response.ok,
				() => false,
			);
			if (ready) return;
			if (this.#process.exitCode !== null || Date.now() > deadline) {
				await this.stop();
				throw new Error(`the server did not become ready:\n${this.log}`);
			}
			await new Promise((resolve) => setTimeout(resolve, 50));
		}
	}
}

function freeTcpPort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = createServer();
		server.once("error", reject);
		server.listen(0, "127.0.0.1", () => {
			const address = server.address();
			server.close(() => resolve(typeof address === "object" && address !== null ? address.port : 0));
		});
	});
}

/** Below the range of relayed addresses, where the server's own port must not lie, and of ephemeral ports. */
async function freeUdpPort(): Promise<number> {
	for (;;) {
		const port = randomInt(20_000, 32_000);
		if (await canBind(port)) return port;
	}
}

function canBind(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = createSocket("udp4");
		socket.once("error", () => resolve(false));
		socket.bind(port, "127.0.0.1", () => socket.close(() => resolve(true)));
	});
}
