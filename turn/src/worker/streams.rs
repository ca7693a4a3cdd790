//! A worker's turn with its connections: accepting, reading frames, and closing.

use std::io;
use std::time::Duration;

use causeway_protocol::{Moment, Now};
use causeway_turn_core::{ClientAddr, ListenerId, SessionId};
use rustix::io::Errno;

use super::{METRICS_EVERY, Running};
use crate::handover::Full;
use crate::io::call::SendFailure;
use crate::io::ready::ReadyList;
use crate::io::sockets::SocketKey;
use crate::stream::{CHUNK, Chunk, Connection, RefusalReason, next_frame};

/// Connections accepted in one turn: the handshakes of strangers do not hold up those who are in. A guess.
const ACCEPT_BUDGET: usize = 32;
/// Chunks of connections before datagrams get their turn.
const STREAM_BUDGET: usize = 16;
/// How often connections are looked over for what took too long. Limits are in seconds.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// What a worker keeps about connections between its turns.
pub(super) struct StreamWork {
    pub(super) acceptors: ReadyList,
    pub(super) ready: ReadyList,
    /// Where chunks are read to, [`CHUNK`] bytes.
    chunk: Box<[u8]>,
    /// Listeners whose connections had to stay with the kernel.
    starved: Vec<ListenerId>,
    /// When connections are looked over next; `None` while there are none.
    sweep_due: Option<Moment>,
}

impl StreamWork {
    pub(super) fn new() -> Self {
        Self {
            acceptors: ReadyList::default(),
            ready: ReadyList::default(),
            chunk: vec![0; CHUNK].into_boxed_slice(),
            starved: Vec::new(),
            sweep_due: None,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.acceptors.is_empty() && self.ready.is_empty()
    }

    pub(super) fn due(&self) -> Option<Moment> {
        self.sweep_due
    }
}

impl Running {
    /// Accepts what waits, within a budget.
    pub(super) fn accept(&mut self, now: Now) {
        for _ in 0..ACCEPT_BUDGET {
            let Some(index) = self.streams.acceptors.pop() else { return };
            let Ok(index) = u16::try_from(index) else { continue };
            let listener = ListenerId(index);
            self.metrics_due.get_or_insert(now.moment.plus(METRICS_EVERY));
            match self.worker.sockets.accept(listener, now.moment) {
                Ok(()) => self.streams.acceptors.push(index.into()),
                Err(error) => self.on_accept_error(listener, &error),
            }
            self.streams.sweep_due.get_or_insert(now.moment.plus(SWEEP_EVERY));
        }
    }

    fn on_accept_error(&mut self, listener: ListenerId, error: &io::Error) {
        if error.kind() == io::ErrorKind::WouldBlock {
            return;
        }
        let streams = &mut self.worker.sockets.streams;
        match Errno::from_io_error(error) {
            // The kernel tells about waiting connections once; trying again at once would only spin.
            Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => {
                streams.count_refusal(RefusalReason::OutOfFiles);
                self.streams.starved.push(listener);
            }
            // accept(2): errors of a connection that is already gone are to be passed over.
            Some(_) | None => {
                streams.count_refusal(RefusalReason::Other);
                self.streams.acceptors.push(listener.0.into());
            }
        }
    }

    /// Reads connections, within a budget.
    pub(super) fn read_streams(&mut self, now: Now) {
        for _ in 0..STREAM_BUDGET {
            let Some(slot) = self.streams.ready.pop() else { return };
            if let Ok(slot) = u32::try_from(slot) {
                self.read_stream(now, slot);
            }
        }
    }

    /// Reads one chunk and gives its frames to the core.
    fn read_stream(&mut self, now: Now, slot: u32) {
        let mut chunk = std::mem::take(&mut self.streams.chunk);
        match self.worker.sockets.streams.receive(slot, now.moment, &mut chunk) {
            Chunk::Bytes(from, length) => {
                self.streams.ready.push(slot as usize);
                self.take_frames(now, slot, from, chunk.get(..length).unwrap_or_default());
            }
            Chunk::Later => self.streams.ready.push(slot as usize),
            Chunk::Nothing => {}
        }
        self.streams.chunk = chunk;
    }

