//! A worker's turn with the connections of TCP allocations: accepting, connecting, splicing.

use std::time::Duration;

use causeway_protocol::{Moment, Now};
use causeway_turn_core::{ClientAddr, PeerAddr, PeerConnection, RelayPort, Reply, Via};
use mio::net::TcpStream;

use super::{Running, Worker};
use crate::io::ready::ReadyList;
use crate::stream::Load;
use crate::tcp_relay::{Accepting, Pumped};

/// Peers accepted in one turn. A guess, as for clients.
const ACCEPT_BUDGET: usize = 32;
/// Splices that pass a chunk each way before others have their turn.
const SPLICE_BUDGET: usize = 16;
/// When held bytes are asked about again: often enough for a smooth flow, seldom enough to cost nothing. A guess.
const HELD_FOR: Duration = Duration::from_millis(5);
/// How often connections are looked over for what took too long.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What a worker keeps about these connections between its turns.
#[derive(Default)]
pub(super) struct TcpRelayWork {
    pub(super) acceptors: ReadyList,
    /// Connections that can be read or written, as far as is known.
    pub(super) ready: ReadyList,
    /// Data connections to be spliced as soon as the frames of their chunk are done.
    ordered: Vec<(ClientAddr, PeerConnection, Reply)>,
    /// Connections with bytes held back, and when to ask again.
    held: Vec<u32>,
    held_until: Option<Moment>,
    /// Listeners whose connections had to stay with the kernel.
    starved: Vec<u32>,
    sweep_due: Option<Moment>,
}

impl TcpRelayWork {
    pub(super) fn is_idle(&self) -> bool {
        self.acceptors.is_empty() && self.ready.is_empty()
    }

    pub(super) fn due(&self) -> Option<Moment> {
        [self.held_until, self.sweep_due].into_iter().flatten().min()
    }

    /// The connection that is being read carries no more messages.
    pub(super) fn is_ordered(&self) -> bool {
        !self.ordered.is_empty()
    }
}

impl Running {
    /// Accepts peers, within a budget.
    pub(super) fn accept_peers(&mut self, now: Now) {
        for _ in 0..ACCEPT_BUDGET {
            let Some(slot) = self.tcp_relay.acceptors.pop() else { return };
            let Ok(slot) = u32::try_from(slot) else { continue };
            match self.worker.tcp_relay.accept(slot) {
                Accepting::Accepted(port, from, socket) => {
                    self.tcp_relay.acceptors.push(slot as usize);
                    self.welcome(now, port, from, socket);
                }
                Accepting::Blocked => {}
                Accepting::Starved => {
                    self.tcp_relay.starved.push(slot);
                    self.tcp_relay.sweep_due.get_or_insert(now.moment.plus(SWEEP_EVERY));
                }
            }
        }
    }

    /// Keeps the connection of a peer that the relay has nothing against.
    fn welcome(&mut self, now: Now, port: RelayPort, from: PeerAddr, socket: TcpStream) {
        self.note_activity(now);
        let Worker { relay, tcp_relay, .. } = &mut self.worker;
        if let Ok(connection) = relay.on_peer_accepted(now, port, from)
            && tcp_relay.keep(connection, socket).is_err()
        {
            relay.on_peer_closed(connection);
        }
        self.perform(now);
    }

    /// Connects for an allocation.
    pub(super) fn connect(&mut self, now: Now, connection: PeerConnection, from: RelayPort, to: PeerAddr) {
        if let Err(error) = self.worker.tcp_relay.connect(connection, from, to) {
            self.worker.relay.on_peer_connected(now, connection, Err(error));
        }
    }

    /// Splices when the chunk that brought the request is done: what is behind it belongs to the peer.
    pub(super) fn order_splice(&mut self, client: ClientAddr, connection: PeerConnection, reply: Reply) {
        self.tcp_relay.ordered.push((client, connection, reply));
    }

    /// Splices what was ordered.
    pub(super) fn splice_ordered(&mut self, now: Now) {
        while let Some((client, connection, reply)) = self.tcp_relay.ordered.pop() {
            let taken = match client.via {
                Via::Tcp(session) | Via::Tls(session) => self.worker.sockets.take_stream(session),
                Via::Udp | Via::Dtls(_) => None,
            };
            let spliced = taken.is_some_and(|mut data| {
                data.push([reply.as_bytes(), &[], &[]], Load::Answer).is_ok()
                    && self.worker.tcp_relay.splice(now.moment, connection, data)
            });
            if spliced {
                self.tcp_relay.ready.push(connection.slot as usize);
                self.tcp_relay.sweep_due.get_or_insert(now.moment.plus(SWEEP_EVERY));
            } else {
                self.worker.tcp_relay.disconnect(connection);
                self.worker.relay.on_peer_closed(connection);
            }
        }
    }

    /// Passes bytes on spliced connections, and sees which have come to stand, within a budget.
    pub(super) fn pump_splices(&mut self, now: Now) {
        for _ in 0..SPLICE_BUDGET {
            let Some(slot) = self.tcp_relay.ready.pop() else { return };
            if let Ok(slot) = u32::try_from(slot) {
                self.pump(now, slot);
            }
        }
    }

    fn pump(&mut self, now: Now, slot: u32) {
        self.note_activity(now);
        let Worker { relay, tcp_relay, .. } = &mut self.worker;
        if let Some((connection, result)) = tcp_relay.connected(slot) {
            relay.on_peer_connected(now, connection, result);
        }
        let allow = |connection, direction, length| relay.on_spliced(now, connection, direction, length);
        match tcp_relay.pump(now.moment, slot, allow) {
            None | Some((_, Pumped::Blocked)) => {}
            Some((_, Pumped::More)) => self.tcp_relay.ready.push(slot as usize),
            Some((_, Pumped::Held)) => {
                self.tcp_relay.held.push(slot);
                self.tcp_relay.held_until.get_or_insert(now.moment.plus(HELD_FOR));
            }
            Some((connection, Pumped::Over)) => self.close_splice(connection),
        }
        self.perform(now);
    }

    fn close_splice(&mut self, connection: PeerConnection) {
        self.worker.tcp_relay.disconnect(connection);
        self.worker.relay.on_peer_closed(connection);
    }

    /// Asks again about held bytes, and closes what took too long.
    pub(super) fn tend_splices(&mut self, now: Now) {
        if self.tcp_relay.held_until.is_some_and(|due| due <= now.moment) {
            self.tcp_relay.held_until = None;
            for slot in self.tcp_relay.held.drain(..) {
                self.tcp_relay.ready.push(slot as usize);
            }
        }
        if self.tcp_relay.sweep_due.is_some_and(|due| due <= now.moment) {
            for slot in self.tcp_relay.starved.drain(..) {
                self.tcp_relay.acceptors.push(slot as usize);
            }
            for connection in self.worker.tcp_relay.overdue(now.moment) {
                self.close_splice(connection);
            }
            let more = !self.worker.tcp_relay.is_empty() || !self.tcp_relay.acceptors.is_empty();
            self.tcp_relay.sweep_due = more.then(|| now.moment.plus(SWEEP_EVERY));
            self.perform(now);
        }
    }
}
