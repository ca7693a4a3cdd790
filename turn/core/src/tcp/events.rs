//! What the shell tells about the connections of TCP allocations, and what passes on them.

use causeway_protocol::Now;
use causeway_stun::attributes::{ConnectionId, XorPeerAddress};
use causeway_stun::{Class, EncodeError, MessageWriter, Method, TransactionId};

use super::RelayProtocol;
use super::connections::{BIND_TIMEOUT, ConnectError, Connecting, PeerConnection, State};
use crate::action::{Action, Reply};
use crate::address::{PeerAddr, RelayPort};
use crate::counters::AnswerCode;
use crate::data::{Direction, towards_peer};
use crate::dropped::DropReason;
use crate::ports::PortUse;
use crate::relay::Relay;
use crate::request::Refusal;

/// Bytes of a data connection that count as one piece of data: below every burst that a rate allows, so that a long
/// chunk passes in part.
const PIECE: usize = 8 << 10;

impl Relay {
    /// A peer has connected to a relayed address (RFC 6062 §5.3). The shell keeps the connection under the slot that
    /// is returned, without reading from it before [`Action::Splice`] says so; a refused one it closes.
    ///
    /// # Errors
    /// Why the peer is not welcome.
    pub fn on_peer_accepted(
        &mut self,
        now: Now,
        on: RelayPort,
        from: PeerAddr,
    ) -> Result<PeerConnection, DropReason> {
        let accepted = self.accept(now, on, from);
        if let Err(reason) = accepted {
            self.counters.count_drop(reason);
        }
        accepted
    }

    fn accept(&mut self, now: Now, on: RelayPort, from: PeerAddr) -> Result<PeerConnection, DropReason> {
        let Some(PortUse::Allocated(number)) = self.ports.usage(on) else {
            return Err(DropReason::UnknownRelayPort);
        };
        let allocation = self.allocations.get_mut(number).ok_or(DropReason::UnknownRelayPort)?;
        let from = self.policy.seen(from, RelayProtocol::Tcp);
        towards_peer(allocation, &self.policy, &self.rooms, from, now.moment)?;
        if allocation.is_away() {
            return Err(DropReason::ClientAway);
        }
        let limits = self.config.limits;
        if allocation.connections.len() >= limits.connections
            || self.connections.len() >= self.config.connections
        {
            return Err(DropReason::TooManyConnections);
        }
        let state = State::Unbound { until: now.moment.plus(BIND_TIMEOUT) };
        let connection = self.connections.insert(number, from, state, now.moment, &mut *self.random);
        allocation.connections.push(connection);
        let indication = connection_attempt(self.indications.next(), from, connection);
        if self.queue.reply(allocation.client, indication).is_err() {
            self.forget_connection(connection);
            return Err(DropReason::ReplyQueueFull);
        }
        self.count_connections();
        Ok(connection)
    }

    /// What became of an [`Action::Connect`]. One that is not outstanding is ignored.
    pub fn on_peer_connected(
        &mut self,
        now: Now,
        connection: PeerConnection,
        result: Result<(), ConnectError>,
    ) {
        match result {
            // A timer may be late.
            Ok(()) if self.connections.is_connecting(connection) && self.has_expired(now, connection) => {
                self.queue.push(Action::Disconnect(connection));
                self.refuse_connecting(now, connection);
            }
            Ok(()) => {
                let Some(asked) = self.connections.stand(connection, now.moment) else { return };
                let Connecting { client, sender, answer } = *asked;
                let reply =
                    answer.success(sender.answer_seal(), |writer| writer.put(&ConnectionId(connection.id)));
                let queued = self.answer(client, reply, AnswerCode::Success);
                self.settle(queued);
            }
            Err(_any) => self.refuse_connecting(now, connection),
        }
    }

    /// The connection to a peer, or the client's data connection that was spliced to it, is over, and so is the other
    /// (RFC 6062 §5.5): the shell has closed both.
    pub fn on_peer_closed(&mut self, connection: PeerConnection) {
        self.forget_connection(connection);
    }

