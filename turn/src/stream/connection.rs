//! One client's connection: its socket, what it carries, and what waits in both directions.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use causeway_protocol::Moment;
use causeway_turn_core::{ClientAddr, ListenerId, SessionId, Via};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};

use crate::stream::counters::{Carried, CloseReason};
use crate::stream::queue::{Full, Load, Queue};
use crate::stream::sources::Place;

/// RFC 8446 §5.1: the content type of a handshake record, TLS's first byte.
const TLS_HANDSHAKE: u8 = 0x16;

/// A connection. It refers to nothing of the worker that serves it: deregistered and sent to another thread, it can
/// be registered there.
pub(crate) struct Connection {
    socket: TcpStream,
    source: SocketAddr,
    listener: ListenerId,
    carrier: Carrier,
    /// The beginning of a frame whose rest is awaited.
    unread: Vec<u8>,
    queue: Queue,
    pub(crate) since: Moment,
    pub(crate) last_heard: Moment,
    /// Since when what waits has not moved, as far as was looked.
    pub(crate) stuck_since: Option<Moment>,
    /// Something was sent since the last look.
    pub(crate) moved: bool,
    /// It has had an allocation.
    pub(crate) authenticated: bool,
    _place: Place,
}

/// What is between the socket and the frames.
enum Carrier {
    /// Nothing has come yet.
    Undecided,
    Tcp,
}

/// Which transports a worker takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted {
    pub(crate) tcp: bool,
}

/// What one look at a socket brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now: the kernel tells when there is more.
    Blocked,
}

impl Connection {
    /// A connection that was accepted just now.
    pub(crate) fn new(
        socket: TcpStream,
        source: SocketAddr,
        listener: ListenerId,
        high_water: usize,
        place: Place,
        now: Moment,
    ) -> Self {
        Self {
            socket,
            source,
            listener,
            carrier: Carrier::Undecided,
            unread: Vec::new(),
            queue: Queue::new(high_water),
            since: now,
            last_heard: now,
            stuck_since: None,
            moved: false,
            authenticated: false,
            _place: place,
        }
    }

    /// The client, as the core knows it.
    pub(crate) fn client(&self, session: SessionId) -> ClientAddr {
        let via = match self.carrier {
            Carrier::Undecided | Carrier::Tcp => Via::Tcp(session),
        };
        ClientAddr { source: self.source, listener: self.listener, via }
    }

    pub(crate) fn carried(&self) -> Carried {
        match self.carrier {
            Carrier::Undecided => Carried::Undecided,
            Carrier::Tcp => Carried::Tcp,
        }
    }

    /// Asks a poll to watch the socket under `token`, reading and writing.
    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        registry.register(&mut self.socket, token, Interest::READABLE | Interest::WRITABLE)
    }

    /// Takes the socket from the poll it was registered with.
    pub(crate) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.socket)
    }

    /// Puts what is left of earlier bytes and what the client sent into `buffer`.
    pub(crate) fn receive(&mut self, buffer: &mut [u8], accepted: &Accepted) -> Result<Fill, CloseReason> {
        let kept = self.unread.len();
        let Some(room) = buffer.get_mut(kept..).filter(|room| !room.is_empty()) else {
            return Err(CloseReason::FrameTooLong);
        };
        let read = match self.fill(room, accepted)? {
            Fill::Bytes(read) => read,
            Fill::Blocked => return Ok(Fill::Blocked),
        };
        if let Some(front) = buffer.get_mut(..kept) {
            front.copy_from_slice(&self.unread);
        }
        self.unread.clear();
        Ok(Fill::Bytes(kept + read))
    }

    /// Keeps the beginning of a frame for the next [`receive`](Self::receive).
    pub(crate) fn keep(&mut self, rest: &[u8]) {
        self.unread.extend_from_slice(rest);
    }

    /// Reads from the socket, through what is on top of it.
    fn fill(&mut self, room: &mut [u8], accepted: &Accepted) -> Result<Fill, CloseReason> {
        match self.carrier {
            Carrier::Undecided => {
                let filled = read(&mut self.socket, room)?;
                if let (Fill::Bytes(_), Some(first)) = (filled, room.first()) {
                    if *first == TLS_HANDSHAKE || !accepted.tcp {
                        return Err(CloseReason::TransportOff);
                    }
                    self.carrier = Carrier::Tcp;
                }
                Ok(filled)
            }
            Carrier::Tcp => read(&mut self.socket, room),
        }
    }

    /// Queues something for the client; [`flush`](Self::flush) sends it.
    pub(crate) fn push(&mut self, parts: [&[u8]; 3], load: Load) -> Result<(), Full> {
        self.queue.push(parts, load)
    }

    /// Whether something waits to be sent.
    pub(crate) fn waits(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Sends as much as the kernel takes.
    pub(crate) fn flush(&mut self) -> Result<(), CloseReason> {
        while !self.queue.is_empty() {
            match self.socket.write_vectored(&self.queue.front()) {
                Ok(sent) => {
                    self.queue.consume(sent);
                    self.moved = true;
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Ok(()),
                    io::ErrorKind::Interrupted => {}
                    _ => return Err(CloseReason::Broken),
                },
            }
        }
        Ok(())
    }

    /// Gives back memory that nothing needs at the moment.
    pub(crate) fn release_memory(&mut self) {
        self.queue.release();
        if self.unread.is_empty() {
            self.unread = Vec::new();
        }
    }
}

fn read(socket: &mut TcpStream, room: &mut [u8]) -> Result<Fill, CloseReason> {
    loop {
        match socket.read(room) {
            Ok(0) => return Err(CloseReason::Client),
            Ok(count) => return Ok(Fill::Bytes(count)),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => return Ok(Fill::Blocked),
                io::ErrorKind::Interrupted => {}
                _ => return Err(CloseReason::Broken),
            },
        }
    }
}
