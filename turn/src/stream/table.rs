//! A worker's connections: who is let in, under which number, and for how long.

use std::net::SocketAddr;

use causeway_protocol::Moment;
use causeway_turn_core::{ClientAddr, ListenerId, SessionId};
use mio::net::TcpStream;
use mio::{Registry, Token};

use crate::io::tcp;
use crate::stream::connection::{Accepted, Connection, Fill};
use crate::stream::counters::{CloseReason, RefusalReason, StreamCounters};
use crate::stream::frames::{self, LONGEST_FRAME};
use crate::stream::limits::StreamLimits;
use crate::stream::queue::{Full, Load};

/// Bytes read at once, besides the beginning of a frame: fourteen datagrams of usual size. A guess.
const READ: usize = 16 << 10;

/// Room for what one [`Streams::receive`] brings.
pub(crate) const CHUNK: usize = LONGEST_FRAME + READ;

/// What one look at a connection brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// So many bytes of this client, and possibly more in the kernel.
    Bytes(ClientAddr, usize),
    /// Nothing for now, or the connection is at its end.
    Nothing,
    /// Nothing yet, and there is more to look at.
    Later,
}

/// One worker's connections. A session's number is its place here.
pub(crate) struct Streams {
    limits: StreamLimits,
    accepted: Accepted,
    places: Vec<Option<Connection>>,
    free: Vec<u32>,
    half_open: usize,
    /// Connections with something queued since the last flush.
    dirty: Vec<u32>,
    /// Connections that are at their end, until the worker has told the core.
    ending: Vec<(u32, CloseReason)>,
    counters: StreamCounters,
}

impl Streams {
    pub(crate) fn new(limits: StreamLimits, accepted: Accepted) -> Self {
        Self {
            accepted,
            limits,
            places: Vec::new(),
            free: Vec::new(),
            half_open: 0,
            dirty: Vec::new(),
            ending: Vec::new(),
            counters: StreamCounters::default(),
        }
    }

    pub(crate) fn counters(&self) -> &StreamCounters {
        &self.counters
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.len() == self.free.len()
    }

    /// Counts a connection that could not even be accepted.
    pub(crate) fn count_refusal(&mut self, reason: RefusalReason) {
        self.counters.refused.count(reason);
    }

    /// Takes a new connection, or closes it. `token` names a session's token.
    pub(crate) fn admit(
        &mut self,
        socket: TcpStream,
        source: SocketAddr,
        listener: ListenerId,
        registry: &Registry,
        token: impl FnOnce(SessionId) -> Token,
        now: Moment,
    ) {
        if self.places.len() - self.free.len() >= self.limits.connections {
            return self.count_refusal(RefusalReason::TooMany);
        }
        if self.half_open >= self.limits.half_open {
            return self.count_refusal(RefusalReason::TooManyHalfOpen);
        }
        let place = if self.accepted.proxies.contains(source.ip()) {
            None
        } else {
            let Some(place) = self.accepted.sources.enter(source.ip()) else {
                return self.count_refusal(RefusalReason::TooManyOfSource);
            };
            Some(place)
        };
        if tcp::prepare(&socket).is_err() {
            return self.count_refusal(RefusalReason::Other);
        }
        let connection = Connection::new(socket, source, listener, self.limits.write_queue, place, now);
        if self.adopt(connection, registry, token).is_none() {
            self.count_refusal(RefusalReason::Other);
        }
    }

    /// Takes a connection, new or another worker's, and gives it a number; `None` if the poll has no room.
    pub(crate) fn adopt(
        &mut self,
        mut connection: Connection,
        registry: &Registry,
        token: impl FnOnce(SessionId) -> Token,
    ) -> Option<SessionId> {
        let slot = self.free.last().copied().or_else(|| u32::try_from(self.places.len()).ok())?;
        connection.register(registry, token(SessionId(slot))).ok()?;
        self.half_open += usize::from(!connection.authenticated);
        self.counters.alive.count(connection.carried());
        if self.free.pop().is_some() {
            if let Some(place) = self.places.get_mut(slot as usize) {
                *place = Some(connection);
            }
        } else {
            self.places.push(Some(connection));
        }
        Some(SessionId(slot))
    }

