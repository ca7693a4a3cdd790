//! The relay: what it holds, and where each input goes.

use std::cell::Cell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use causeway_protocol::bus::RelayOrder;
use causeway_protocol::{Moment, Now};
use causeway_stun::{Class, FingerprintError, Kind, Message, Method, classify};
use foldhash::fast::FixedState;
use rand_core::CryptoRng;

use crate::action::{Action, BindError, BindTicket, Control, Reply};
use crate::address::{ClientAddr, PeerAddr, RelayPort};
use crate::allocation::Allocation;
use crate::alternate::AlternateServers;
use crate::asks::Asks;
use crate::auth::challenge::{Challenges, StrangerAnswers};
use crate::auth::credentials::{Credentials, Keyring};
use crate::auth::nonce::{NonceKey, Nonces};
use crate::auth::verified::Verified;
use crate::config::{ConfigError, Limits, RelayConfig};
use crate::counters::{AnswerCode, Counters};
use crate::data::IndicationIds;
use crate::denials::Denials;
use crate::discovery::AlternateTable;
use crate::dropped::DropReason;
use crate::event::{EndReason, Event, Subject};
use crate::external::ExternalIps;
use crate::meter::Meters;
use crate::mobility::Tickets;
use crate::own::OwnRelays;
use crate::policy::Policy;
use crate::ports::Ports;
use crate::queue::Queue;
use crate::reports::Reports;
use crate::request::Pending;
use crate::revocation::{self, Revocations};
use crate::rooms::Rooms;
use crate::slab::Slab;
use crate::strangers::Strangers;
use crate::tcp::Connections;
use crate::train::Trains;
use crate::verdict::{Payload, Verdict};
use crate::wheel::Wheel;

/// Reports of one call of [`Relay::on_timeout`]: 50,000 allocations must not hold up the data. A guess.
const REPORTS_AT_ONCE: usize = 512;

/// A TURN relay of one thread.
///
/// Give it every datagram with [`Relay::on_client`] and [`Relay::on_peer`], do what the verdict says, then take what
/// [`Relay::poll_action`] has until it has nothing, and call [`Relay::on_timeout`] when [`Relay::poll_timeout`] says.
pub struct Relay {
    pub(crate) config: RelayConfig,
    pub(crate) policy: Policy,
    pub(crate) challenges: Challenges,
    pub(crate) strangers: Strangers,
    pub(crate) alternates: AlternateTable,
    pub(crate) servers: AlternateServers,
    pub(crate) nonces: Nonces,
    pub(crate) tickets: Tickets,
    pub(crate) keyring: Keyring,
    pub(crate) verified: Verified,
    pub(crate) revocations: Revocations,
    pub(crate) random: Box<dyn CryptoRng + Send>,
    pub(crate) allocations: Slab<Allocation>,
    /// Who has a 5-tuple. Only the authenticated come in here.
    pub(crate) by_client: HashMap<ClientAddr, Holder, FixedState>,
    /// The allocation that was looked for last: a guess, to be compared with what is looked for.
    pub(crate) recent_client: Cell<u32>,
    pub(crate) trains: Trains,
    pub(crate) pending: HashMap<u64, Pending, FixedState>,
    pub(crate) next_pending: u64,
    pub(crate) next_allocation: u64,
    pub(crate) ports: Ports,
    pub(crate) own: Arc<OwnRelays>,
    /// When to look for reservations that have expired, if this relay made one.
    pub(crate) reservation_due: Option<Moment>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) connections: Connections,
    pub(crate) expiry: Wheel,
    pub(crate) rooms: Rooms,
    pub(crate) asks: Asks,
    pub(crate) denials: Denials,
    pub(crate) reports: Reports,
    pub(crate) queue: Queue,
    pub(crate) counters: Counters,
    pub(crate) indications: IndicationIds,
    pub(crate) draining: bool,
}

/// What a 5-tuple is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// An Allocate request that waits for its port.
    Pending(u64),
    /// The allocation under this number.
    Allocation(u32),
}

