//! Allocate: give me a relayed address (RFC 8656 §7.2). The answer waits until the shell has bound the port.

use std::net::IpAddr;

use causeway_stun::attributes::{
    AdditionalAddressFamily, AddressFamily, DraftAdditionalAddressFamily, EvenPort, Lifetime,
    RequestedAddressFamily, ReservationToken,
};
use causeway_stun::{AttributeError, AttributeType, Message};

use super::pending::{Leg, LegState, Pending};
use super::{Outcome, Refusal, Request};
use crate::action::Reply;
use crate::auth::check::Authenticated;
use crate::config::Listener;
use crate::meter::Quota;
use crate::mobility::{self, Mobile};
use crate::ports::{PortPair, PortWish};
use crate::relay::{Holder, Relay};
use crate::tcp::RelayProtocol;

/// What a client wants allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// The port that this token was given for.
    Reserved(ReservationToken),
    /// One address.
    One { family: AddressFamily, ip: IpAddr, port: PortWish },
    /// An IPv4 and an IPv6 address; `None` where the listener gives none.
    Both { v4: Option<IpAddr>, v6: Option<IpAddr>, port: PortWish },
}

impl Relay {
    pub(super) fn allocate(
        &mut self,
        request: &Request<'_>,
        sender: &Authenticated,
    ) -> Result<Outcome, Refusal> {
        // 1. Authentication: done.
        // 2. A 5-tuple in use: 437, unless this is the request that made the allocation, sent again because the answer
        //    was lost or is not there yet.
        match self.holder(request.from, request.now) {
            Some(Holder::Pending(ticket)) => {
                let pending = self.pending.get(&ticket);
                return match pending.is_some_and(|pending| pending.is_of(request, sender)) {
                    true => Ok(Outcome::Later),
                    false => Err(Refusal::AllocationMismatch),
                };
            }
            Some(Holder::Allocation(number)) => {
                let allocation = self.allocations.get(number).ok_or(Refusal::AllocationMismatch)?;
                let again = allocation.created_by == request.message.transaction_id()
                    && allocation.credential.username == sender.credential.username;
                return match again {
                    true => Ok(Outcome::Answered(Reply::repeated(&allocation.answer))),
                    false => Err(Refusal::AllocationMismatch),
                };
            }
            None => {}
        }

        // 3. REQUESTED-TRANSPORT: missing or malformed 400, other than UDP and TCP 442. 4. to 9.: what is wanted.
        let listener = self.config.listener(request.from.listener).ok_or(Refusal::InsufficientCapacity)?;
        let protocol = RelayProtocol::wished(&request.message, request.from.via, self.config.tcp_relaying)?;
        let wish = Wish::of(&request.message, listener)?;
        let mobile = mobility::wished(&request.message, self.config.mobility)?;
        let lifetime = request.message.get::<Lifetime>().map_err(|_malformed| Refusal::BadRequest)?;

        // 10. Quotas: 486. Our own limits, and no new client on a node that is to be empty soon: 300 if another has
        //     room, or 508.
        let limits = self.config.limits;
        if self.draining {
            return Err(self.elsewhere(request, wish));
        }
        if self.pending.len() >= limits.pending_binds {
            return Err(Refusal::InsufficientCapacity);
        }
        let admission =
            match self.meters.admit(request.from, &sender.credential.grant, &limits, request.now.unix) {
                Ok(admission) => admission,
                Err(quota) => {
                    self.counters.count_quota_refusal(quota);
                    return Err(match quota {
                        Quota::Node => self.elsewhere(request, wish),
                        Quota::User | Quota::Room | Quota::Source | Quota::Bytes | Quota::Budgets => {
                            Refusal::of_quota(quota)
                        }
                    });
                }
            };
        let legs = self.legs(wish, sender, request)?;
        let lifetime = self.config.granted_lifetime(lifetime);
        let mobile = mobile.then(Mobile::default);
        self.begin(Pending::new(request, sender, protocol, mobile, lifetime, admission, legs), request.now);
        Ok(Outcome::Later)
    }

    /// RFC 8489 §10: to another node. A reserved port is here or nowhere.
    fn elsewhere(&mut self, request: &Request<'_>, wish: Wish) -> Refusal {
        let server = match (wish, self.config.listener(request.from.listener)) {
            (Wish::Reserved(_), _) | (_, None) => None,
            (Wish::One { .. } | Wish::Both { .. }, Some(listener)) => {
                self.servers.pick(request.from, listener, &mut *self.random)
            }
        };
        server.map_or(Refusal::InsufficientCapacity, Refusal::TryAlternate)
    }

