//! One client's connection: its socket, what it carries, and what waits in both directions.

use std::io::{self, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use causeway_protocol::Moment;
use causeway_turn_core::{ClientAddr, ListenerId, SessionId, Via};
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use rustls::ServerConfig;

use crate::proxied::Proxies;
use crate::proxy::{self, Front, Origin};
use crate::stream::counters::{Carried, CloseReason};
use crate::stream::frames;
use crate::stream::queue::{Full, Load, Queue};
use crate::stream::sources::{Place, Sources};
use crate::stream::tls::{Tls, TlsFailure};

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
    /// What is unread may hold a whole frame, or is for a peer: it has not been looked at here.
    pub(crate) unseen: bool,
    /// Another worker handed it over, which happens once.
    pub(crate) handed_over: bool,
    /// It has had an allocation.
    pub(crate) authenticated: bool,
    /// `None`: a proxy's own, which has no place among clients.
    place: Option<Place>,
}

/// What is between the socket and the frames.
enum Carrier {
    /// It comes from a proxy, which is to say first whose it is.
    Proxy,
    /// Nothing has come yet.
    Undecided,
    Tcp,
    Tls(Tls),
}

/// Which transports a worker takes.
pub(crate) struct Accepted {
    pub(crate) tcp: bool,
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// Whose connections begin with a header of the PROXY protocol.
    pub(crate) proxies: Proxies,
    pub(crate) sources: Arc<Sources>,
}

/// What one look at a socket brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fill {
    /// So many bytes.
    Bytes(usize),
    /// Nothing for now: the kernel tells when there is more.
    Blocked,
    /// Nothing yet, and there is more to look at.
    Later,
}

impl Connection {
    /// A connection that was accepted just now; without a place it is a proxy's.
    pub(crate) fn new(
        socket: TcpStream,
        source: SocketAddr,
        listener: ListenerId,
        high_water: usize,
        place: Option<Place>,
        now: Moment,
    ) -> Self {
        Self {
            socket,
            source,
            listener,
            carrier: if place.is_some() { Carrier::Undecided } else { Carrier::Proxy },
            unread: Vec::new(),
            queue: Queue::new(high_water),
            since: now,
            last_heard: now,
            stuck_since: None,
            moved: false,
            unseen: false,
            handed_over: false,
            authenticated: false,
            place,
        }
    }

    /// The client, as the core knows it.
    pub(crate) fn client(&self, session: SessionId) -> ClientAddr {
        let via = match self.carrier {
            Carrier::Proxy | Carrier::Undecided | Carrier::Tcp => Via::Tcp(session),
            Carrier::Tls(_) => Via::Tls(session),
        };
        ClientAddr { source: self.source, listener: self.listener, via }
    }

    pub(crate) fn carried(&self) -> Carried {
        match self.carrier {
            Carrier::Proxy | Carrier::Undecided => Carried::Undecided,
            Carrier::Tcp => Carried::Tcp,
            Carrier::Tls(_) => Carried::Tls,
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
        if std::mem::take(&mut self.unseen) && kept > 0 {
            buffer.get_mut(..kept).unwrap_or_default().copy_from_slice(&self.unread);
            self.unread.clear();
            return Ok(Fill::Bytes(kept));
        }
        let read = match self.fill(room, accepted)? {
            Fill::Bytes(read) => read,
            nothing @ (Fill::Blocked | Fill::Later) => return Ok(nothing),
        };
        if let Some(front) = buffer.get_mut(..kept) {
            front.copy_from_slice(&self.unread);
        }
        self.unread.clear();
        match self.carrier {
            Carrier::Proxy => self.unwrap(buffer, kept + read, accepted),
            Carrier::Undecided | Carrier::Tcp | Carrier::Tls(_) => Ok(Fill::Bytes(kept + read)),
        }
    }

    /// Takes the header of the PROXY protocol from the front of the `length` bytes in `buffer`.
    fn unwrap(&mut self, buffer: &mut [u8], length: usize, accepted: &Accepted) -> Result<Fill, CloseReason> {
        let stream = buffer.get(..length).unwrap_or_default();
        let (header, origin) =
            match proxy::parse(stream).map_err(|proxy::NoHeader| CloseReason::NoProxyHeader)? {
                Front::Incomplete => {
                    self.unread.extend_from_slice(stream);
                    return Ok(Fill::Later);
                }
                Front::Header(header, origin) => (header, origin),
            };
        self.carrier = Carrier::Undecided;
        match origin {
            Origin::Client(client) => {
                self.source = client;
                let place = accepted.sources.enter(client.ip()).ok_or(CloseReason::TooManyOfSource)?;
                self.place = Some(place);
            }
            Origin::Proxy => {}
        }
        buffer.copy_within(header..length, 0);
        match buffer.get(..length - header) {
            Some(first) if !first.is_empty() => self.decide(first, accepted),
            Some(_) | None => Ok(Fill::Later),
        }
    }

    /// Puts what the client sent into `buffer`, whatever it is: what was read before first.
    pub(crate) fn receive_raw(&mut self, buffer: &mut [u8]) -> Result<Fill, CloseReason> {
        if self.unread.is_empty() {
            return match &mut self.carrier {
                Carrier::Proxy | Carrier::Undecided => Ok(Fill::Blocked),
                Carrier::Tcp => read(&mut self.socket, buffer),
                Carrier::Tls(tls) => tls.read(&mut self.socket, buffer),
            };
        }
        let count = self.unread.len().min(buffer.len());
        let (front, _) = self.unread.split_at(count);
        buffer.get_mut(..count).unwrap_or_default().copy_from_slice(front);
        self.unread.drain(..count);
        Ok(Fill::Bytes(count))
    }

    /// Tells the client that nothing more comes.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.close();
        self.socket.shutdown(std::net::Shutdown::Write)
    }

