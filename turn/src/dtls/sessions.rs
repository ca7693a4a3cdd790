//! One worker's DTLS sessions: whose datagram it is, how many there may be, and when one ends.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_stun::{Kind, classify};
use causeway_turn_core::{ClientAddr, ListenerId, SessionId, Via, Wheel};
use dimpl::Config;

use super::NoDtls;
use super::counts::{DtlsCounts, Ending, Refusal};
use super::handshakes::{Handshakes, Source};
use super::identity::Identity;
use super::session::{self, MAX_DATAGRAM, MAX_PLAINTEXT, NEVER, Session, Stage, Step};
use crate::io::call::SendFailure;
use crate::settings::DtlsSettings;

enum Slot {
    Free,
    /// Over; its number is in use until the relay knows.
    Ended,
    Held(Box<Session>),
}

/// The sessions of one worker.
pub(crate) struct DtlsSessions {
    config: Arc<Config>,
    /// What new sessions show, if DTLS is on.
    identity: Identity,
    max_sessions: usize,
    /// How long a handshake may take.
    handshake: Duration,
    idle: Duration,
    by_client: HashMap<(SocketAddr, ListenerId), u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    handshakes: Handshakes,
    timers: Wheel,
    /// Clients whose established session is over, which the relay does not know yet.
    ended: Vec<ClientAddr>,
    /// Where the plaintexts of the last datagram are.
    plaintexts: Vec<Range<usize>>,
    /// A message for a client in one piece, which dimpl wants.
    message: Vec<u8>,
    sealed: Box<[u8]>,
    counts: DtlsCounts,
}

impl DtlsSessions {
    /// None so far. The limits are shares of `workers`.
    pub(crate) fn new(settings: &DtlsSettings, workers: usize, identity: Identity) -> Result<Self, NoDtls> {
        let handshake = Duration::from_secs(settings.handshake_seconds.into());
        let config = session::config(handshake).map_err(|error| NoDtls::Setup(error.to_string()))?;
        let max_handshakes = settings.max_handshakes.div_ceil(workers);
        Ok(Self {
            config,
            identity,
            max_sessions: settings.max_sessions.div_ceil(workers),
            handshake,
            idle: Duration::from_secs(settings.idle_seconds.into()),
            by_client: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            handshakes: Handshakes::new(max_handshakes, settings.handshakes_per_source),
            timers: Wheel::new(),
            ended: Vec::new(),
            plaintexts: Vec::new(),
            message: Vec::with_capacity(MAX_PLAINTEXT),
            sealed: vec![0; MAX_DATAGRAM].into_boxed_slice(),
            counts: DtlsCounts::default(),
        })
    }

    /// Whether a datagram is for [`receive`](Self::receive).
    pub(crate) fn takes(&self, datagram: &[u8]) -> bool {
        self.identity.is_some() && classify(datagram) == Kind::Dtls
    }

    /// Takes a datagram; `room` is for what is in it. `send` gets what has to go to `source` at once. `Some`: the client has sent data, which [`plaintext`](Self::plaintext) finds in `room`.
    pub(crate) fn receive(
        &mut self,
        now: Moment,
        source: SocketAddr,
        listener: ListenerId,
        datagram: &[u8],
        room: &mut [u8],
        mut send: impl FnMut(&[u8]),
    ) -> Option<ClientAddr> {
        self.plaintexts.clear();
        let (slot, session) = match self.session_of(now, source, listener, datagram) {
            Ok(found) => found,
            Err(refusal) => {
                self.counts.count_refusal(refusal);
                if refusal == Refusal::OldVersion {
                    send(&PROTOCOL_VERSION_ALERT);
                }
                return None;
            }
        };
        let client = session.client;
        let received = session.receive(now, datagram);
        if let Err(ending) = received.and_then(|()| self.drain(now, slot, room, send)) {
            self.end(slot, ending);
        }
        // What came before the end of a session still counts.
        (!self.plaintexts.is_empty()).then_some(client)
    }

    /// Where in the room the last datagram's plaintext of this index is.
    pub(crate) fn plaintext(&self, index: usize) -> Option<Range<usize>> {
        self.plaintexts.get(index).cloned()
    }

    /// How much of the room the last datagram's plaintexts take.
    pub(crate) fn plaintext_end(&self) -> usize {
        self.plaintexts.last().map_or(0, |last| last.end)
    }