    /// Takes a connection out, for another purpose or another worker. Its allocation, if it has one, is the caller's
    /// business.
    pub(crate) fn take(&mut self, SessionId(slot): SessionId, registry: &Registry) -> Option<Connection> {
        let mut connection = self.remove(slot)?;
        // A poll that does not know the socket any more has nothing to forget.
        let _ = connection.deregister(registry);
        connection.unseen = true;
        self.counters.closed.count(CloseReason::HandedOn);
        Some(connection)
    }

    /// Reads from a connection into `buffer`, which has [`CHUNK`] bytes.
    pub(crate) fn receive(&mut self, slot: u32, now: Moment, buffer: &mut [u8]) -> Chunk {
        let Some(connection) = self.places.get_mut(slot as usize).and_then(Option::as_mut) else {
            return Chunk::Nothing;
        };
        let (carried_before, waited) = (connection.carried(), connection.waits());
        let received = connection.receive(buffer, &self.accepted);
        let carried = connection.carried();
        if carried != carried_before {
            self.counters.alive.leave(carried_before);
            self.counters.alive.count(carried);
            self.counters.accepted.count(carried);
        }
        // A handshake answers by itself.
        if connection.waits() && !waited {
            self.dirty.push(slot);
        }
        match received {
            Ok(Fill::Bytes(length)) => {
                connection.last_heard = now;
                Chunk::Bytes(connection.client(SessionId(slot)), length)
            }
            Ok(Fill::Blocked) => Chunk::Nothing,
            Ok(Fill::Later) => Chunk::Later,
            Err(reason) => {
                self.end(slot, reason);
                Chunk::Nothing
            }
        }
    }

    /// The longest frame that a connection may send now.
    pub(crate) fn longest_frame(&self, slot: u32) -> usize {
        self.connection(slot).map_or(frames::BEFORE_ALLOCATION, Connection::longest_frame)
    }

    /// Whether another worker handed this connection over.
    pub(crate) fn is_handed_over(&self, slot: u32) -> bool {
        self.connection(slot).is_some_and(|connection| connection.handed_over)
    }

    /// Keeps what is left of a chunk, the beginning of a frame.
    pub(crate) fn keep(&mut self, slot: u32, rest: &[u8]) {
        if let Some(connection) = self.places.get_mut(slot as usize).and_then(Option::as_mut) {
            connection.keep(rest);
        }
    }

    /// Queues something for a client. Data that finds the queue full gets a second chance after the kernel was
    /// offered what waits.
    pub(crate) fn push(
        &mut self,
        session: SessionId,
        source: SocketAddr,
        parts: [&[u8]; 3],
        load: Load,
    ) -> Result<(), PushError> {
        let SessionId(slot) = session;
        let Some(connection) = self.places.get_mut(slot as usize).and_then(Option::as_mut) else {
            return Err(PushError::Closed);
        };
        if connection.client(session).source != source {
            return Err(PushError::Closed);
        }
        if !connection.waits() {
            self.dirty.push(slot);
        }
        let pushed = connection.push(parts, load).or_else(|Full| {
            self.dirty.push(slot);
            // A socket that breaks here breaks again at the next flush, which ends it.
            let _ = connection.flush();
            connection.push(parts, load)
        });
        match (pushed, load) {
            (Ok(()), _) => Ok(()),
            (Err(Full), Load::Relayed) => Err(PushError::Full),
            (Err(Full), Load::Answer) => {
                self.end(slot, CloseReason::QueueFull);
                Err(PushError::Full)
            }
        }
    }

    /// The kernel has room again, or may have.
    pub(crate) fn on_writable(&mut self, slot: u32) {
        if self.connection(slot).is_some_and(Connection::waits) {
            self.dirty.push(slot);
        }
    }

