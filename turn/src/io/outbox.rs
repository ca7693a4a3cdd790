//! The one place that sends. Sends are planned while datagrams are read and leave together.
//!
//! A datagram is header, body and padding as an I/O vector: what was received stays where it is. Datagrams that form a
//! [train](crate::io::runs) leave as one message, and messages of one socket in one call. When a socket's buffer is
//! full (`EAGAIN`) the datagram is dropped and counted: a relay that queued it would only hide the congestion from the
//! two ends, which have to react to it. Streams have short queues, since a frame cannot be sent in part: see
//! [`crate::stream`].

use std::io;
use std::ops::Range;

use causeway_turn_core::{ClientAddr, Header, PeerAddr, RelayPort, Via};

use crate::dtls::DtlsSessions;
use crate::io::arena::Arena;
use crate::io::call::{Account, Call, Planned, SendFailure, SendFailures, Senders, failure};
use crate::io::offloads::{IoCounts, Offloads};
use crate::io::runs::{Place, Runs, Way};
use crate::io::sockets::Sockets;
use crate::io::udp::Fragmentation;
use crate::stream::{Load, PushError};

/// Datagrams that are planned before they leave.
const PLANNED: usize = 512;
/// Messages that leave in one call. Linux takes up to 1024.
const MESSAGES: usize = 64;
/// Bytes of answers that are planned before they leave.
const ANSWERS: usize = 32_768;
/// More than an answer has, unless a client asks for padding.
const ANSWER: usize = 2048;

/// Sends that wait for the end of a pass.
pub(crate) struct Outbox {
    runs: Runs,
    /// What is planned and nowhere else.
    answers: Vec<u8>,
    senders: Senders,
    failures: SendFailures,
    pub(crate) counts: IoCounts,
}

impl Outbox {
    pub(crate) fn new(offloads: Offloads) -> Self {
        Self {
            runs: Runs::new(PLANNED, offloads.send),
            answers: Vec::with_capacity(ANSWERS),
            senders: Senders::new(MESSAGES, PLANNED),
            failures: SendFailures::default(),
            counts: IoCounts::default(),
        }
    }

    /// No further send can be planned before a [`flush`](Self::flush).
    pub(crate) fn is_full(&self) -> bool {
        self.runs.len() >= PLANNED || self.answers.len() + ANSWER > ANSWERS
    }

    pub(crate) fn failures(&self) -> &SendFailures {
        &self.failures
    }

    /// Counts a datagram that could not even be planned.
    pub(crate) fn count_failure(&mut self, failure: SendFailure) {
        self.failures.count(failure);
    }

    /// Plans `payload`, a range of the arena, for a peer.
    #[inline]
    pub(crate) fn plan_to_peer(
        &mut self,
        on: RelayPort,
        to: PeerAddr,
        payload: &Range<usize>,
        fragmentation: Fragmentation,
    ) {
        self.runs.push(&Way::Peer { on, to, fragmentation }, None, Place::Received, payload, 0);
    }

    /// Plans `header`, `payload`, a range of the arena, and so many zero bytes for a client.
    #[inline]
    pub(crate) fn plan_to_client(
        &mut self,
        to: ClientAddr,
        header: &Header,
        payload: &Range<usize>,
        padding: u8,
    ) {
        self.runs.push(&way_to(to), Some(header), Place::Received, payload, padding);
    }

    /// Whether a body of this length can follow the datagram that was planned last, with the same header.
    #[inline]
    pub(crate) fn takes_another(&self, length: usize) -> bool {
        self.runs.takes_another(length)
    }

    /// Plans `payload` as the datagram that was planned last.
    #[inline]
    pub(crate) fn plan_another(&mut self, payload: &Range<usize>) {
        self.runs.push_another(payload);
    }

    /// Plans a whole answer; into a stream or a session it goes at once.
    pub(crate) fn reply(
        &mut self,
        sockets: &mut Sockets,
        dtls: &mut DtlsSessions,
        to: ClientAddr,
        bytes: &[u8],
    ) {
        match way_to(to) {
            way @ (Way::Client { .. } | Way::Peer { .. }) => {
                let start = self.answers.len();
                self.answers.extend_from_slice(bytes);
                self.runs.push(&way, None, Place::Answers, &(start..self.answers.len()), 0);
            }
            Way::Session(_) => {
                if let Err(failure) = send_in_session(sockets, dtls, to, [bytes, &[], &[]], Load::Answer) {
                    self.failures.count(failure);
                }
            }
        }
    }

