//! Joining a room: a token over HTTP, then a WebSocket that says hello with it and is welcomed.

import { requestJoin, type Server, socketAddress } from "./api.ts";
import { browser } from "./environment.ts";
import { CausewayError } from "./error.ts";
import { decode, encode, PROTOCOL_VERSION, SUBPROTOCOL } from "./messages.ts";
import type { JoinRoom } from "./rest.ts";
import { Session, type SessionOptions } from "./session.ts";

/** How to join: where, what proves that one may, and how to connect. */
export interface JoinOptions extends Server, JoinRoom, SessionOptions {
	readonly room: string;
}

const WELCOME_MS = 15_000;

/**
 * Joins a room. Subscribe to the session's events right after this resolves: the messages that follow the welcome come
 * in later tasks. @throws {CausewayError}
 */
export async function joinRoom(options: JoinOptions): Promise<Session> {
	const environment = options.environment ?? browser();
	const { password, invite, hostToken, name } = options;
	const joined = await requestJoin(options, options.room, {
		...(password === undefined ? {} : { password }),
		...(invite === undefined ? {} : { invite }),
		...(hostToken === undefined ? {} : { hostToken }),
		...(name === undefined ? {} : { name }),
	});
	return new Promise((resolve, reject) => {
		const socket = environment.openSocket(socketAddress(options.server), SUBPROTOCOL);
		let refusal = new CausewayError(
			"join-refused",
			"The server closed the connection; try again in a moment.",
		);
		const deadline = environment.after(WELCOME_MS, () => socket.close());
		socket.onopen = () =>
			socket.send(encode({ type: "hello", version: PROTOCOL_VERSION, token: joined.token }));
		socket.onclose = () => {
			deadline();
			reject(refusal);
		};
		socket.onmessage = ({ data }) => {
			const message = decode(data);
			if (message?.type === "error") refusal = new CausewayError(message.code, message.message);
			if (message?.type !== "welcome") return;
			deadline();
			resolve(new Session(socket, message, options, environment));
		};
	});
}
