//! Allocate requests between the question and the answer: the shell is binding their ports.
//!
//! ```text
//! Allocate ──► Waiting ──bound──► Bound ──┐
//!                │ ▲                      ├── no leg waits any more ──► success, or the refusal
//!       in use   ▼ │ another port         │
//!              Waiting ──gave up──► Failed┘
//! ```
//! One leg is one relayed address; a request for both families has two, and one of them may fail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use causeway_protocol::Now;
use causeway_stun::attributes::{
    AddressErrorCode, AddressFamily, Lifetime, ReservationToken, XorMappedAddress, XorRelayedAddress,
};
use rand_core::Rng;

use super::{Refusal, Request};
use crate::action::{Action, BindError, BindTicket};
use crate::address::ClientAddr;
use crate::allocation::{Allocation, Relayed, capped_lifetime};
use crate::auth::check::Authenticated;
use crate::counters::AnswerCode;
use crate::event::{AllocationId, Event};
use crate::meter::Admission;
use crate::mobility::Mobile;
use crate::ports::{PortPair, PortUse, PortWish};
use crate::relay::{Holder, Relay};
use crate::reply::Answer;
use crate::tcp::RelayProtocol;

/// How many ports are tried if other processes have them. A guess: with half of the range taken by others, eight fail
/// once in 256 requests, and then the client is told to wait.
const TRIES: u8 = 8;

/// An Allocate request that is not answered yet.
#[derive(Debug)]
pub(crate) struct Pending {
    client: ClientAddr,
    sender: Authenticated,
    answer: Answer,
    protocol: RelayProtocol,
    mobile: Option<Mobile>,
    lifetime: Duration,
    admission: Admission,
    legs: [Option<Leg>; 2],
    /// The client's session is over: nobody is left to answer.
    abandoned: bool,
}

/// One relayed address to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leg {
    pub(crate) family: AddressFamily,
    /// What to draw if another process has the port; `None`: the reserved port or none.
    pub(crate) wish: Option<PortWish>,
    pub(crate) tries: u8,
    pub(crate) state: LegState,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum LegState {
    /// The shell was asked to bind these.
    Waiting(PortPair),
    /// They are bound.
    Bound(PortPair),
    /// There will be none.
    Failed(Refusal),
}

impl Pending {
    pub(super) fn new(
        request: &Request<'_>,
        sender: &Authenticated,
        protocol: RelayProtocol,
        mobile: Option<Mobile>,
        lifetime: Duration,
        admission: Admission,
        legs: [Option<Leg>; 2],
    ) -> Self {
        Self {
            client: request.from,
            sender: sender.clone(),
            answer: request.answer,
            protocol,
            mobile,
            lifetime,
            admission,
            legs,
            abandoned: false,
        }
    }

    /// Whether this is the same request again.
    pub(super) fn is_of(&self, request: &Request<'_>, sender: &Authenticated) -> bool {
        self.answer.transaction() == request.message.transaction_id()
            && self.sender.credential.username == sender.credential.username
    }

    /// Under which credential it was made.
    pub(crate) const fn sender(&self) -> &Authenticated {
        &self.sender
    }

    pub(crate) const fn admission(&self) -> &Admission {
        &self.admission
    }

    fn is_waiting(&self) -> bool {
        self.legs.iter().flatten().any(|leg| matches!(leg.state, LegState::Waiting(_)))
    }
}

impl BindTicket {
    fn new(pending: u64, leg: u8) -> Self {
        Self((pending << 1) | u64::from(leg))
    }

    /// The request, and which of its legs.
    const fn parts(self) -> (u64, usize) {
        (self.0 >> 1, (self.0 & 1) as usize)
    }
}

impl Relay {
    /// Asks the shell for the ports of a request; what needs none is answered at once.
    pub(super) fn begin(&mut self, pending: Pending, now: Now) {
        let number = self.next_pending;
        self.next_pending = self.next_pending.wrapping_add(1);
        for (index, leg) in (0..).zip(&pending.legs) {
            if let Some(Leg { state: LegState::Waiting(pair), wish, .. }) = leg {
                self.queue.push(bind(pending.protocol, BindTicket::new(number, index), *pair, *wish));
            }
        }
        self.by_client.insert(pending.client, Holder::Pending(number));
        let is_waiting = pending.is_waiting();
        self.pending.insert(number, pending);
        if !is_waiting {
            self.complete(number, now);
        }
    }

    /// The shell's answer to [`Action::Bind`]. A ticket that is not outstanding is ignored.
    pub(crate) fn on_ticket(&mut self, now: Now, ticket: BindTicket, result: Result<(), BindError>) {
        let (number, index) = ticket.parts();
        let Some(pending) = self.pending.get_mut(&number) else { return };
        let Some(leg) = pending.legs.get_mut(index).and_then(Option::as_mut) else { return };
        let LegState::Waiting(pair) = leg.state else { return };
        leg.state = match result {
            Ok(()) => LegState::Bound(pair),
            Err(error) => {
                self.ports.release_pair(pair);
                let again = match error {
                    BindError::AddressInUse if leg.tries < TRIES => leg
                        .wish
                        .and_then(|wish| self.ports.draw(pair.first.address.ip(), wish, &mut *self.random)),
                    BindError::AddressInUse
                    | BindError::AddressNotAvailable
                    | BindError::OutOfSockets
                    | BindError::Refused => None,
                };
                leg.tries = leg.tries.saturating_add(1);
                match again {
                    Some(pair) => {
                        self.queue.push(bind(pending.protocol, ticket, pair, leg.wish));
                        LegState::Waiting(pair)
                    }
                    None => LegState::Failed(Refusal::InsufficientCapacity),
                }
            }
        };
        if !pending.is_waiting() {
            self.complete(number, now);
        }
    }

