//! A worker's datagrams: from a socket's messages, each of which may be a train of them, to the relay.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use causeway_protocol::Now;
use causeway_turn_core::{Again, ClientAddr, ListenerId, PeerAddr, RelayPort, Via};

use super::{METRICS_EVERY, Running, Worker};
use crate::handover::Full;
use crate::io::arena::Arena;
use crate::io::call::SendFailure;
use crate::io::offloads::datagrams;
use crate::io::ready::ReadyList;
use crate::io::sockets::{SocketKey, is_of_an_earlier_one};

/// Messages received in one call: from all clients of a listener, or from the peers of one allocation. To ask for more
/// than there is has a price, which one allocation's few messages do not pay back.
pub(super) const MESSAGES: usize = 64;
const PEER_MESSAGES: usize = 4;
/// Datagrams of one side, clients or peers, before the other side reads: neither starves the other.
const SIDE_BUDGET: usize = 512;
/// Datagrams of one relay socket before the next one's: allocations of one worker share it fairly.
const SOCKET_BUDGET: usize = 32;

/// The socket that a datagram came to, as it was when it was received.
#[derive(Clone, Copy)]
enum On {
    Listener(ListenerId),
    Relay(RelayPort),
}

/// What one call received.
struct Batch {
    on: On,
    /// Where the first message's slot begins.
    start: usize,
    count: usize,
    /// The call had room for more.
    drained: bool,
}

impl Running {
    pub(super) fn read_clients(&mut self, now: Now) {
        let mut read = 0;
        while read < SIDE_BUDGET {
            let Some(index) = self.clients.pop() else { break };
            let Ok(index) = u16::try_from(index) else { continue };
            read += self.read_socket(now, SocketKey::Client(ListenerId(index)), SIDE_BUDGET - read);
        }
    }

    pub(super) fn read_peers(&mut self, now: Now) {
        let mut read = 0;
        while read < SIDE_BUDGET {
            let Some(slot) = self.peers.pop() else { break };
            let Ok(slot) = u32::try_from(slot) else { continue };
            read += self.read_socket(now, SocketKey::Relay(slot), SOCKET_BUDGET);
        }
    }

    /// Reads about `budget` datagrams and says how many; a socket that may hold more is listed again.
    fn read_socket(&mut self, now: Now, key: SocketKey, budget: usize) -> usize {
        let mut read = 0;
        while read < budget {
            let Some(batch) = self.receive(key) else { return read };
            for place in 0..batch.count {
                read += self.take_message(now, &batch, place);
            }
            self.arena.release();
            if batch.drained {
                return read;
            }
        }
        if let Some((list, socket)) = self.list_of(key) {
            list.push(socket);
        }
        read
    }

    /// The list of sockets to read that this one belongs to, and its place there.
    fn list_of(&mut self, key: SocketKey) -> Option<(&mut ReadyList, usize)> {
        match key {
            SocketKey::Client(listener) => Some((&mut self.clients, usize::from(listener.0))),
            SocketKey::Relay(slot) => Some((&mut self.peers, slot as usize)),
            SocketKey::Acceptor(_)
            | SocketKey::Stream(_)
            | SocketKey::RelayAcceptor(_)
            | SocketKey::Peer(_)
            | SocketKey::DataConnection(_) => None,
        }
    }