    /// How many of `length` bytes that wait in a spliced connection may pass now; they count as passed. Fewer than
    /// `length`: the rest has to wait, and with it whoever sends; ask again in some milliseconds. The credential's
    /// last byte ends the allocation, whose end is an action like any other.
    pub fn on_spliced(
        &mut self,
        now: Now,
        connection: PeerConnection,
        direction: Direction,
        length: usize,
    ) -> usize {
        let Some(entry) = self.connections.get_mut(connection) else { return 0 };
        let number = entry.allocation;
        if self.has_expired(now, connection) {
            self.counters.count_drop(DropReason::AllocationExpired);
            return 0;
        }
        let mut passed: usize = 0;
        while passed < length {
            let piece = length.saturating_sub(passed).min(PIECE);
            match self.account(number, direction, piece, now) {
                Ok(()) => passed = passed.saturating_add(piece),
                // What waits is not dropped.
                Err(DropReason::AllocationRate | DropReason::RoomRate | DropReason::NodeShare) => break,
                Err(reason) => {
                    self.counters.count_drop(reason);
                    break;
                }
            }
        }
        passed
    }

    /// Whether the allocation of a connection has expired, and no timer has ended it yet.
    fn has_expired(&mut self, now: Now, connection: PeerConnection) -> bool {
        let number = self.connections.get_mut(connection).map(|entry| entry.allocation);
        let allocation = number.and_then(|number| self.allocations.get(number));
        allocation.is_some_and(|allocation| !allocation.relayed.is_alive(now.moment))
    }

    /// Closes what took too long to stand, or to be asked for.
    pub(crate) fn reap_connections(&mut self, now: Now) {
        while let Some(connection) = self.connections.pop_due(now.moment) {
            self.queue.push(Action::Disconnect(connection));
            self.refuse_connecting(now, connection);
            self.forget_connection(connection);
        }
    }

    /// The allocation of these connections has ended.
    pub(crate) fn close_connections(&mut self, connections: Vec<PeerConnection>) {
        for connection in connections {
            self.close_connection(connection);
        }
    }

    /// RFC 6062 §5.2: 447 to the Connect request, if it still waits.
    fn refuse_connecting(&mut self, now: Now, connection: PeerConnection) {
        if !self.connections.is_connecting(connection) {
            return;
        }
        if let Some(State::Connecting(asked)) = self.forget_connection(connection) {
            let Connecting { client, sender, answer } = *asked;
            let seal = sender.answer_seal();
            let queued = self.refuse(client, now, &answer, seal, &Refusal::ConnectionTimeoutOrFailure);
            self.settle(queued);
        }
    }

    fn close_connection(&mut self, connection: PeerConnection) {
        if self.forget_connection(connection).is_some() {
            self.queue.push(Action::Disconnect(connection));
        }
    }

    fn forget_connection(&mut self, connection: PeerConnection) -> Option<State> {
        let removed = self.connections.remove(connection)?;
        if let Some(allocation) = self.allocations.get_mut(removed.allocation) {
            allocation.connections.retain(|held| *held != connection);
        }
        self.count_connections();
        Some(removed.state)
    }

    pub(crate) fn count_connections(&mut self) {
        self.counters.connections = self.connections.len() as u64;
    }
}

/// RFC 6062 §5.3.
fn connection_attempt(id: TransactionId, from: PeerAddr, connection: PeerConnection) -> Reply {
    Reply::filled(|buffer| -> Result<usize, EncodeError> {
        let mut writer = MessageWriter::new(buffer, Class::Indication, Method::ConnectionAttempt, id)?;
        writer.put(&ConnectionId(connection.id))?;
        writer.put(&XorPeerAddress(from.socket()))?;
        Ok(writer.finish())
    })
    .expect("an indication with an id and an address is shorter than Reply::CAPACITY")
}