impl Relay {
    /// A relay without clients. `nonce_key`, `own` and `meters` are shared by the relays of a process; `random` must be
    /// unpredictable, since ports and tokens come from it.
    ///
    /// # Errors
    /// [`ConfigError`]: the first thing that is wrong with the settings.
    pub fn new(
        config: RelayConfig,
        credentials: Credentials,
        nonce_key: &NonceKey,
        own: Arc<OwnRelays>,
        meters: Arc<Meters>,
        mut random: impl CryptoRng + Send + 'static,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        meters.set_limits(&config.limits);
        if let Some(ip) = config.relay_ips().find(|ip| own.find(*ip).is_none()) {
            return Err(ConfigError::UnknownRelayIp(ip));
        }
        let hasher = FixedState::with_seed(random.next_u64());
        let mut prefix = [0; 4];
        random.fill_bytes(&mut prefix);
        let server_name = credentials.third_party.as_ref().map(|third_party| third_party.server_name.len());
        if server_name.is_some_and(|length| length > RelayConfig::MAX_REALM_LENGTH) {
            return Err(ConfigError::ServerName);
        }
        let keyring = Keyring::new(credentials, &config.realm, hasher.clone());
        Ok(Self {
            policy: Policy::new(&config, Arc::clone(&own)),
            alternates: AlternateTable::new(config.discovery, &config.listeners),
            servers: AlternateServers::default(),
            tickets: Tickets::new(nonce_key),
            strangers: Strangers::new(config.strangers, random.next_u64()),
            nonces: Nonces::new(nonce_key, config.nonce_lifetime),
            challenges: Challenges::new(&config.realm, keyring.features(), keyring.server_name()),
            keyring,
            verified: Verified::new(hasher.clone()),
            revocations: Revocations::new(hasher.clone()),
            indications: IndicationIds::new(prefix, random.next_u64()),
            random: Box::new(random),
            allocations: Slab::new(),
            by_client: HashMap::with_hasher(hasher.clone()),
            recent_client: Cell::new(0),
            trains: Trains::default(),
            pending: HashMap::with_hasher(hasher.clone()),
            next_pending: 0,
            next_allocation: 0,
            ports: Ports::new(config.worker, config.relay_ports.clone(), Arc::clone(&own)),
            own,
            reservation_due: None,
            meters,
            connections: Connections::new(config.worker, hasher.clone()),
            rooms: Rooms::new(hasher.clone()),
            asks: Asks::default(),
            denials: Denials::new(hasher),
            expiry: Wheel::new(),
            reports: Reports::default(),
            queue: Queue::new(),
            counters: Counters::default(),
            draining: false,
            config,
        })
    }

    /// A datagram on a listener.
    pub fn on_client(&mut self, now: Now, from: ClientAddr, datagram: &[u8]) -> Verdict {
        self.note_repeats(false);
        let outcome = match classify(datagram) {
            // Returned where it is made: a verdict is large, and this is the way of most.
            Kind::ChannelData => match self.on_channel_data(now, &from, datagram) {
                Ok(verdict) => return verdict,
                Err(reason) => Err(reason),
            },
            Kind::Stun => self.on_message(now, from, datagram),
            Kind::Dtls => Err(DropReason::Dtls),
            Kind::Other => Err(DropReason::NotStun),
        };
        if let Err(reason) = outcome {
            self.lost_from_client(now, from, reason);
        }
        self.conclude(outcome)
    }

    /// A datagram on a relay socket. Its whole length is application data.
    pub fn on_peer(&mut self, now: Now, on: RelayPort, from: PeerAddr, datagram: &[u8]) -> Verdict {
        let verdict = self.receive(now, on, from, Payload::within(datagram, datagram));
        self.note_repeats(matches!(verdict, Verdict::ToClient { .. }));
        verdict
    }

    /// What became of an [`Action::Bind`], [`Action::BindReserved`] or [`Action::Listen`]. A ticket that is not outstanding is ignored.
    pub fn on_bound(&mut self, now: Now, ticket: BindTicket, result: Result<(), BindError>) {
        self.forget_trains();
        self.on_ticket(now, ticket, result);
    }

    /// A client's connection or DTLS session is over, and with it its 5-tuple: the allocation ends unless its client
    /// has a mobility ticket, and so does an Allocate request that waits for its port.
    pub fn on_session_closed(&mut self, client: ClientAddr) {
        self.forget_trains();
        match self.by_client.get(&client).copied() {
            Some(Holder::Allocation(number)) if self.stays_without(number, client) => {}
            Some(Holder::Allocation(number)) => self.end(number, EndReason::Disconnected),
            Some(Holder::Pending(ticket)) => self.abandon(ticket),
            None => {}
        }
    }

    /// Whether the client has an allocation, or one in the making: a reason to keep its session.
    #[must_use]
    pub fn serves(&self, client: ClientAddr) -> bool {
        self.by_client.contains_key(&client)
    }

    /// An order from outside the data path.
    pub fn on_control(&mut self, now: Now, control: Control) {
        self.forget_trains();
        match control {
            Control::Revoke(order) => self.revoke(now, order),
            Control::RoomPeers(peers) => self.on_room_peers(now, peers),
            Control::Drain => self.draining = true,
            Control::Limits(limits) => self.set_limits(limits),
            Control::Reconfigure(live) => self.reconfigure(*live),
            Control::External(external) => self.set_external(external),
            Control::Alternates(servers) => self.servers = AlternateServers::new(servers),
        }
    }

