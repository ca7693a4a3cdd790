//! Which credentials, peers and rooms were revoked, for as long as their credentials may live.

use std::collections::HashMap;

use causeway_protocol::UnixSeconds;
use causeway_protocol::bus::{RelayOrder, Revocation};
use foldhash::fast::FixedState;

use crate::auth::credentials::Grant;
use crate::event::Subject;

/// A bound on memory, guessed: credentials that live an hour allow that many kicks an hour. When it is full, the order
/// that would be forgotten first goes.
const CAPACITY: usize = 10_000;

/// What is revoked, and until when that is remembered.
#[derive(Debug)]
pub(crate) struct Revocations {
    orders: HashMap<Revocation, UnixSeconds, FixedState>,
}

impl Revocations {
    pub(crate) const fn new(hasher: FixedState) -> Self {
        Self { orders: HashMap::with_hasher(hasher) }
    }

    /// Remembers an order; the longest of several for the same counts.
    pub(crate) fn insert(&mut self, RelayOrder { revoke, until }: RelayOrder, now: UnixSeconds) {
        if until <= now {
            return;
        }
        if self.orders.len() >= CAPACITY && !self.orders.contains_key(&revoke) {
            self.make_room(now);
        }
        let remembered = self.orders.entry(revoke).or_insert(until);
        *remembered = until.max(*remembered);
    }

    fn make_room(&mut self, now: UnixSeconds) {
        self.orders.retain(|_, until| now < *until);
        if self.orders.len() >= CAPACITY
            && let Some((first, _)) = self.orders.iter().min_by_key(|(_, until)| **until)
        {
            let first = first.clone();
            self.orders.remove(&first);
        }
    }

    /// Whether a grant is revoked.
    pub(crate) fn revoked(&self, grant: &Grant, now: UnixSeconds) -> bool {
        let Subject::RoomPeer { room, peer } = &grant.subject else {
            return false;
        };
        if self.orders.is_empty() {
            return false;
        }
        let remembered = |revoked| self.orders.get(&revoked).is_some_and(|until| now < *until);
        remembered(Revocation::Room { room: room.clone() })
            || remembered(Revocation::Peer { room: room.clone(), peer: peer.clone() })
            || grant.jti.clone().is_some_and(|jti| remembered(Revocation::Credential { jti }))
    }
}

/// Whether a revocation concerns a grant.
pub(crate) fn matches(revoke: &Revocation, grant: &Grant) -> bool {
    let Subject::RoomPeer { room, peer } = &grant.subject else {
        return false;
    };
    match revoke {
        Revocation::Credential { jti } => grant.jti.as_ref() == Some(jti),
        Revocation::Peer { room: revoked, peer: revoked_peer } => room == revoked && peer == revoked_peer,
        Revocation::Room { room: revoked } => room == revoked,
    }
}

#[cfg(test)]
mod tests {
    use causeway_protocol::token::PeerPolicy;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn a_revocation_is_forgotten_when_the_order_says() {
        let mut revocations = Revocations::new(FixedState::default());
        revocations.insert(room("r", 60), NOW);
        revocations.insert(room("r", 30), NOW);
        assert!(revocations.revoked(&grant("r", "p", "j"), NOW.plus(59)));
        assert!(!revocations.revoked(&grant("r", "p", "j"), NOW.plus(60)));
    }

    #[test]
    fn what_cannot_be_used_any_more_takes_no_memory() {
        let mut revocations = Revocations::new(FixedState::default());
        revocations.insert(room("r", 0), NOW);
        assert!(revocations.orders.is_empty());
    }

    #[test]
    fn an_order_concerns_what_it_names_and_nothing_else() {
        let order = Revocation::Peer { room: "r".parse().unwrap(), peer: "p".parse().unwrap() };
        assert!(matches(&order, &grant("r", "p", "j")));
        assert!(!matches(&order, &grant("other", "p", "j")));
        assert!(!matches(&order, &grant("r", "other", "j")));
        let order = Revocation::Credential { jti: "j".parse().unwrap() };
        assert!(matches(&order, &grant("r", "p", "j")));
        assert!(!matches(&order, &grant("r", "p", "other")));
    }

    #[test]
    fn a_full_memory_forgets_what_would_be_forgotten_first() {
        let mut revocations = Revocations::new(FixedState::default());
        for (number, age) in (0..=CAPACITY).zip(0..) {
            revocations.insert(room(&format!("r{number}"), 60 + age / 1_000), NOW);
        }
        let forgotten =
            (0..1_000).filter(|number| !revocations.revoked(&grant(&format!("r{number}"), "p", "j"), NOW));
        assert_eq!(forgotten.count(), 1);
        assert!(revocations.revoked(&grant(&format!("r{CAPACITY}"), "p", "j"), NOW));
        assert_eq!(revocations.orders.len(), CAPACITY);
    }

    fn room(room: &str, seconds: u64) -> RelayOrder {
        RelayOrder { revoke: Revocation::Room { room: room.parse().unwrap() }, until: NOW.plus(seconds) }
    }

    fn grant(room: &str, peer: &str, jti: &str) -> Grant {
        Grant {
            subject: Subject::RoomPeer { room: room.parse().unwrap(), peer: peer.parse().unwrap() },
            jti: Some(jti.parse().unwrap()),
            expires: None,
            allocations: None,
            bytes: None,
            bytes_per_second: None,
            peers: PeerPolicy::Public,
        }
    }
}