    /// Receives what waits on a socket, within the arena's room; `None` once it is drained or closed.
    ///
    /// Errors of earlier datagrams are passed over; each read takes one away, so this ends. A call that receives less
    /// than it has room for has drained its socket: whatever comes later, an error between two messages too, is
    /// reported anew.
    fn receive(&mut self, key: SocketKey) -> Option<Batch> {
        let wanted = match key {
            SocketKey::Relay(_) => PEER_MESSAGES,
            SocketKey::Client(_)
            | SocketKey::Acceptor(_)
            | SocketKey::Stream(_)
            | SocketKey::RelayAcceptor(_)
            | SocketKey::Peer(_)
            | SocketKey::DataConnection(_) => MESSAGES,
        };
        if self.arena.free() < wanted {
            self.flush();
        }
        let sockets = &self.worker.sockets;
        let (socket, on) = match key {
            SocketKey::Client(listener) => (sockets.listener(listener)?, On::Listener(listener)),
            SocketKey::Relay(slot) => {
                // Closed since it was listed.
                let relay = sockets.relay(slot)?;
                (&relay.socket, On::Relay(relay.port))
            }
            SocketKey::Acceptor(_)
            | SocketKey::Stream(_)
            | SocketKey::RelayAcceptor(_)
            | SocketKey::Peer(_)
            | SocketKey::DataConnection(_) => return None,
        };
        loop {
            match self.receiver.receive(socket, 0, self.arena.slots().take(wanted)) {
                Ok(count) => {
                    let counts = &mut self.outbox.counts;
                    counts.receive_calls = counts.receive_calls.wrapping_add(1);
                    let start = self.arena.hold(count);
                    return Some(Batch { on, start, count, drained: count < wanted });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted || is_of_an_earlier_one(&error) => {}
                // Drained; or not enough memory, or a network that went down: the next datagram reports the socket
                // again.
                Err(_) => return None,
            }
        }
    }

    /// Takes the datagrams of a message and says how many there were.
    fn take_message(&mut self, now: Now, batch: &Batch, place: usize) -> usize {
        let Some(message) = self.receiver.message(place) else { return 0 };
        let Some(source) = message.name else { return 0 };
        self.arena.count(message.length);
        let datagrams = datagrams(Arena::in_slot(batch.start, place, message.length), message.control);
        let count = match batch.on {
            On::Relay(port) => self.take_from_peer(now, port, source, datagrams),
            On::Listener(listener) if self.worker.sockets.proxied.is_proxy(source) => {
                self.take_from_proxy(now, listener, source, datagrams)
            }
            On::Listener(listener) => {
                let from = ClientAddr { source, listener, via: Via::Udp };
                self.take_from_client(now, from, datagrams)
            }
        };
        let counts = &mut self.outbox.counts;
        let way = if count == 1 { &mut counts.received_alone } else { &mut counts.received_in_trains };
        *way = way.wrapping_add(count as u64);
        count
    }

    fn take_from_peer(
        &mut self,
        now: Now,
        on: RelayPort,
        source: SocketAddr,
        datagrams: impl Iterator<Item = Range<usize>>,
    ) -> usize {
        let from = PeerAddr::new(source);
        let mut count = 0;
        for datagram in datagrams {
            self.make_outbox_room();
            count += 1;
            if self.outbox.takes_another(datagram.len()) {
                match self.worker.relay.on_peer_again(now, on, &from, datagram.len()) {
                    Again::Same => {
                        self.outbox.plan_another(&datagram);
                        continue;
                    }
                    Again::Dropped => continue,
                    Again::Unknown => {}
                }
            }
            let bytes = self.arena.at(datagram.clone());
            let verdict = self.worker.relay.on_peer(now, on, from, bytes);
            self.conclude(now, &verdict, &datagram);
        }
        count
    }

    fn take_from_client(
        &mut self,
        now: Now,
        from: ClientAddr,
        datagrams: impl Iterator<Item = Range<usize>>,
    ) -> usize {
        let mut count = 0;
        for datagram in datagrams {
            self.make_outbox_room();
            count += 1;
            let Worker { dtls, relay, handover, .. } = &mut self.worker;
            let bytes = self.arena.at(datagram.clone());
            if dtls.takes(bytes) {
                self.read_record(now, from.source, from.listener, datagram);
                continue;
            }
            if let Some(owner) = handover.owner(now, from, bytes) {
                self.metrics_due.get_or_insert(now.moment.plus(METRICS_EVERY));
                if handover.pass_on(owner, from, bytes) == Err(Full) {
                    self.outbox.count_failure(SendFailure::HandoverFull);
                }
                continue;
            }
            let verdict = relay.on_client(now, from, bytes);
            self.conclude(now, &verdict, &datagram);
        }
        count
    }

    /// Each datagram begins with a header that says whose it is.
    fn take_from_proxy(
        &mut self,
        now: Now,
        listener: ListenerId,
        proxy: SocketAddr,
        datagrams: impl Iterator<Item = Range<usize>>,
    ) -> usize {
        let mut count = 0;
        for mut datagram in datagrams {
            self.make_outbox_room();
            count += 1;
            let Worker { sockets, dtls, relay, .. } = &mut self.worker;
            let sender = sockets.proxied.sender(proxy, listener, self.arena.at(datagram.clone()));
            let Some((header, source)) = sender else { continue };
            datagram.start += header;
            let bytes = self.arena.at(datagram.clone());
            if dtls.takes(bytes) {
                self.read_record(now, source, listener, datagram);
                continue;
            }
            // Never another worker's: that would not know the way back through the proxy.
            let from = ClientAddr { source, listener, via: Via::Udp };
            let verdict = relay.on_client(now, from, bytes);
            self.conclude(now, &verdict, &datagram);
        }
        count
    }

    /// Room for what becomes of one datagram more.
    fn make_outbox_room(&mut self) {
        if self.outbox.is_full() {
            self.flush();
        }
    }
}