    /// The longest frame that the client may send now.
    pub(crate) const fn longest_frame(&self) -> usize {
        if self.authenticated { frames::LONGEST_FRAME } else { frames::BEFORE_ALLOCATION }
    }

    /// How much is kept of what came.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn kept(&self) -> usize {
        self.unread.len()
    }

    /// How much waits for the kernel, outside of TLS.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn queued(&self) -> usize {
        self.queue.front().iter().map(|piece| piece.len()).sum()
    }

    /// Whether what comes is encrypted.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn is_tls(&self) -> bool {
        matches!(self.carrier, Carrier::Tls(_))
    }

    /// Keeps the beginning of a frame for the next [`receive`](Self::receive).
    pub(crate) fn keep(&mut self, rest: &[u8]) {
        self.unread.extend_from_slice(rest);
    }

    /// Reads from the socket, through what is on top of it.
    fn fill(&mut self, room: &mut [u8], accepted: &Accepted) -> Result<Fill, CloseReason> {
        match &mut self.carrier {
            Carrier::Undecided => {
                let Fill::Bytes(count) = read(&mut self.socket, room)? else { return Ok(Fill::Blocked) };
                self.decide(room.get(..count).unwrap_or_default(), accepted)
            }
            Carrier::Proxy | Carrier::Tcp => read(&mut self.socket, room),
            Carrier::Tls(tls) => tls.read(&mut self.socket, room),
        }
    }

    /// The first bytes tell what the connection carries.
    fn decide(&mut self, first: &[u8], accepted: &Accepted) -> Result<Fill, CloseReason> {
        if first.first() != Some(&TLS_HANDSHAKE) {
            self.carrier = Carrier::Tcp;
            return if accepted.tcp { Ok(Fill::Bytes(first.len())) } else { Err(CloseReason::TransportOff) };
        }
        let config = accepted.tls.as_ref().ok_or(CloseReason::TransportOff)?;
        let mut tls = Tls::new(config)?;
        let begun = tls.begin(first, &mut self.socket);
        // Kept even if it failed: it knows why.
        self.carrier = Carrier::Tls(tls);
        begun.map(|()| Fill::Later)
    }

    /// Queues something for the client; [`flush`](Self::flush) sends it.
    pub(crate) fn push(&mut self, parts: [&[u8]; 3], load: Load) -> Result<(), Full> {
        self.queue.push(parts, load)
    }

    /// Whether something waits to be sent.
    pub(crate) fn waits(&self) -> bool {
        let of_carrier = match &self.carrier {
            Carrier::Proxy | Carrier::Undecided | Carrier::Tcp => false,
            Carrier::Tls(tls) => tls.waits(),
        };
        of_carrier || !self.queue.is_empty()
    }

    /// Sends as much as the kernel takes.
    pub(crate) fn flush(&mut self) -> Result<(), CloseReason> {
        self.moved |= match &mut self.carrier {
            Carrier::Proxy | Carrier::Undecided | Carrier::Tcp => write(&mut self.socket, &mut self.queue)?,
            Carrier::Tls(tls) => tls.flush(&mut self.socket, &mut self.queue)?,
        };
        Ok(())
    }

    /// Its handshake is taking too long, if it has one that goes on: the reason to close it.
    pub(crate) fn handshake_is_late(&mut self) -> Option<CloseReason> {
        match &mut self.carrier {
            Carrier::Tls(tls) if tls.is_handshaking() => Some(tls.fail(TlsFailure::TimedOut)),
            Carrier::Proxy | Carrier::Undecided | Carrier::Tcp | Carrier::Tls(_) => None,
        }
    }

    /// Why TLS failed, if it did.
    pub(crate) fn tls_failure(&self) -> Option<TlsFailure> {
        match &self.carrier {
            Carrier::Proxy | Carrier::Undecided | Carrier::Tcp => None,
            Carrier::Tls(tls) => tls.failure(),
        }
    }

    /// Says goodbye before the connection is dropped.
    pub(crate) fn close(&mut self) {
        match &mut self.carrier {
            Carrier::Proxy | Carrier::Undecided | Carrier::Tcp => {}
            Carrier::Tls(tls) => tls.close(&mut self.socket),
        }
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

/// Sends as much of `queue` as the kernel takes, and says whether anything moved.
fn write(socket: &mut TcpStream, queue: &mut Queue) -> Result<bool, CloseReason> {
    let mut moved = false;
    while !queue.is_empty() {
        match socket.write_vectored(&queue.front().map(IoSlice::new)) {
            Ok(sent) => {
                queue.consume(sent);
                moved = true;
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => break,
                io::ErrorKind::Interrupted => {}
                _ => return Err(CloseReason::Broken),
            },
        }
    }
    Ok(moved)
}
