//! Which credentials, peers and rooms were revoked, for as long as their credentials may live.

use std::collections::HashMap;
use std::time::Duration;

use causeway_protocol::UnixSeconds;
use causeway_protocol::bus::RelayOrder;
use foldhash::fast::FixedState;

use crate::auth::credentials::Grant;
use crate::event::Subject;

/// A bound on memory, guessed: at 30 kicks an hour a day's revocations are 720. When it is full the oldest goes.
const CAPACITY: usize = 10_000;

/// Orders, and until when each is remembered.
#[derive(Debug)]
pub(crate) struct Revocations {
    orders: HashMap<RelayOrder, UnixSeconds, FixedState>,
    lifetime: Duration,
}

impl Revocations {
    pub(crate) const fn new(lifetime: Duration, hasher: FixedState) -> Self {
        Self { orders: HashMap::with_hasher(hasher), lifetime }
    }

    /// Remembers an order; given again, it is remembered longer.
    pub(crate) fn insert(&mut self, order: RelayOrder, now: UnixSeconds) {
        if self.orders.len() >= CAPACITY && !self.orders.contains_key(&order) {
            self.make_room(now);
        }
        self.orders.insert(order, now.plus(self.lifetime.as_secs()));
    }

    fn make_room(&mut self, now: UnixSeconds) {
        self.orders.retain(|_, until| now < *until);
        if self.orders.len() >= CAPACITY
            && let Some(oldest) = self.orders.iter().min_by_key(|(_, until)| **until)
        {
            let oldest = oldest.0.clone();
            self.orders.remove(&oldest);
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
        let remembered = |order| self.orders.get(&order).is_some_and(|until| now < *until);
        remembered(RelayOrder::RevokeRoom { room: room.clone() })
            || remembered(RelayOrder::RevokePeer { room: room.clone(), peer: peer.clone() })
            || grant.jti.clone().is_some_and(|jti| remembered(RelayOrder::RevokeCredential { jti }))
    }
}

/// Whether an order concerns a grant.
pub(crate) fn matches(order: &RelayOrder, grant: &Grant) -> bool {
    let Subject::RoomPeer { room, peer } = &grant.subject else {
        return false;
    };
    match order {
        RelayOrder::RevokeCredential { jti } => grant.jti.as_ref() == Some(jti),
        RelayOrder::RevokePeer { room: revoked, peer: revoked_peer } => {
            room == revoked && peer == revoked_peer
        }
        RelayOrder::RevokeRoom { room: revoked } => room == revoked,
    }
}

#[cfg(test)]
mod tests {
    use causeway_protocol::token::PeerPolicy;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn a_revocation_is_forgotten_after_its_lifetime() {
        let mut revocations = Revocations::new(Duration::from_secs(60), FixedState::default());
        revocations.insert(RelayOrder::RevokeRoom { room: "r".parse().unwrap() }, NOW);
        assert!(revocations.revoked(&grant("r", "p", "j"), NOW.plus(59)));
        assert!(!revocations.revoked(&grant("r", "p", "j"), NOW.plus(60)));
    }

    #[test]
    fn an_order_concerns_what_it_names_and_nothing_else() {
        let order = RelayOrder::RevokePeer { room: "r".parse().unwrap(), peer: "p".parse().unwrap() };
        assert!(matches(&order, &grant("r", "p", "j")));
        assert!(!matches(&order, &grant("other", "p", "j")));
        assert!(!matches(&order, &grant("r", "other", "j")));
        let order = RelayOrder::RevokeCredential { jti: "j".parse().unwrap() };
        assert!(matches(&order, &grant("r", "p", "j")));
        assert!(!matches(&order, &grant("r", "p", "other")));
    }

    #[test]
    fn a_full_memory_forgets_the_oldest_order() {
        let mut revocations = Revocations::new(Duration::from_secs(60), FixedState::default());
        for (number, age) in (0..=CAPACITY).zip(0..) {
            let order = RelayOrder::RevokeRoom { room: format!("r{number}").parse().unwrap() };
            revocations.insert(order, NOW.plus(age / 1_000));
        }
        let forgotten =
            (0..1_000).filter(|number| !revocations.revoked(&grant(&format!("r{number}"), "p", "j"), NOW));
        assert_eq!(forgotten.count(), 1);
        assert!(revocations.revoked(&grant(&format!("r{CAPACITY}"), "p", "j"), NOW));
        assert_eq!(revocations.orders.len(), CAPACITY);
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