    /// Time has passed: frees what has expired, reports what has changed. Calling it late does no harm, since expiry
    /// is checked on use as well.
    pub fn on_timeout(&mut self, now: Now) {
        self.forget_trains();
        while let Some(number) = self.expiry.pop_due(now.moment) {
            self.reap(number, now.moment, EndReason::Expired);
        }
        self.expire_reservations(now.moment);
        self.reap_connections(now);
        self.refuse_overdue(now);
        for _ in 0..REPORTS_AT_ONCE {
            let Some(number) = self.reports.pop_due(now.moment) else { break };
            self.report_usage(number);
        }
    }

    /// The next thing for the shell to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.queue.pop()
    }

    /// When to call [`Relay::on_timeout`] next; `None`: nothing is waited for.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Moment> {
        let due = [
            self.expiry.next(),
            self.reservation_due,
            self.connections.next_timeout(),
            self.reports.due(),
            self.asks.next_deadline(),
        ];
        due.into_iter().flatten().min()
    }

    /// What the realm leaves room for in answers to strangers, for whoever configured it.
    #[must_use]
    pub fn stranger_answers(&self) -> StrangerAnswers {
        self.challenges.to_strangers()
    }

    /// What was counted so far.
    #[must_use]
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// RFC 8489 §6.3: what is no message, or has a wrong FINGERPRINT, is silently discarded.
    fn on_message(&mut self, now: Now, from: ClientAddr, datagram: &[u8]) -> Result<Verdict, DropReason> {
        self.forget_trains();
        let message = Message::decode(datagram).map_err(|_not_a_message| DropReason::MalformedMessage)?;
        if message.fingerprint() == Err(FingerprintError::Mismatch) {
            return Err(DropReason::WrongFingerprint);
        }
        match (message.class(), message.method()) {
            (Class::Request, _) => self.on_request(now, from, message),
            (Class::Indication, Method::Send) => self.on_send(now, from, &message),
            // RFC 8489 §6.3.2: a keepalive; there is nothing to do.
            (Class::Indication, Method::Binding) => Ok(Verdict::Handled),
            (
                Class::Indication,
                Method::Allocate
                | Method::Refresh
                | Method::Data
                | Method::CreatePermission
                | Method::ChannelBind
                | Method::Connect
                | Method::ConnectionBind
                | Method::ConnectionAttempt,
            ) => Err(DropReason::UnexpectedMethod),
            (Class::Success | Class::Error, _) => Err(DropReason::UnexpectedAnswer),
        }
    }

    /// A peer's data, at a relayed address.
    pub(crate) fn receive(&mut self, now: Now, on: RelayPort, from: PeerAddr, payload: Payload) -> Verdict {
        self.note_repeats(false);
        match self.on_peer_data(now, on, from, payload) {
            Ok(verdict) => verdict,
            Err(reason) => {
                self.lost_from_peer(now, on, reason);
                self.conclude(Err(reason))
            }
        }
    }

    pub(crate) fn conclude(&mut self, outcome: Result<Verdict, DropReason>) -> Verdict {
        outcome.unwrap_or_else(|reason| {
            self.counters.count_drop(reason);
            Verdict::Dropped(reason)
        })
    }

    /// Counts what was dropped while no datagram was at hand to give a verdict on.
    pub(crate) fn settle(&mut self, outcome: Result<(), DropReason>) {
        if let Err(reason) = outcome {
            self.counters.count_drop(reason);
        }
    }

    /// Queues an answer.
    pub(crate) fn answer(
        &mut self,
        to: ClientAddr,
        reply: Reply,
        code: AnswerCode,
    ) -> Result<(), DropReason> {
        self.queue.reply(to, reply).map_err(|_full| DropReason::ReplyQueueFull)?;
        self.counters.count_answer(code);
        Ok(())
    }

    /// Queues a success answer with PADDING.
    pub(crate) fn answer_padded(&mut self, to: ClientAddr, reply: &[u8]) -> Result<(), DropReason> {
        self.queue.padded_reply(to, reply).map_err(|_full| DropReason::ReplyQueueFull)?;
        self.counters.count_answer(AnswerCode::Success);
        Ok(())
    }

    /// What a 5-tuple is used for; an allocation that has expired is ended on the way.
    pub(crate) fn holder(&mut self, client: ClientAddr, now: Now) -> Option<Holder> {
        let holder = *self.by_client.get(&client)?;
        match holder {
            Holder::Pending(_) => Some(holder),
            Holder::Allocation(number) => {
                self.reap(number, now.moment, EndReason::Expired);
                self.allocations.get(number).map(|_| holder)
            }
        }
    }

    /// Frees the relayed addresses of an allocation whose time is over, with all that depends on them, and the
    /// allocation with the last one.
    pub(crate) fn reap(&mut self, number: u32, now: Moment, reason: EndReason) {
        self.forget_trains();
        let Some(allocation) = self.allocations.get_mut(number) else { return };
        if !allocation.relayed.is_alive(now) {
            self.end(number, reason);
            return;
        }
        let mut expired = [None, None];
        for (family, expired) in allocation.relayed.families().zip(&mut expired) {
            let held = allocation.relayed.of_mut(family);
            if held.is_some_and(|address| address.expires <= now) {
                *expired = held.take();
                allocation.permissions.forget(family);
                allocation.channels.forget(family);
            }
        }
        if let Some(next) = allocation.relayed.next_expiry() {
            self.expiry.arm(number, next);
        }
        let (id, subject) = (allocation.id, allocation.credential.grant.subject.clone());
        for address in expired.into_iter().flatten() {
            self.unbind(address.port);
            let address = self.policy.outside(address.port.address);
            let released = Event::AddressReleased { allocation: id, subject: subject.clone(), address };
            self.queue.push(Action::Report(released));
        }
    }

    /// Ends an allocation.
    pub(crate) fn end(&mut self, number: u32, reason: EndReason) {
        self.forget_trains();
        let Some(allocation) = self.allocations.remove(number) else { return };
        self.expiry.disarm(number);
        self.release_clients(number, &allocation);
        self.close_connections(allocation.connections);
        for address in allocation.relayed.iter() {
            self.unbind(address.port);
        }
        if let Some(room) = allocation.room {
            self.rooms.leave(room);
            self.asks.forget(allocation.client);
        }
        self.counters.allocations = self.allocations.len() as u64;
        self.queue.push(Action::Report(Event::AllocationEnded {
            allocation: allocation.id,
            subject: allocation.credential.grant.subject.clone(),
            reason,
            usage: allocation.usage,
        }));
    }

    /// Gives a bound port back.
    pub(crate) fn unbind(&mut self, port: RelayPort) {
        self.ports.release(port);
        self.queue.push(Action::Unbind(port));
    }

    /// Closes reserved ports that nobody asked for, whichever relay of the process made them.
    fn expire_reservations(&mut self, now: Moment) {
        if self.reservation_due.is_none_or(|due| now < due) {
            return;
        }
        while let Some(address) = self.own.reservations.pop_expired(now) {
            self.unbind_reserved(address);
        }
        self.reservation_due = self.own.reservations.next_expiry();
    }

    /// Gives back a port that no relay has taken up.
    pub(crate) fn unbind_reserved(&mut self, address: SocketAddr) {
        self.ports.release_reserved(address);
        self.queue.push(Action::UnbindReserved(address));
    }

    /// New allocations are held to these, and those alive relay at the new rates.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.config.limits = limits;
        self.meters.set_limits(&limits);
        let pending = self.pending.values().map(Pending::admission);
        for admission in self.allocations.iter().map(|(_, allocation)| &allocation.admission).chain(pending) {
            admission.set_limits(&limits);
        }
    }

    /// What was permitted at an address that has become ours, or is ours no more, is judged again.
    fn set_external(&mut self, external: ExternalIps) {
        if *self.policy.external() == external {
            return;
        }
        let before = self.policy.set_external(external);
        let policy = &self.policy;
        let concerns = |ip| before.names(ip) || policy.external().names(ip);
        for allocation in self.allocations.iter_mut() {
            let scope = allocation.scope(&self.rooms);
            allocation.permissions.judge_again(concerns, |ip| policy.permission(ip, scope).ok());
            let named = |ips: &ExternalIps| {
                let mut names = allocation.relayed.iter().map(|address| ips.outside(address.port.address));
                [names.next(), names.next()]
            };
            let relayed = named(policy.external());
            if relayed != named(&before) {
                let event = Event::AddressesRenamed { allocation: allocation.id, relayed };
                self.queue.push(Action::Report(event));
            }
        }
    }

    fn revoke(&mut self, now: Now, order: RelayOrder) {
        let concerned: Vec<u32> = self
            .allocations
            .iter()
            .filter(|(_, allocation)| revocation::matches(&order.revoke, &allocation.credential.grant))
            .map(|(number, _)| number)
            .collect();
        for number in concerned {
            self.end(number, EndReason::Revoked);
        }
        self.revocations.insert(order, now.unix);
    }

    fn report_usage(&mut self, number: u32) {
        let Some(allocation) = self.allocations.get_mut(number) else { return };
        if !std::mem::take(&mut allocation.changed) {
            return;
        }
        if let Subject::RoomPeer { room, peer } = &allocation.credential.grant.subject {
            self.queue.push(Action::Report(Event::Usage {
                allocation: allocation.id,
                room: room.clone(),
                peer: peer.clone(),
                usage: allocation.usage,
            }));
        }
    }
}