    /// Sends a record of DTLS itself, a handshake's or an alert.
    pub(crate) fn send_record(&mut self, sockets: &Sockets, to: ClientAddr, record: &[u8]) {
        if let Err(failure) = send_datagram(sockets, to, record) {
            self.failures.count(failure);
        }
    }

    /// Sends everything that was planned.
    pub(crate) fn flush(&mut self, arena: &Arena, sockets: &mut Sockets, dtls: &mut DtlsSessions) {
        let mut first = 0;
        let mut trains_fail = false;
        loop {
            let together = self.runs.together(first, MESSAGES);
            let Some(run) = together.first() else { break };
            first += together.len();
            let planned = Planned { runs: &self.runs, arena, answers: &self.answers };
            let mut account = Account { failures: &mut self.failures, counts: &mut self.counts };
            match run.way {
                Way::Session(client) => {
                    for piece in self.runs.pieces(run) {
                        let sent =
                            send_in_session(sockets, dtls, client, planned.parts(piece), Load::Relayed);
                        if let Err(failure) = sent {
                            account.lost(1, failure);
                        }
                    }
                }
                Way::Client { listener, .. } => {
                    let Some(socket) = sockets.listener(listener) else {
                        account.all_lost(together, SendFailure::Closed);
                        continue;
                    };
                    let proxied = &sockets.proxied;
                    let call = Call {
                        socket,
                        attempts: 1,
                        to: |way: &Way| proxied.way(way.destination(), listener),
                    };
                    let ended = call.send(&mut self.senders, &planned, together, &mut account);
                    trains_fail |= ended.trains_fail;
                }
                Way::Peer { on, fragmentation, .. } => {
                    let Some(relay) = sockets.relay_mut(on.slot) else {
                        account.all_lost(together, SendFailure::Closed);
                        continue;
                    };
                    if let Err(error) = relay.set_fragmentation(fragmentation) {
                        account.all_lost(together, failure(&error));
                        continue;
                    }
                    let call = Call { socket: &relay.socket, attempts: SEND_ATTEMPTS, to: Way::destination };
                    let ended = call.send(&mut self.senders, &planned, together, &mut account);
                    trains_fail |= ended.trains_fail;
                    if let Some(oversized) = ended.oversized {
                        relay.oversized = Some(PeerAddr::new(oversized));
                    }
                }
            }
        }
        if trains_fail {
            self.runs.give_up_trains();
        }
        self.runs.clear();
        self.answers.clear();
        sockets.streams.flush();
    }
}

/// How often a datagram is tried while the kernel reports errors of earlier ones: as long as no ICMP error comes in between
/// two attempts, the second succeeds. A guess.
const SEND_ATTEMPTS: u32 = 3;

fn way_to(client: ClientAddr) -> Way {
    match client.via {
        Via::Udp => Way::Client { listener: client.listener, to: client.source },
        Via::Dtls(_) | Via::Tcp(_) | Via::Tls(_) => Way::Session(client),
    }
}

/// Sends header, payload and padding into a client's connection or session.
fn send_in_session(
    sockets: &mut Sockets,
    dtls: &mut DtlsSessions,
    to: ClientAddr,
    parts: [&[u8]; 3],
    load: Load,
) -> Result<(), SendFailure> {
    match to.via {
        // Not a session: these are planned on another way.
        Via::Udp => Err(SendFailure::Other),
        Via::Dtls(_) => dtls.seal(to, parts, |record| send_datagram(sockets, to, record)),
        Via::Tcp(session) | Via::Tls(session) => {
            sockets.streams.push(session, to.source, parts, load).map_err(|error| match error {
                PushError::Closed => SendFailure::Closed,
                PushError::Full => SendFailure::QueueFull,
            })
        }
    }
}

fn send_datagram(sockets: &Sockets, to: ClientAddr, datagram: &[u8]) -> Result<(), SendFailure> {
    let socket = sockets.listener(to.listener).ok_or(SendFailure::Closed)?;
    let to = sockets.proxied.way(to.source, to.listener);
    loop {
        match socket.send_to(datagram, to) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failure(&error)),
        }
    }
}