    fn take_frames(&mut self, now: Now, slot: u32, from: ClientAddr, mut stream: &[u8]) {
        while let Some((frame, behind)) = self.next_frame(slot, stream) {
            if let Some(owner) = self.stream_owner(now, slot, from, frame) {
                self.worker.sockets.streams.keep(slot, stream);
                self.hand_over(owner, slot);
                return;
            }
            stream = behind;
            self.make_room();
            let Some(room) = self.arena.room().and_then(|room| room.get_mut(..frame.len())) else { break };
            room.copy_from_slice(frame);
            let verdict = self.worker.relay.on_client(now, from, room);
            self.conclude_room(now, verdict, frame.len());
            if self.tcp_relay.is_ordered() {
                break;
            }
        }
        self.worker.sockets.streams.keep(slot, stream);
        self.splice_ordered(now);
    }

    /// The worker that has what this frame asks for, if it is another one and may have the connection: a connection
    /// moves once, and not while an allocation here lives on it.
    fn stream_owner(&self, now: Now, slot: u32, from: ClientAddr, frame: &[u8]) -> Option<usize> {
        let owner = self.worker.handover.stream_owner(now, frame)?;
        let stays = self.worker.sockets.streams.is_handed_over(slot) || self.worker.relay.serves(from);
        (!stays).then_some(owner)
    }

    /// Gives a connection with all that has not been looked at to another worker. If that has too much to do, the
    /// connection is closed.
    fn hand_over(&mut self, owner: usize, slot: u32) {
        // Answers that wait go with it; planned sends name the session here.
        self.flush();
        let Some(mut connection) = self.worker.sockets.take_stream(SessionId(slot)) else { return };
        connection.handed_over = true;
        if self.worker.handover.hand_over(owner, connection) == Err(Full) {
            self.outbox.count_failure(SendFailure::HandoverFull);
        }
    }

    /// Serves a connection that reached another worker, from what it has read on.
    pub(super) fn take_over(&mut self, now: Now, connection: Connection) {
        if let Some(SessionId(slot)) = self.worker.sockets.adopt_stream(connection) {
            self.streams.ready.push(slot as usize);
            self.streams.sweep_due.get_or_insert(now.moment.plus(SWEEP_EVERY));
        }
    }

    /// The first frame of `stream` and what is behind it; `None` until more has come, or once the connection is at
    /// its end.
    fn next_frame<'a>(&mut self, slot: u32, stream: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let streams = &mut self.worker.sockets.streams;
        if streams.is_ending(slot) {
            return None;
        }
        match next_frame(stream, streams.longest_frame(slot)) {
            Ok(next) => next,
            Err(reason) => {
                streams.end(slot, reason);
                None
            }
        }
    }

    /// Looks for connections that took too long, and closes those at their end.
    pub(super) fn tend_streams(&mut self, now: Now) {
        if self.streams.sweep_due.is_some_and(|due| due <= now.moment) {
            let relay = &self.worker.relay;
            let streams = &mut self.worker.sockets.streams;
            streams.sweep(now.moment, |client| relay.serves(client));
            for listener in self.streams.starved.drain(..) {
                self.streams.acceptors.push(listener.0.into());
            }
            let more = !streams.is_empty() || !self.streams.acceptors.is_empty();
            self.streams.sweep_due = more.then(|| now.moment.plus(SWEEP_EVERY));
        }
        // Planned sends name sessions, whose numbers are free after this.
        self.flush();
        while let Some(client) = self.worker.sockets.streams.pop_ended() {
            self.metrics_due.get_or_insert(now.moment.plus(METRICS_EVERY));
            self.worker.relay.on_session_closed(client);
            self.perform(now);
        }
    }

    /// A connection can be read or written.
    pub(super) fn on_stream_ready(&mut self, key: SocketKey) {
        match key {
            SocketKey::Stream(slot) => {
                self.worker.sockets.streams.on_writable(slot);
                self.streams.ready.push(slot as usize);
            }
            SocketKey::Acceptor(listener) => self.streams.acceptors.push(listener.0.into()),
            SocketKey::Client(_)
            | SocketKey::Relay(_)
            | SocketKey::RelayAcceptor(_)
            | SocketKey::Peer(_)
            | SocketKey::DataConnection(_) => {}
        }
    }
}
