//! The server's HTTP API: make a room, ask about it, invite, join.

import { browser, type Environment } from "./environment.ts";
import { CausewayError } from "./error.ts";
import type { Check } from "./guard.ts";
import {
	type CreateInvite,
	type CreateRoom,
	type InviteCreated,
	isApiError,
	isInviteCreated,
	isJoined,
	isRoomCreated,
	isRoomFacts,
	type Joined,
	type JoinRoom,
	type RoomCreated,
	type RoomFacts,
} from "./rest.ts";

/** Where the server is, and what to reach it with. */
export interface Server {
	/** The server's address, such as `https://causeway.example`; a path in front of `/api` stays. */
	readonly server: string | URL;
	/** For tests; absent: the browser's own. */
	readonly environment?: Environment;
}

/** Makes a room. @throws {CausewayError} */
export function createRoom(where: Server, wish: CreateRoom = {}): Promise<RoomCreated> {
	return call(where, { method: "POST", path: "rooms", body: wish }, isRoomCreated);
}

/** Asks what one needs to know before joining. @throws {CausewayError} */
export function roomFacts(where: Server, room: string): Promise<RoomFacts> {
	return call(where, { method: "GET", path: `rooms/${encodeURIComponent(room)}` }, isRoomFacts);
}

/** Makes an invite for one join; only the host can. @throws {CausewayError} */
export function createInvite(
	where: Server,
	room: string,
	hostToken: string,
	wish: CreateInvite = {},
): Promise<InviteCreated> {
	const path = `rooms/${encodeURIComponent(room)}/invites`;
	return call(where, { method: "POST", path, body: wish, bearer: hostToken }, isInviteCreated);
}

/** Asks to be let in; the answer's token opens the WebSocket. @throws {CausewayError} */
export function requestJoin(where: Server, room: string, proof: JoinRoom): Promise<Joined> {
	const path = `rooms/${encodeURIComponent(room)}/join`;
	return call(where, { method: "POST", path, body: proof }, isJoined);
}

/** The address of the signaling WebSocket. */
export function socketAddress(server: string | URL): string {
	const url = endpoint(server, "ws");
	url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
	return url.href;
}

interface Request {
	readonly method: "GET" | "POST";
	readonly path: string;
	readonly body?: object;
	readonly bearer?: string;
}

function endpoint(server: string | URL, path: string): URL {
	const base = new URL(server);
	base.search = "";
	base.hash = "";
	if (!base.pathname.endsWith("/")) base.pathname += "/";
	return new URL(`api/v1/${path}`, base);
}

async function call<T>(where: Server, request: Request, check: Check<T>): Promise<T> {
	const environment = where.environment ?? browser();
	const headers: Record<string, string> = { accept: "application/json" };
	if (request.body !== undefined) headers["content-type"] = "application/json";
	if (request.bearer !== undefined) headers["authorization"] = `Bearer ${request.bearer}`;
	let response: Response;
	let body: unknown;
	try {
		response = await environment.fetch(endpoint(where.server, request.path).href, {
			method: request.method,
			headers,
			credentials: "omit",
			cache: "no-store",
			...(request.body === undefined ? {} : { body: JSON.stringify(request.body) }),
		});
		body = await response.json().catch(() => null);
	} catch {
		throw new CausewayError("unreachable", "The server cannot be reached; check the network and try again.");
	}
	if (response.ok && check(body)) return body;
	if (!response.ok && isApiError(body)) {
		throw new CausewayError(body.code, body.message, body.retryAfterSeconds ?? null);
	}
	throw new CausewayError(
		"bad-answer",
		`The server answered with status ${response.status} and not in its documented form; check its address.`,
	);
}
