//! The one place that sends. Sends are planned while datagrams are read and leave together.
//!
//! A send is header, payload and padding as an I/O vector: the payload stays where it was received. When a
//! socket's buffer is full (`EAGAIN`) the datagram is dropped and counted: a relay that queued it would only hide
//! the congestion from the two ends, which have to react to it. Streams have short queues, since a frame cannot be
//! sent in part: see [`crate::stream`].

use std::io::{self, IoSlice};
use std::ops::Range;

use causeway_turn_core::{ClientAddr, Header, PeerAddr, RelayPort, Via};
use rustix::io::Errno;
use socket2::{SockAddr, SockRef};

use crate::dtls::DtlsSessions;
use crate::io::arena::Arena;
use crate::io::sockets::{Sockets, is_of_an_earlier_one};
use crate::io::udp::Fragmentation;
use crate::labels::{labels, tally};
use crate::stream::{Load, PushError};

/// Sends that are planned before they leave: as many datagrams as an arena holds, roughly.
const PLANNED: usize = 256;

labels! {
    /// Why a datagram did not leave. The names are the values of a metric's label.
    SendFailure {
        /// The socket's or the device's buffer is full (`EAGAIN`, `ENOBUFS`, `ENOMEM`).
        BufferFull = "buffer_full",
        /// Larger than the path allows with DF set, or than UDP carries (`EMSGSIZE`).
        TooLarge = "too_large",
        /// No route, or the destination said that nobody is there.
        Unreachable = "unreachable",
        /// A firewall rule or a broadcast address (`EPERM`, `EACCES`).
        Forbidden = "forbidden",
        /// The socket has been closed since the send was planned.
        Closed = "closed",
        /// A client over TCP or TLS reads too slowly: its queue is full.
        QueueFull = "queue_full",
        /// The client's allocation is another worker's, and that worker's queue is full.
        HandoverFull = "handover_full",
        /// Anything else the kernel said.
        Other = "other",
    }
}

tally! {
    /// Failures so far, by reason.
    SendFailures of SendFailure
}

enum Planned {
    ToPeer { on: RelayPort, to: PeerAddr, payload: Range<usize>, fragmentation: Fragmentation },
    ToClient { to: ClientAddr, header: Header, payload: Range<usize>, padding: u8 },
}

/// Sends that wait for the end of a pass.
pub(crate) struct Outbox {
    planned: Vec<Planned>,
    failures: SendFailures,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self { planned: Vec::with_capacity(PLANNED), failures: SendFailures::default() }
    }

    /// No further send can be planned before a [`flush`](Self::flush).
    pub(crate) fn is_full(&self) -> bool {
        self.planned.len() >= PLANNED
    }

    pub(crate) fn failures(&self) -> &SendFailures {
        &self.failures
    }

    /// Counts a datagram that could not even be planned.
    pub(crate) fn count_failure(&mut self, failure: SendFailure) {
        self.failures.count(failure);
    }

    /// Plans `payload`, a range of the arena, for a peer.
    pub(crate) fn plan_to_peer(
        &mut self,
        on: RelayPort,
        to: PeerAddr,
        payload: Range<usize>,
        fragmentation: Fragmentation,
    ) {
        self.planned.push(Planned::ToPeer { on, to, payload, fragmentation });
    }

    /// Plans `header`, `payload`, a range of the arena, and so many zero bytes for a client.
    pub(crate) fn plan_to_client(
        &mut self,
        to: ClientAddr,
        header: Header,
        payload: Range<usize>,
        padding: u8,
    ) {
        self.planned.push(Planned::ToClient { to, header, payload, padding });
    }

    /// Sends everything that was planned.
    pub(crate) fn flush(&mut self, arena: &Arena, sockets: &mut Sockets, dtls: &mut DtlsSessions) {
        for planned in self.planned.drain(..) {
            let sent = match planned {
                Planned::ToPeer { on, to, payload, fragmentation } => {
                    send_to_peer(sockets, on, to, arena.at(payload), fragmentation)
                }
                Planned::ToClient { to, header, payload, padding } => {
                    let padding = PADDING.get(..usize::from(padding)).unwrap_or_default();
                    let parts = [header.as_bytes(), arena.at(payload), padding];
                    send_to_client(sockets, dtls, to, parts, Load::Relayed)
                }
            };
            if let Err(failure) = sent {
                self.failures.count(failure);
            }
        }
        sockets.streams.flush();
    }

    /// Sends a whole answer: at once, or with the next [`flush`](Self::flush) if it goes into a stream.
    pub(crate) fn reply(
        &mut self,
        sockets: &mut Sockets,
        dtls: &mut DtlsSessions,
        to: ClientAddr,
        bytes: &[u8],
    ) {
        if let Err(failure) = send_to_client(sockets, dtls, to, [bytes, &[], &[]], Load::Answer) {
            self.failures.count(failure);
        }
    }

    /// Sends a record of DTLS itself, a handshake's or an alert.
    pub(crate) fn send_record(&mut self, sockets: &Sockets, to: ClientAddr, record: &[u8]) {
        if let Err(failure) = send_datagram(sockets, to, [record, &[], &[]]) {
            self.failures.count(failure);
        }
    }
}