    /// Sends what was queued.
    pub(crate) fn flush(&mut self) {
        while let Some(slot) = self.dirty.pop() {
            if let Some(connection) = self.places.get_mut(slot as usize).and_then(Option::as_mut)
                && let Err(reason) = connection.flush()
            {
                self.end(slot, reason);
            }
        }
    }

    /// A client got an allocation: it is no stranger any more.
    pub(crate) fn on_allocation(&mut self, SessionId(slot): SessionId) {
        if let Some(connection) = self.places.get_mut(slot as usize).and_then(Option::as_mut)
            && !std::mem::replace(&mut connection.authenticated, true)
        {
            self.half_open = self.half_open.saturating_sub(1);
        }
    }

    /// Ends a connection. It stays until the worker has [told the core](Self::pop_ended), and does nothing more.
    pub(crate) fn end(&mut self, slot: u32, reason: CloseReason) {
        if self.connection(slot).is_some() && !self.is_ending(slot) {
            self.ending.push((slot, reason));
        }
    }

    pub(crate) fn is_ending(&self, slot: u32) -> bool {
        self.ending.iter().any(|(ending, _)| *ending == slot)
    }

    /// Closes the next connection that is at its end, and says whose it was.
    pub(crate) fn pop_ended(&mut self) -> Option<ClientAddr> {
        let (slot, reason) = self.ending.pop()?;
        let mut connection = self.remove(slot)?;
        connection.close();
        self.counters.closed.count(reason);
        if let Some(failure) = connection.tls_failure() {
            self.counters.tls_failures.count(failure);
        }
        Some(connection.client(SessionId(slot)))
    }

    /// Ends what took too long. Called about once a second; `has_allocation` asks the core.
    pub(crate) fn sweep(&mut self, now: Moment, has_allocation: impl Fn(ClientAddr) -> bool) {
        let limits = self.limits;
        for (slot, connection) in (0..).zip(&mut self.places) {
            let Some(connection) = connection else { continue };
            connection.release_memory();
            if let Some(reason) = overdue(connection, SessionId(slot), &limits, now, &has_allocation)
                && !self.ending.iter().any(|(ending, _)| *ending == slot)
            {
                self.ending.push((slot, reason));
            }
        }
    }

    fn connection(&self, slot: u32) -> Option<&Connection> {
        self.places.get(slot as usize)?.as_ref()
    }

    fn remove(&mut self, slot: u32) -> Option<Connection> {
        let connection = self.places.get_mut(slot as usize)?.take()?;
        self.free.push(slot);
        self.counters.alive.leave(connection.carried());
        if !connection.authenticated {
            self.half_open = self.half_open.saturating_sub(1);
        }
        Some(connection)
    }
}

/// Why something was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PushError {
    /// The connection is gone.
    Closed,
    /// The client reads too slowly.
    Full,
}

fn overdue(
    connection: &mut Connection,
    session: SessionId,
    limits: &StreamLimits,
    now: Moment,
    has_allocation: impl Fn(ClientAddr) -> bool,
) -> Option<CloseReason> {
    let moved = std::mem::replace(&mut connection.moved, false);
    if moved || !connection.waits() {
        connection.stuck_since = None;
    } else {
        let since = *connection.stuck_since.get_or_insert(now);
        if now.since(since) >= limits.stalled {
            return Some(CloseReason::Stalled);
        }
    }
    if now.since(connection.since) >= limits.handshake
        && let Some(reason) = connection.handshake_is_late()
    {
        return Some(reason);
    }
    if !connection.authenticated {
        return (now.since(connection.since) >= limits.authentication)
            .then_some(CloseReason::NotAuthenticated);
    }
    let silent = now.since(connection.last_heard) >= limits.idle;
    (silent && !has_allocation(connection.client(session))).then_some(CloseReason::Idle)
}
