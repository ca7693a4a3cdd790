//! A TCP proxy in front of the server that breaks connections as networks do.

import { connect, createServer, type Server as Listener, type Socket } from "node:net";

/** What happens to connections from here on. */
type Mode =
	| "pass"
	/** New ones are refused. */
	| "refuse"
	/** What the server says gets lost; what the client says arrives, as behind a one-sided filter. */
	| "swallow";

/** The proxy. */
export class TcpProxy {
	/** The address to use instead of the server's. */
	readonly url: string;
	/** How many connections were made through it. */
	connections = 0;
	readonly #listener: Listener;
	readonly #pairs = new Set<readonly [Socket, Socket]>();
	#mode: Mode = "pass";
	#target: URL;

	/** Listens on a free port of loopback. */
	static async start(target: string): Promise<TcpProxy> {
		const listener = createServer();
		await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
		return new TcpProxy(listener, new URL(target));
	}

	private constructor(listener: Listener, target: URL) {
		const address = listener.address();
		if (address === null || typeof address === "string") throw new Error("a TCP listener has a port");
		this.url = `http://127.0.0.1:${address.port}`;
		this.#listener = listener;
		this.#target = target;
		listener.on("connection", (client) => {
			const { hostname, port } = this.#target;
			this.#join(client, connect(Number(port), hostname));
		});
	}

	/** Brings new connections to another server, as a load balancer does. */
	redirect(target: string): void {
		this.#target = new URL(target);
	}

	/** Ends every connection without a word, as a dead network does. */
	cut(): void {
		for (const [client, server] of this.#pairs) {
			client.resetAndDestroy();
			server.resetAndDestroy();
		}
		this.#pairs.clear();
	}

	/** Sets what happens from here on. */
	become(mode: Mode): void {
		this.#mode = mode;
	}

	/** Ends everything. */
	async stop(): Promise<void> {
		this.cut();
		await new Promise((resolve) => this.#listener.close(resolve));
	}

	#join(client: Socket, server: Socket): void {
		if (this.#mode === "refuse") {
			client.resetAndDestroy();
			server.destroy();
			return;
		}
		this.connections += 1;
		const pair = [client, server] as const;
		this.#pairs.add(pair);
		client.on("data", (bytes) => server.write(bytes));
		server.on("data", (bytes) => {
			if (this.#mode !== "swallow") client.write(bytes);
		});
		for (const [one, other] of [pair, [server, client]] as const) {
			// Errors are what this proxy is for.
			one.on("error", () => {});
			one.on("end", () => other.end());
			one.on("close", () => {
				other.destroy();
				this.#pairs.delete(pair);
			});
		}
	}
}
