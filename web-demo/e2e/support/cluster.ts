//! Signal nodes that share a Redis: real processes on free ports, started and ended by the test.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BINARY } from "./server.ts";

const READY_MS = 30_000;

/** Where a node listens. */
interface Doors {
	readonly url: string;
	readonly ops: string;
}

/** One node. */
export class ClusterNode {
	readonly url: string;
	readonly #ops: string;
	readonly #child: ChildProcess;

	constructor(doors: Doors, child: ChildProcess) {
		this.url = doors.url;
		this.#ops = doors.ops;
		this.#child = child;
	}

	/** What it says to load balancers. */
	async isReady(): Promise<boolean> {
		return (await fetch(`${this.#ops}/readyz`)).ok;
	}

	/** Sends a signal and waits for the end, which SIGKILL brings at once and SIGTERM after a drain. */
	async end(signal: "SIGKILL" | "SIGTERM"): Promise<void> {
		const { exitCode, signalCode } = this.#child;
		if (exitCode !== null || signalCode !== null) return;
		const ended = new Promise((resolve) => this.#child.once("exit", resolve));
		this.#child.kill(signal);
		await ended;
	}
}

/** The nodes and their Redis. */
export class Cluster {
	readonly nodes: ClusterNode[] = [];
	readonly #folder: string;
	readonly #redis: ChildProcess;
	readonly #port: number;

	/** Starts Redis and so many nodes. */
	static async start(count: number): Promise<Cluster> {
		const folder = await mkdtemp(join(tmpdir(), "causeway-nodes-"));
		const port = await freePort();
		const redis = spawn(
			"redis-server",
			["--bind", "127.0.0.1", "--port", String(port), "--save", "", "--appendonly", "no", "--dir", folder],
			{ stdio: "ignore" },
		);
		const cluster = new Cluster(folder, redis, port);
		try {
			await answers(port);
			for (let i = 0; i < count; i++) await cluster.add();
			// As a load balancer does: nodes that do not know one another yet are asked for nothing.
			for (const node of cluster.nodes) await until(() => node.isReady(), "nodes are ready");
			return cluster;
		} catch (error) {
			await cluster.stop();
			throw error;
		}
	}

	private constructor(folder: string, redis: ChildProcess, port: number) {
		this.#folder = folder;
		this.#redis = redis;
		this.#port = port;
	}

	/** Starts another node. */
	async add(): Promise<ClusterNode> {
		const name = join(this.#folder, `node-${this.nodes.length}`);
		await writeFile(`${name}.toml`, settings(this.#port));
		const child = spawn(BINARY, ["signal", "--config", `${name}.toml`, "--data-dir", name], {
			stdio: ["ignore", "pipe", "pipe"],
		});
		const node = new ClusterNode(await doors(child), child);
		this.nodes.push(node);
		return node;
	}

	/** Ends everything. */
	async stop(): Promise<void> {
		await Promise.all(this.nodes.map((node) => node.end("SIGKILL")));
		this.#redis.kill("SIGKILL");
		await rm(this.#folder, { recursive: true, force: true });
	}
}

function settings(port: number): string {
	return `
[node]
secret = "${"c0".repeat(32)}"
drain_seconds = 3
[ops]
listen = "127.0.0.1:0"
[http]
listen = "127.0.0.1:0"
[signal]
ice_urls = ["stun:127.0.0.1:3478"]
[cluster]
redis_url = "redis://127.0.0.1:${port}"
`;
}

async function freePort(): Promise<number> {
	const listener = createServer();
	await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
	const address = listener.address();
	await new Promise((resolve) => listener.close(resolve));
	if (address === null || typeof address === "string") throw new Error("a TCP listener has a port");
	return address.port;
}

/** Waits until Redis accepts connections. */
async function answers(port: number): Promise<void> {
	await until(async () => {
		const socket = connect(port, "127.0.0.1");
		const open = await new Promise<boolean>((resolve) => {
			socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
		});
		socket.destroy();
		return open;
	}, "redis-server starts; is it installed?");
}

async function until(holds: () => Promise<boolean>, what: string): Promise<void> {
	const end = performance.now() + READY_MS;
	while (!(await holds())) {
		if (performance.now() > end) throw new Error(`it takes too long until ${what}`);
		await new Promise((resolve) => setTimeout(resolve, 20));
	}
}

/** The addresses that a node prints when everything is bound. */
function doors(child: ChildProcess): Promise<Doors> {
	return new Promise((resolve, reject) => {
		let said = "";
		const fail = (what: string) => reject(new Error(`the node ${what}:\n${said}`));
		const timer = setTimeout(() => fail("did not become ready"), READY_MS);
		child.once("error", () => fail(`cannot be started; build ${BINARY} with: make build`));
		child.once("exit", () => fail("ended"));
		for (const stream of [child.stdout, child.stderr]) {
			stream?.on("data", (chunk: Buffer) => {
				said += chunk.toString();
				if (!said.includes("Stop with")) return;
				clearTimeout(timer);
				const [url, ops] = [false, true].map((metrics) => {
					const lines = said.split("\n").filter((line) => line.includes("metrics") === metrics);
					return /http:\/\/[^\s/]+/.exec(lines.join("\n"))?.[0].replace("localhost", "127.0.0.1");
				});
				if (url === undefined || ops === undefined) fail("does not say its addresses");
				else resolve({ url, ops });
			});
		}
	});
}
