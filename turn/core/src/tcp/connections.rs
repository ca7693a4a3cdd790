//! The connections between relayed addresses and peers, and the ids by which clients ask for them.

use std::collections::HashMap;
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_stun::attributes::ConnectionId;
use foldhash::fast::FixedState;
use rand_core::Rng;

use crate::address::{ClientAddr, PeerAddr};
use crate::auth::check::Authenticated;
use crate::reply::Answer;
use crate::slab::Slab;
use crate::wheel::Wheel;

/// RFC 6062 §5.2: "The timeout value MUST be at least 30 seconds."
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// RFC 6062 §5.2, §5.3: a peer connection that no ConnectionBind asks for in 30 seconds is closed.
pub(super) const BIND_TIMEOUT: Duration = Duration::from_secs(30);

/// One connection between a relayed address and a peer.
///
/// The core numbers them as it does [`RelayPort`](crate::RelayPort)s: a shell keeps its sockets in an array under
/// `slot`, and compares the whole value, since a slot is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PeerConnection {
    /// A small dense number, free for reuse once the connection is closed.
    pub slot: u32,
    /// The CONNECTION-ID that the client is told.
    pub id: u32,
}

/// The place of a relay among those of its process, so that each can tell from a CONNECTION-ID or a mobility ticket
/// which of them is meant.
///
/// ```text
/// CONNECTION-ID   | worker (9 bits) | random (23 bits) |
/// ```
/// Nobody profits from guessing an id: a ConnectionBind has to come from the allocation's own user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerNumber(u16);

impl WorkerNumber {
    /// Workers that can be told apart.
    pub const MAX: u16 = 1 << Self::BITS;
    /// The only worker of a process, or its first.
    pub const FIRST: Self = Self(0);

    const BITS: u32 = 9;
    const RANDOM_BITS: u32 = u32::BITS - Self::BITS;

    /// The worker with this number; `None` from [`WorkerNumber::MAX`] on.
    #[must_use]
    pub const fn new(number: u16) -> Option<Self> {
        if number < Self::MAX { Some(Self(number)) } else { None }
    }

    /// The worker's number.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }

    /// The worker whose connection has this CONNECTION-ID.
    #[must_use]
    pub const fn of_connection(ConnectionId(id): ConnectionId) -> Self {
        Self((id >> Self::RANDOM_BITS) as u16)
    }

    fn draw_id(self, random: &mut dyn Rng) -> u32 {
        (u32::from(self.0) << Self::RANDOM_BITS) | (random.next_u32() >> Self::BITS)
    }
}

/// Why a connection to a peer did not come about; all of them are answered 447.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The peer refuses the connection (`ECONNREFUSED`).
    #[error("the peer refuses the connection")]
    Refused,
    /// Nothing comes back, or there is no way to the peer (`ETIMEDOUT`, `EHOSTUNREACH`, `ENETUNREACH`).
    #[error("the peer cannot be reached")]
    Unreachable,
    /// Not enough file descriptors or memory, or the operating system refuses in another way.
    #[error("the process cannot open another connection")]
    Local,
}

/// A connection and how far it has come.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: u32,
    /// The number of its allocation.
    pub(crate) allocation: u32,
    pub(crate) peer: PeerAddr,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    /// The shell connects, and a Connect request waits for the answer.
    Connecting(Box<Connecting>),
    /// It stands, and waits for its ConnectionBind until then.
    Unbound { until: Moment },
    /// Bytes pass.
    Bound,
}

/// A Connect request that is not answered yet.
#[derive(Debug)]
pub(crate) struct Connecting {
    pub(crate) client: ClientAddr,
    pub(crate) sender: Authenticated,
    pub(crate) answer: Answer,
}

/// The connections of one relay.
#[derive(Debug)]
pub(crate) struct Connections {
    worker: WorkerNumber,
    entries: Slab<Connection>,
    by_id: HashMap<u32, u32, FixedState>,
    timers: Wheel,
}

impl Connections {
    pub(crate) fn new(worker: WorkerNumber, hasher: FixedState) -> Self {
        Self { worker, entries: Slab::new(), by_id: HashMap::with_hasher(hasher), timers: Wheel::new() }
    }

    pub(crate) const fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn insert(
        &mut self,
        allocation: u32,
        peer: PeerAddr,
        state: State,
        now: Moment,
        random: &mut dyn Rng,
    ) -> PeerConnection {
        // Limits keep the connections far below the 2^23 ids, so this ends soon.
        let id = loop {
            let id = self.worker.draw_id(random);
            if !self.by_id.contains_key(&id) {
                break id;
            }
        };
        let timeout = match state {
            State::Connecting(_) => Some(CONNECT_TIMEOUT),
            State::Unbound { .. } => Some(BIND_TIMEOUT),
            State::Bound => None,
        };
        let slot = self.entries.insert(Connection { id, allocation, peer, state });
        self.by_id.insert(id, slot);
        if let Some(timeout) = timeout {
            self.timers.arm(slot, now.plus(timeout));
        }
        PeerConnection { slot, id }
    }