    /// Takes the ports; if none can be had the request fails, if one of two can be had it does not.
    fn legs(
        &mut self,
        wish: Wish,
        sender: &Authenticated,
        request: &Request<'_>,
    ) -> Result<[Option<Leg>; 2], Refusal> {
        match wish {
            Wish::Reserved(token) => {
                let subject = &sender.credential.grant.subject;
                let reserved = self
                    .own
                    .reservations
                    .take(token, subject, request.now.moment)
                    .ok_or(Refusal::InsufficientCapacity)?;
                let family = AddressFamily::of(reserved.ip());
                let first = self.ports.take_up(reserved);
                let state = LegState::Waiting(PortPair { first, next: None });
                Ok([Some(Leg { family, wish: None, tries: 1, state }), None])
            }
            Wish::One { family, ip, port } => {
                if port == PortWish::EvenAndNext
                    && self.own.reservations.len() >= self.config.limits.reservations
                {
                    return Err(Refusal::InsufficientCapacity);
                }
                let leg = self.leg(family, Some(ip), port);
                match leg.state {
                    LegState::Failed(refusal) => Err(refusal),
                    LegState::Waiting(_) | LegState::Bound(_) => Ok([Some(leg), None]),
                }
            }
            Wish::Both { v4, v6, port } => {
                let v4 = self.leg(AddressFamily::Ipv4, v4, port);
                let v6 = self.leg(AddressFamily::Ipv6, v6, port);
                match (v4.state, v6.state) {
                    (LegState::Failed(refusal), LegState::Failed(_)) => Err(refusal),
                    (_, _) => Ok([Some(v4), Some(v6)]),
                }
            }
        }
    }

    fn leg(&mut self, family: AddressFamily, ip: Option<IpAddr>, wish: PortWish) -> Leg {
        let state = match ip {
            None => LegState::Failed(Refusal::AddressFamilyNotSupported),
            Some(ip) => match self.ports.draw(ip, wish, &mut *self.random) {
                Some(pair) => LegState::Waiting(pair),
                None => LegState::Failed(Refusal::InsufficientCapacity),
            },
        };
        Leg { family, wish: Some(wish), tries: 1, state }
    }
}

impl Wish {
    /// RFC 8656 §7.2, steps 4 to 9, as far as they need no memory.
    fn of(message: &Message<'_>, listener: &Listener) -> Result<Self, Refusal> {
        // 4. DONT-FRAGMENT is supported.
        // 5. RESERVATION-TOKEN excludes every other wish.
        let even = message.get::<EvenPort>().map_err(|_malformed| Refusal::BadRequest)?;
        let token = message.get::<ReservationToken>().map_err(|_malformed| Refusal::BadRequest)?;
        let requested = message.has(AttributeType::REQUESTED_ADDRESS_FAMILY);
        let additional = message.has(AttributeType::ADDITIONAL_ADDRESS_FAMILY)
            || message.has(AttributeType::DRAFT_ADDITIONAL_ADDRESS_FAMILY);
        if let Some(token) = token {
            return match even.is_some() || requested || additional {
                true => Err(Refusal::BadRequest),
                false => Ok(Self::Reserved(token)),
            };
        }

        // 6. REQUESTED- and ADDITIONAL-ADDRESS-FAMILY exclude each other.
        if requested && additional {
            return Err(Refusal::BadRequest);
        }
        let port = match even {
            None => PortWish::Any,
            Some(EvenPort { reserve_next: false }) => PortWish::Even,
            Some(EvenPort { reserve_next: true }) => PortWish::EvenAndNext,
        };

        // 8., 9. ADDITIONAL-ADDRESS-FAMILY names IPv6, and excludes EVEN-PORT with R.
        let (v4, v6) = (listener.relay_ip(AddressFamily::Ipv4), listener.relay_ip(AddressFamily::Ipv6));
        if additional {
            return match (additional_family(message), port) {
                (Ok(Some(AddressFamily::Ipv6)), PortWish::Any | PortWish::Even) => {
                    Ok(Self::Both { v4, v6, port })
                }
                (Ok(_) | Err(_), PortWish::Any | PortWish::Even | PortWish::EvenAndNext) => {
                    Err(Refusal::BadRequest)
                }
            };
        }

        // 7. The family asked for, or 440. Without one IPv4 is meant; RFC 8656 would answer 440 on a host that has
        //    none, but browsers cannot ask for IPv6, so there they get the family there is.
        let family = match message.get::<RequestedAddressFamily>() {
            Ok(Some(RequestedAddressFamily(family))) => family,
            Ok(None) if v4.is_none() => AddressFamily::Ipv6,
            Ok(None) => AddressFamily::Ipv4,
            Err(AttributeError::AddressFamily { .. }) => return Err(Refusal::AddressFamilyNotSupported),
            Err(
                AttributeError::Length { .. } | AttributeError::NotUtf8 { .. } | AttributeError::Range { .. },
            ) => return Err(Refusal::BadRequest),
        };
        let ip = listener.relay_ip(family).ok_or(Refusal::AddressFamilyNotSupported)?;
        Ok(Self::One { family, ip, port })
    }
}

/// ADDITIONAL-ADDRESS-FAMILY under its registered number, or under that of the drafts.
fn additional_family(message: &Message<'_>) -> Result<Option<AddressFamily>, AttributeError> {
    let registered = message.get::<AdditionalAddressFamily>()?.map(|AdditionalAddressFamily(family)| family);
    let draft =
        message.get::<DraftAdditionalAddressFamily>()?.map(|DraftAdditionalAddressFamily(family)| family);
    Ok(registered.or(draft))
}
