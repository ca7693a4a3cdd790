//! A session outlives its node: the client goes on at another one, and knows whether it missed anything.

import { createRoom, joinRoom, type Session } from "@causeway/client";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Cluster, type ClusterNode } from "./support/cluster.ts";
import { NodeEnvironment } from "./support/node.ts";
import { TcpProxy } from "./support/proxy.ts";

let cluster: Cluster;
let [first, second]: [ClusterNode | undefined, ClusterNode | undefined] = [undefined, undefined];
let proxy: TcpProxy;
const sessions: Session[] = [];

beforeEach(async () => {
	cluster = await Cluster.start(2);
	[first, second] = [cluster.nodes[0], cluster.nodes[1]];
	proxy = await TcpProxy.start(first?.url ?? "");
});
afterEach(async () => {
	for (const session of sessions.splice(0)) session.leave();
	await proxy?.stop();
	await cluster?.stop();
});

/** Alice comes by the load balancer, Bob straight to the second node; the room belongs to the node that made it. */
async function meet(maker: ClusterNode | undefined) {
	const { room } = await createRoom({ server: maker?.url ?? "", environment: new NodeEnvironment() });
	const join = async (server: string) => {
		const session = await joinRoom({ server, room, environment: new NodeEnvironment() });
		sessions.push(session);
		const heard: unknown[] = [];
		const told: string[] = [];
		session.on("app", ({ data }) => heard.push(data));
		session.on("resumed", () => told.push("resumed"));
		session.on("resynced", () => told.push("resynced"));
		session.on("peer-left", ({ reason }) => told.push(`peer-left ${reason}`));
		session.on("closed", ({ reason }) => told.push(`closed ${reason}`));
		return { session, heard, told };
	};
	const bob = await join(second?.url ?? "");
	const alice = await join(proxy.url);
	await expect.poll(() => bob.session.peers.size).toBe(1);
	alice.session.sendApp("before");
	await expect.poll(() => bob.heard).toEqual(["before"]);
	return { alice, bob };
}

test("the node that held the line dies: the client resumes at the other one and misses nothing", async () => {
	const { alice, bob } = await meet(second);
	proxy.redirect(second?.url ?? "");
	await first?.end("SIGKILL");
	for (const number of [1, 2, 3]) {
		alice.session.sendApp(number);
		bob.session.sendApp(number);
	}
	await expect.poll(() => bob.heard).toEqual(["before", 1, 2, 3]);
	await expect.poll(() => alice.heard).toEqual([1, 2, 3]);
	expect([alice.told, bob.told]).toEqual([["resumed"], []]);
});

test("the node that owned the room dies: both are told how it stands, and go on", async () => {
	const { alice, bob } = await meet(first);
	bob.session.setState("slide", 7);
	await expect.poll(() => alice.session.state.get("slide")?.value).toBe(7);
	proxy.redirect(second?.url ?? "");
	await first?.end("SIGKILL");
	await expect.poll(() => alice.told).toContain("resynced");
	await expect.poll(() => bob.told).toContain("resynced");
	await expect.poll(() => alice.session.status.kind).toBe("connected");
	expect([...bob.session.peers.keys()]).toEqual([alice.session.peer]);
	expect([...alice.session.peers.keys()]).toEqual([bob.session.peer]);
	alice.session.sendApp("after");
	bob.session.sendApp("after");
	await expect.poll(() => bob.heard.at(-1)).toBe("after");
	await expect.poll(() => alice.heard).toEqual(["after"]);
});

test("the node that owned the room is shut down: nothing is lost, and nobody is told more than that", async () => {
	const { alice, bob } = await meet(first);
	proxy.redirect(second?.url ?? "");
	const ended = first?.end("SIGTERM");
	for (let number = 0; number < 100; number++) {
		alice.session.sendApp(number);
		bob.session.sendApp(number);
		if (number % 10 === 0) await expect.poll(() => bob.heard.length).toBe(number + 2);
	}
	await ended;
	const numbers = Array.from({ length: 100 }, (_, index) => index);
	await expect.poll(() => alice.heard).toEqual(numbers);
	await expect.poll(() => bob.heard).toEqual(["before", ...numbers]);
	expect(alice.told.every((what) => what === "resumed")).toBe(true);
	expect(bob.told.every((what) => what === "resumed")).toBe(true);
});