    /// The client of a request is gone: what is bound for it is given back as soon as nothing waits any more.
    pub(crate) fn abandon(&mut self, number: u64) {
        let Some(pending) = self.pending.get_mut(&number) else { return };
        pending.abandoned = true;
        // Its address may be another client's in a moment.
        self.by_client.remove(&pending.client);
    }

    /// Every leg is bound or given up: the allocation begins, or the request is refused.
    fn complete(&mut self, number: u64, now: Now) {
        let Some(pending) = self.pending.remove(&number) else { return };
        let Pending { client, sender, answer, protocol, mobile, lifetime, admission, legs, abandoned } =
            pending;
        if !abandoned {
            self.by_client.remove(&client);
        }

        let refusal = if abandoned || self.revocations.revoked(&sender.credential.grant, now.unix) {
            Some(Refusal::Unauthenticated)
        } else {
            let bound = legs.iter().flatten().any(|leg| matches!(leg.state, LegState::Bound(_)));
            let failed = legs.iter().flatten().find_map(|leg| match leg.state {
                LegState::Failed(refusal) => Some(refusal),
                LegState::Waiting(_) | LegState::Bound(_) => None,
            });
            failed.filter(|_| !bound)
        };
        if let Some(refusal) = refusal {
            for leg in legs.into_iter().flatten() {
                match leg.state {
                    LegState::Bound(PortPair { first, next }) => {
                        self.unbind(first);
                        if let Some(next) = next {
                            self.unbind_reserved(next);
                        }
                    }
                    LegState::Waiting(_) | LegState::Failed(_) => {}
                }
            }
            if abandoned {
                return;
            }
            let queued = self.refuse(client, now, &answer, sender.answer_seal(), &refusal);
            self.settle(queued);
            return;
        }

        let lifetime = capped_lifetime(lifetime, sender.credential.grant.expires, now);
        let expires = now.moment.plus(lifetime);
        let mut relayed = Relayed::default();
        let mut reserved = None;
        for leg in legs.iter().flatten() {
            if let LegState::Bound(pair) = leg.state {
                relayed.insert(pair.first, expires);
                reserved = reserved.or(pair.next);
            }
        }
        let token = reserved.map(|address| {
            let mut token = ReservationToken([0; 8]);
            self.random.fill_bytes(&mut token.0);
            let subject = sender.credential.grant.subject.clone();
            let expires = self.own.reservations.insert(token, address, subject, now.moment);
            self.reservation_due.get_or_insert(expires);
            token
        });

        let id = AllocationId(self.next_allocation);
        self.next_allocation = self.next_allocation.wrapping_add(1);
        let subject = sender.credential.grant.subject.clone();
        let credential_expires = sender.credential.grant.expires;
        let bytes_per_second = sender.credential.grant.bytes_per_second;
        let mut allocation = Allocation::new(
            id,
            client,
            Arc::clone(&sender.credential),
            protocol,
            admission,
            relayed,
            answer.transaction(),
        );
        allocation.mobile = mobile;
        let number = self.allocations.insert(allocation);
        let ticket = self.next_ticket(number);
        let reply = answer.success(sender.answer_seal(), |writer| {
            for leg in legs.iter().flatten() {
                match leg.state {
                    LegState::Bound(pair) => {
                        writer.put(&XorRelayedAddress(self.policy.outside(pair.first.address)))?;
                    }
                    LegState::Failed(refusal) => {
                        writer.put(&AddressErrorCode::new(leg.family, refusal.code()))?;
                    }
                    LegState::Waiting(_) => {}
                }
            }
            let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
            writer.put(&Lifetime { seconds })?;
            if let Some(token) = &token {
                writer.put(token)?;
            }
            if let Some(ticket) = &ticket {
                writer.put(&ticket.attribute())?;
            }
            writer.put(&XorMappedAddress(client.source))
        });
        if let Some(allocation) = self.allocations.get_mut(number) {
            allocation.answer = reply.as_bytes().into();
        }
        let addresses: Vec<SocketAddr> =
            relayed.iter().map(|address| self.policy.outside(address.port.address)).collect();
        self.enter_room(number, &addresses);
        for address in relayed.iter() {
            self.ports.assign(address.port, PortUse::Allocated(number));
            self.ports.set_live(address.port, protocol);
        }
        self.by_client.insert(client, Holder::Allocation(number));
        self.expiry.arm(number, expires);
        self.reports.make_room((number as usize).saturating_add(1));
        self.counters.allocations = self.allocations.len() as u64;
        self.queue.push(Action::Report(Event::AllocationCreated {
            allocation: id,
            client,
            relayed: [addresses.first().copied(), addresses.get(1).copied()],
            subject,
            expires: credential_expires,
            bytes_per_second,
        }));
        let queued = self.answer(client, reply, AnswerCode::Success);
        self.settle(queued);
    }
}

/// What the shell is asked for. Only UDP ports come in pairs or were reserved: RFC 6062 §5.1.
const fn bind(protocol: RelayProtocol, ticket: BindTicket, pair: PortPair, wish: Option<PortWish>) -> Action {
    match (protocol, wish) {
        (RelayProtocol::Udp, Some(_)) => Action::Bind { ticket, port: pair.first, next: pair.next },
        (RelayProtocol::Udp, None) => Action::BindReserved { ticket, port: pair.first },
        (RelayProtocol::Tcp, _) => Action::Listen { ticket, port: pair.first },
    }
}