    /// Encrypts a message, given in pieces, for a client and sends it. One message, one record, one datagram.
    pub(crate) fn seal(
        &mut self,
        to: ClientAddr,
        parts: [&[u8]; 3],
        mut send: impl FnMut(&[u8]) -> Result<(), SendFailure>,
    ) -> Result<(), SendFailure> {
        let Via::Dtls(SessionId(slot)) = to.via else { return Err(SendFailure::Closed) };
        let Some(Slot::Held(session)) = self.slots.get_mut(slot as usize) else {
            return Err(SendFailure::Closed);
        };
        if session.client != to || session.stage != Stage::Established {
            return Err(SendFailure::Closed);
        }
        if parts.iter().map(|part| part.len()).sum::<usize>() > MAX_PLAINTEXT {
            return Err(SendFailure::TooLarge);
        }
        self.message.clear();
        parts.iter().for_each(|part| self.message.extend_from_slice(part));
        let now = session.last_heard;
        let mut sent = Ok(());
        let sealed = session.send(&self.message).and_then(|()| {
            loop {
                match session.poll(now, &mut self.sealed)? {
                    Step::Send(length) => sent = send(self.sealed.get(..length).unwrap_or_default()),
                    // Everything that was received has been polled before.
                    Step::Plaintext(_) | Step::Connected | Step::Closed => {}
                    Step::Wait(_) => return Ok(()),
                }
            }
        });
        match sealed {
            Ok(()) => sent,
            Err(ending) => {
                self.end(slot, ending);
                Err(SendFailure::Closed)
            }
        }
    }

    /// When to call [`on_timeout`](Self::on_timeout) next.
    pub(crate) fn poll_timeout(&self) -> Option<Moment> {
        self.timers.next()
    }

    /// Retransmits what was lost, and ends handshakes that take too long and sessions that nobody uses. `serves` says
    /// whether the relay does anything for a client.
    pub(crate) fn on_timeout(
        &mut self,
        now: Moment,
        serves: impl Fn(ClientAddr) -> bool,
        mut send: impl FnMut(ClientAddr, &[u8]),
    ) {
        while let Some(slot) = self.timers.pop_due(now) {
            let Some(Slot::Held(session)) = self.slots.get_mut(slot as usize) else { continue };
            session.armed = NEVER;
            let client = session.client;
            let (over_at, ending) = match session.stage {
                // dimpl sets no timer for one that awaits an answer to its cookie.
                Stage::Handshake => (session.since.plus(self.handshake), Ending::TimedOut),
                Stage::Established if serves(client) => (now.plus(self.idle), Ending::Idle),
                Stage::Established => (session.last_heard.plus(self.idle), Ending::Idle),
            };
            let over = over_at <= now;
            let told = match session.stage {
                Stage::Established if over => session.close(),
                Stage::Established | Stage::Handshake => session.on_timeout(now),
            };
            let mut room = std::mem::take(&mut self.sealed);
            let drained = told.and_then(|()| self.drain(now, slot, &mut room, |record| send(client, record)));
            self.sealed = room;
            match drained {
                Ok(()) if over => self.end(slot, ending),
                Ok(()) => self.arm(slot, over_at),
                Err(ending) => self.end(slot, ending),
            }
        }
    }

    /// Says goodbye to every client.
    pub(crate) fn close_all(&mut self, mut send: impl FnMut(ClientAddr, &[u8])) {
        for slot in &mut self.slots {
            let Slot::Held(session) = slot else { continue };
            let client = session.client;
            let now = session.last_heard;
            if session.close().is_ok() {
                while let Ok(Step::Send(length)) = session.poll(now, &mut self.sealed) {
                    send(client, self.sealed.get(..length).unwrap_or_default());
                }
            }
        }
    }

    /// A client whose session is over, to be told to the relay. Its session's number is free from here on.
    pub(crate) fn pop_ended(&mut self) -> Option<ClientAddr> {
        let client = self.ended.pop()?;
        if let Via::Dtls(SessionId(slot)) = client.via {
            self.release(slot);
        }
        Some(client)
    }

    pub(crate) fn counts(&self) -> &DtlsCounts {
        &self.counts
    }

    /// The session of a client; a new one if the datagram starts one.
    fn session_of(
        &mut self,
        now: Moment,
        source: SocketAddr,
        listener: ListenerId,
        datagram: &[u8],
    ) -> Result<(u32, &mut Session), Refusal> {
        let slot = match self.by_client.get(&(source, listener)) {
            Some(slot) => *slot,
            None => match client_hello_version(datagram) {
                Some(DTLS_1_0) => return Err(Refusal::OldVersion),
                Some(_) => self.begin(now, source, listener)?,
                None => return Err(Refusal::Stray),
            },
        };
        match self.slots.get_mut(slot as usize) {
            Some(Slot::Held(session)) if session.accepts(datagram.len()) => Ok((slot, session)),
            Some(Slot::Held(_)) => Err(Refusal::TooLong),
            Some(Slot::Free | Slot::Ended) | None => Err(Refusal::Stray),
        }
    }