/// How often a datagram is tried while the kernel reports errors of earlier ones: as long as no ICMP error comes in between
/// two attempts, the second succeeds. A guess.
const SEND_ATTEMPTS: u32 = 3;

/// RFC 8489 §14: attributes end on a multiple of four bytes.
const PADDING: [u8; 3] = [0; 3];

fn send_to_peer(
    sockets: &mut Sockets,
    on: RelayPort,
    to: PeerAddr,
    payload: &[u8],
    fragmentation: Fragmentation,
) -> Result<(), SendFailure> {
    let relay = sockets.relay_mut(on.slot).ok_or(SendFailure::Closed)?;
    relay.set_fragmentation(fragmentation).map_err(|error| failure(&error))?;
    let mut attempts = 1..SEND_ATTEMPTS;
    loop {
        match relay.socket.send_to(payload, to.socket()) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // The relay's other peers must not suffer from one that is gone.
            Err(error) if is_of_an_earlier_one(&error) && attempts.next().is_some() => {}
            Err(error) => {
                let failure = failure(&error);
                if failure == SendFailure::TooLarge {
                    relay.oversized = Some(to);
                }
                return Err(failure);
            }
        }
    }
}

/// Sends header, payload and padding the way the client came.
fn send_to_client(
    sockets: &mut Sockets,
    dtls: &mut DtlsSessions,
    to: ClientAddr,
    parts: [&[u8]; 3],
    load: Load,
) -> Result<(), SendFailure> {
    match to.via {
        Via::Udp => send_datagram(sockets, to, parts),
        Via::Dtls(_) => dtls.seal(to, parts, |record| send_datagram(sockets, to, [record, &[], &[]])),
        Via::Tcp(session) | Via::Tls(session) => {
            sockets.streams.push(session, to.source, parts, load).map_err(|error| match error {
                PushError::Closed => SendFailure::Closed,
                PushError::Full => SendFailure::QueueFull,
            })
        }
    }
}

fn send_datagram(sockets: &Sockets, to: ClientAddr, parts: [&[u8]; 3]) -> Result<(), SendFailure> {
    let socket = sockets.listener(to.listener).ok_or(SendFailure::Closed)?;
    let to = SockAddr::from(sockets.proxied.way(to.source, to.listener));
    let parts = parts.map(IoSlice::new);
    loop {
        match SockRef::from(socket).send_to_vectored(&parts, &to) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failure(&error)),
        }
    }
}

fn failure(error: &io::Error) -> SendFailure {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => SendFailure::BufferFull,
        Some(Errno::MSGSIZE) => SendFailure::TooLarge,
        Some(
            Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::CONNREFUSED
            | Errno::NETDOWN
            | Errno::HOSTDOWN
            | Errno::ADDRNOTAVAIL,
        ) => SendFailure::Unreachable,
        Some(Errno::PERM | Errno::ACCESS) => SendFailure::Forbidden,
        Some(_) | None => SendFailure::Other,
    }
}
