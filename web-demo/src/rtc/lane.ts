//! Makes a lane of a connection: two negotiated channels, given to the worker as directly as the browser can.

import { ChannelPipe } from "../transfer/channel-pipe.ts";
import { bridge } from "../transfer/port-pipe.ts";
import type { Command, LaneHandles } from "../worker/messages.ts";

/** Both ends make the channels themselves, with these ids, so that no message is lost before they exist. */
const CONTROL: RTCDataChannelInit = { negotiated: true, id: 0, ordered: true };
const DATA: RTCDataChannelInit = { negotiated: true, id: 1, ordered: false };

/** Makes the channels and gives them to the worker with a command. Call before the connection is negotiated. */
export function giveLane(
	pc: RTCPeerConnection,
	worker: Worker,
	command: (lane: LaneHandles) => Command,
): void {
	const control = pc.createDataChannel("ctl", CONTROL);
	const data = pc.createDataChannel("data", DATA);
	try {
		worker.postMessage(command({ kind: "channels", control, data }), [control, data]);
		return;
	} catch {
		// HTML §2.7.6: DataCloneError where channels cannot be transferred. The frames go through ports then.
	}
	const forControl = new MessageChannel();
	const forData = new MessageChannel();
	bridge(new ChannelPipe(control), forControl.port1);
	bridge(new ChannelPipe(data), forData.port1);
	const lane: LaneHandles = { kind: "ports", control: forControl.port2, data: forData.port2 };
	worker.postMessage(command(lane), [forControl.port2, forData.port2]);
}