    fn begin(&mut self, now: Moment, source: SocketAddr, listener: ListenerId) -> Result<u32, Refusal> {
        let origin = Source::of(source.ip());
        if let Some(oldest) = self.handshakes.displaced_by(origin) {
            self.end(oldest, Ending::Displaced);
        }
        if self.by_client.len() >= self.max_sessions {
            return Err(Refusal::Full);
        }
        let certificate = self.identity.current().ok_or(Refusal::Full)?;
        let slot = match self.free.last() {
            Some(slot) => *slot,
            None => u32::try_from(self.slots.len()).map_err(|_too_many| Refusal::Full)?,
        };
        let client = ClientAddr { source, listener, via: Via::Dtls(SessionId(slot)) };
        let session = Session::new(&self.config, certificate, client, now).ok_or(Refusal::Full)?;
        let held = Slot::Held(Box::new(session));
        if self.free.pop().is_none() {
            self.slots.push(held);
        } else if let Some(free) = self.slots.get_mut(slot as usize) {
            *free = held;
        }
        self.by_client.insert((source, listener), slot);
        self.handshakes.begin(origin, slot);
        self.counts.sessions = self.by_client.len() as u64;
        self.arm(slot, now.plus(self.handshake));
        Ok(slot)
    }

    /// Does what a session wants after it was told something. Plaintext stays in `room`.
    fn drain(
        &mut self,
        now: Moment,
        slot: u32,
        room: &mut [u8],
        mut send: impl FnMut(&[u8]),
    ) -> Result<(), Ending> {
        let mut used = 0;
        loop {
            let Some(Slot::Held(session)) = self.slots.get_mut(slot as usize) else { return Ok(()) };
            let free = room.get_mut(used..).unwrap_or_default();
            match session.poll(now, free)? {
                Step::Send(length) => send(free.get(..length).unwrap_or_default()),
                Step::Plaintext(length) => {
                    self.plaintexts.push(used..used + length);
                    used += length;
                }
                Step::Connected => {
                    session.stage = Stage::Established;
                    self.handshakes.end(slot);
                    self.arm(slot, now.plus(self.idle));
                }
                Step::Closed => {
                    // RFC 6347 §4.2.8 and RFC 5246 §7.2.1: answered in kind.
                    session.close()?;
                    while let Step::Send(length) = session.poll(now, free)? {
                        send(free.get(..length).unwrap_or_default());
                    }
                    return Err(Ending::Closed);
                }
                Step::Wait(until) => {
                    self.arm(slot, until);
                    return Ok(());
                }
            }
        }
    }

    /// Sets a session's timer, unless it fires before.
    fn arm(&mut self, slot: u32, at: Moment) {
        let Some(Slot::Held(session)) = self.slots.get_mut(slot as usize) else { return };
        // A timer that fires early does nothing but look again.
        if at < session.armed {
            session.armed = at;
            self.timers.arm(slot, at);
        }
    }

    fn end(&mut self, slot: u32, ending: Ending) {
        let Some(place) = self.slots.get_mut(slot as usize) else { return };
        let Slot::Held(session) = std::mem::replace(place, Slot::Ended) else { return };
        self.timers.disarm(slot);
        self.by_client.remove(&(session.client.source, session.client.listener));
        self.counts.sessions = self.by_client.len() as u64;
        self.counts.count_ending(ending);
        match session.stage {
            Stage::Established => self.ended.push(session.client),
            // Nobody but us ever heard of it.
            Stage::Handshake => {
                self.handshakes.end(slot);
                self.release(slot);
            }
        }
    }

    fn release(&mut self, slot: u32) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Slot::Free;
            self.free.push(slot);
        }
    }
}

/// Versions count down: 254.255 is DTLS 1.0, 254.253 is 1.2 and what 1.3 says it is.
const DTLS_1_0: [u8; 2] = [254, 255];

/// RFC 5246 §7.2.2 and §E.1: fatal, protocol_version. It tells a client at once what it would else wait a minute for, in a
/// third of the bytes that it sent.
const PROTOCOL_VERSION_ALERT: [u8; 15] = [21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 70];

/// The version in the first fragment of a ClientHello in a plaintext record (RFC 6347 §4.1 and §4.2.2).
///
/// ```text
/// | 22 | version 254.x | epoch 0 | sequence (6) | length (2) |                                      record
/// | 1 | length (3) | sequence (2) | fragment offset 0 (3) | fragment length (3) | version (2) | …     message
/// ```
fn client_hello_version(datagram: &[u8]) -> Option<[u8; 2]> {
    let (record, message) = datagram.split_at_checked(13)?;
    let ([22, 254, _, 0, 0, ..], [1, _, _, _, _, _, 0, 0, 0, _, _, _, major, minor, ..]) = (record, message)
    else {
        return None;
    };
    Some([*major, *minor])
}