    pub(super) fn is_connecting(&self, connection: PeerConnection) -> bool {
        let entry = self.entries.get(connection.slot).filter(|entry| entry.id == connection.id);
        entry.is_some_and(|entry| matches!(entry.state, State::Connecting(_)))
    }

    /// Whom a connection leads to.
    pub(crate) fn peer(&self, connection: PeerConnection) -> Option<PeerAddr> {
        self.entries.get(connection.slot).filter(|entry| entry.id == connection.id).map(|entry| entry.peer)
    }

    /// The connection, unless its slot belongs to another by now.
    pub(crate) fn get_mut(&mut self, connection: PeerConnection) -> Option<&mut Connection> {
        self.entries.get_mut(connection.slot).filter(|entry| entry.id == connection.id)
    }

    pub(crate) fn find(&self, ConnectionId(id): ConnectionId) -> Option<(PeerConnection, &Connection)> {
        let slot = *self.by_id.get(&id)?;
        Some((PeerConnection { slot, id }, self.entries.get(slot)?))
    }

    /// A connection that stands waits for its ConnectionBind; the Connect request that asked for it, if one did.
    pub(super) fn stand(&mut self, connection: PeerConnection, now: Moment) -> Option<Box<Connecting>> {
        let until = now.plus(BIND_TIMEOUT);
        let entry = self.get_mut(connection)?;
        match std::mem::replace(&mut entry.state, State::Unbound { until }) {
            State::Connecting(asked) => {
                self.timers.arm(connection.slot, until);
                Some(asked)
            }
            earlier @ (State::Unbound { .. } | State::Bound) => {
                entry.state = earlier;
                None
            }
        }
    }

    /// The client has asked for it: it is timed no more.
    pub(crate) fn bind(&mut self, connection: PeerConnection) {
        if let Some(entry) = self.get_mut(connection) {
            entry.state = State::Bound;
            self.timers.disarm(connection.slot);
        }
    }

    pub(super) fn remove(&mut self, connection: PeerConnection) -> Option<Connection> {
        self.get_mut(connection)?;
        self.timers.disarm(connection.slot);
        self.by_id.remove(&connection.id);
        self.entries.remove(connection.slot)
    }

    /// A connection that took too long to stand or to be asked for; call until there is none.
    pub(super) fn pop_due(&mut self, now: Moment) -> Option<PeerConnection> {
        let slot = self.timers.pop_due(now)?;
        self.entries.get(slot).map(|entry| PeerConnection { slot, id: entry.id })
    }

    pub(crate) fn next_timeout(&self) -> Option<Moment> {
        self.timers.next()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_worker_is_named_by_its_connections_ids() {
        let mut random = StdRng::seed_from_u64(1);
        for number in [0, 1, 255, 511] {
            let worker = WorkerNumber::new(number).unwrap();
            for _ in 0..100 {
                assert_eq!(WorkerNumber::of_connection(ConnectionId(worker.draw_id(&mut random))), worker);
            }
        }
        assert_eq!(WorkerNumber::new(512), None);
    }

    #[test]
    fn ids_are_spread_and_never_given_twice_at_a_time() {
        let mut random = StdRng::seed_from_u64(1);
        let mut connections = Connections::new(WorkerNumber::FIRST, FixedState::default());
        let now = Moment::default();
        let peer = PeerAddr::new("192.0.2.1:80".parse().unwrap());
        let ids: HashSet<u32> =
            (0..5_000).map(|_| connections.insert(1, peer, State::Bound, now, &mut random).id).collect();
        assert_eq!(ids.len(), 5_000);
        assert!(ids.iter().any(|id| *id > (1 << 22)));
    }

    #[test]
    fn a_slot_that_is_used_again_is_another_connection() {
        let mut random = StdRng::seed_from_u64(1);
        let mut connections = Connections::new(WorkerNumber::FIRST, FixedState::default());
        let peer = PeerAddr::new("192.0.2.1:80".parse().unwrap());
        let mut insert = || connections.insert(1, peer, State::Bound, Moment::default(), &mut random);
        let first = insert();
        assert!(connections.remove(first).is_some());
        let second = connections.insert(2, peer, State::Bound, Moment::default(), &mut random);
        assert_eq!(first.slot, second.slot);
        assert!(connections.get_mut(first).is_none());
        assert!(connections.remove(first).is_none());
        assert!(connections.get_mut(second).is_some());
    }
}
