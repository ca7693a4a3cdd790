//! Joining a room: a token over HTTP, then a WebSocket that says hello with it and is welcomed, perhaps after a wait.

import { requestJoin, type Server, socketAddress } from "./api.ts";
import { backoff } from "./backoff.ts";
import { isFinal } from "./codes.ts";
import { browser, type Environment, type Socket } from "./environment.ts";
import { CausewayError } from "./error.ts";
import type { Undo } from "./events.ts";
import { Heartbeat } from "./heartbeat.ts";
import { encode, PROTOCOL_VERSION, type ServerMessage, SUBPROTOCOL } from "./messages.ts";
import { decode } from "./parse.ts";
import type { JoinRoom } from "./rest.ts";
import { Session, type SessionOptions } from "./session.ts";

/** How to join: where, what proves that one may, and how to connect. */
export interface JoinOptions extends Server, JoinRoom, SessionOptions {
	readonly room: string;
	/** A token that the app's own server minted with its API key: it opens the room by itself, and nothing is asked over HTTP. */
	readonly appToken?: string;
	/** Called when the room has a lobby: a host has to let this side in first, which takes as long as it takes. */
	readonly onWaiting?: () => void;
	/** Gives up, also while waiting to be let in. */
	readonly signal?: AbortSignal;
}

const WELCOME_MS = 15_000;

/**
 * Joins a room. Subscribe to the session's events right after this resolves: the messages that follow the welcome come
 * in later tasks. @throws {CausewayError}
 */
export async function joinRoom(options: JoinOptions): Promise<Session> {
	const environment = options.environment ?? browser();
	const token = options.appToken ?? (await tokenOverHttp(options));
	options.signal?.throwIfAborted();
	return enter(token, options, environment);
}

async function tokenOverHttp(options: JoinOptions): Promise<string> {
	const { password, invite, hostToken, name } = options;
	const joined = await requestJoin(options, options.room, {
		...(password === undefined ? {} : { password }),
		...(invite === undefined ? {} : { invite }),
		...(hostToken === undefined ? {} : { hostToken }),
		...(name === undefined ? {} : { name }),
	});
	return joined.token;
}

/** Says hello and waits for the welcome. A server that goes away meanwhile is not the only one: others are tried in time. */
function enter(token: string, options: JoinOptions, environment: Environment): Promise<Session> {
	const { onWaiting, signal } = options;
	return new Promise((resolve, reject) => {
		let refusal: CausewayError | null = null;
		let attempts = 0;
		let socket: Socket;
		let heartbeat: Heartbeat | null = null;
		let again: Undo = () => {};
		const settle = () => {
			deadline();
			again();
			heartbeat?.stop();
			signal?.removeEventListener("abort", onAbort);
		};
		const fail = (reason: unknown) => {
			settle();
			socket.onclose = null;
			socket.close();
			reject(reason);
		};
		const onAbort = () => fail(signal?.reason);
		signal?.addEventListener("abort", onAbort);
		const unwelcome = () =>
			fail(
				refusal ??
					new CausewayError("join-refused", "The server closed the connection; try again in a moment."),
			);
		const deadline = environment.after(WELCOME_MS, unwelcome);

		const onClose = (code: number) => {
			if (refusal !== null || heartbeat !== null || isFinal(code)) return unwelcome();
			attempts += 1;
			const wait = backoff(attempts, () => environment.random());
			again = environment.after(wait, open);
		};
		const onMessage = (message: ServerMessage | null) => {
			heartbeat?.heard();
			switch (message?.type) {
				case "error":
					refusal = new CausewayError(message.code, message.message);
					return;
				case "waiting": {
					if (heartbeat !== null) return;
					deadline();
					const ping = (nonce: number) => socket.send(encode({ type: "ping", nonce }));
					heartbeat = new Heartbeat(environment, ping, unwelcome);
					return onWaiting?.();
				}
				case "welcome":
					settle();
					// The session takes the socket over before anything else can arrive on it.
					return resolve(new Session(socket, message, options, environment));
				default:
					return;
			}
		};
		const open = () => {
			socket = environment.openSocket(socketAddress(options.server), SUBPROTOCOL);
			socket.onopen = () => socket.send(encode({ type: "hello", version: PROTOCOL_VERSION, token }));
			socket.onclose = ({ code }) => onClose(code);
			socket.onmessage = ({ data }) => onMessage(decode(data));
		};
		open();
	});
}
