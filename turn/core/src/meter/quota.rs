//! How many allocations there are: in all, of each user, in each room, from each source. One lock guards all of it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use causeway_protocol::{RoomId, UnixSeconds};
use foldhash::fast::FixedState;

use super::budget::{Budget, BudgetRefused, Budgets};
use crate::auth::credentials::Grant;
use crate::config::Limits;
use crate::counters::labels;
use crate::event::Subject;

labels! {
    /// Which limit refused an Allocate request.
    Quota {
        /// The node's allocations: 508.
        Node = "node",
        /// Those of one user or room peer: 486.
        User = "user",
        /// Those of one room: 486.
        Room = "room",
        /// Those from one source address: 486.
        Source = "source",
        /// The bytes of one credential: 486.
        Bytes = "bytes",
        /// The byte budgets that a node remembers: 508.
        Budgets = "budgets",
    }
}

/// The source of a client as quotas see it: an IPv4 address, or the /64 that an IPv6 host chooses its addresses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct SourceNetwork(IpAddr);

impl SourceNetwork {
    pub(super) fn of(ip: IpAddr) -> Self {
        Self(match ip.to_canonical() {
            IpAddr::V4(v4) => IpAddr::V4(v4),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

/// The counts. Each table has at most one entry per allocation; that of budgets has a limit of its own.
#[derive(Debug)]
pub(super) struct Quotas {
    allocations: usize,
    users: Counts<Subject>,
    rooms: Counts<RoomId>,
    sources: Counts<SourceNetwork>,
    budgets: Budgets,
}

impl Quotas {
    pub(super) fn new(hasher: FixedState) -> Self {
        Self {
            allocations: 0,
            users: Counts::new(hasher.clone()),
            rooms: Counts::new(hasher.clone()),
            sources: Counts::new(hasher.clone()),
            budgets: Budgets::new(hasher),
        }
    }

    /// Counts an allocation, and hands out the budget that it draws on, if it has one.
    pub(super) fn enter(
        &mut self,
        grant: &Grant,
        source: SourceNetwork,
        limits: &Limits,
        now: UnixSeconds,
    ) -> Result<Option<Arc<Budget>>, Quota> {
        if self.allocations >= limits.allocations {
            return Err(Quota::Node);
        }
        let of_user = grant.allocations.unwrap_or(limits.allocations_per_user);
        if self.users.of(&grant.subject) >= of_user {
            return Err(Quota::User);
        }
        if let Some(room) = room_of(&grant.subject)
            && limits.allocations_per_room != 0
            && self.rooms.of(room) >= limits.allocations_per_room
        {
            return Err(Quota::Room);
        }
        if limits.allocations_per_source != 0 && self.sources.of(&source) >= limits.allocations_per_source {
            return Err(Quota::Source);
        }
        let budget = match (&grant.jti, grant.bytes, grant.expires) {
            (Some(jti), Some(bytes), Some(expires)) => {
                let opened = self.budgets.open(jti, bytes, expires, limits.budgets(), now);
                Some(opened.map_err(|refused| match refused {
                    BudgetRefused::Spent => Quota::Bytes,
                    BudgetRefused::Full => Quota::Budgets,
                })?)
            }
            (None, _, _) | (_, None, _) | (_, _, None) => None,
        };

        self.allocations = self.allocations.saturating_add(1);
        self.users.add(&grant.subject);
        if let Some(room) = room_of(&grant.subject) {
            self.rooms.add(room);
        }
        self.sources.add(&source);
        Ok(budget)
    }

    /// An allocation that entered is gone.
    pub(super) fn leave(&mut self, subject: &Subject, source: SourceNetwork) {
        self.allocations = self.allocations.saturating_sub(1);
        self.users.remove(subject);
        if let Some(room) = room_of(subject) {
            self.rooms.remove(room);
        }
        self.sources.remove(&source);
    }
}

const fn room_of(subject: &Subject) -> Option<&RoomId> {
    match subject {
        Subject::RoomPeer { room, .. } => Some(room),
        Subject::Rest(_) | Subject::Static(_) | Subject::Token(_) => None,
    }
}

/// How many of each; what there is none of takes no memory.
#[derive(Debug)]
struct Counts<K>(HashMap<K, u32, FixedState>);

impl<K: Clone + Eq + Hash> Counts<K> {
    const fn new(hasher: FixedState) -> Self {
        Self(HashMap::with_hasher(hasher))
    }

    fn of(&self, key: &K) -> u32 {
        self.0.get(key).copied().unwrap_or(0)
    }

    fn add(&mut self, key: &K) {
        match self.0.get_mut(key) {
            Some(count) => *count = count.saturating_add(1),
            None => {
                self.0.insert(key.clone(), 1);
            }
        }
    }

    fn remove(&mut self, key: &K) {
        let Some(count) = self.0.get_mut(key) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            self.0.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use causeway_protocol::token::PeerPolicy;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn a_room_has_its_own_limit_whoever_is_in_it() {
        let limits = Limits { allocations_per_room: 2, ..Limits::default() };
        check(&limits, &[("r", "a", "1.1.1.1", Ok(())), ("r", "b", "1.1.1.2", Ok(()))]);
        check(
            &limits,
            &[
                ("r", "a", "1.1.1.1", Ok(())),
                ("r", "b", "1.1.1.2", Ok(())),
                ("r", "c", "1.1.1.3", Err(Quota::Room)),
                ("other", "c", "1.1.1.3", Ok(())),
            ],
        );
    }

    #[test]
    fn an_ipv6_source_is_its_64_and_a_mapped_one_its_ipv4() {
        let limits = Limits { allocations_per_source: 1, ..Limits::default() };
        check(
            &limits,
            &[
                ("r", "a", "2001:db8::1", Ok(())),
                ("r", "b", "2001:db8::ffff:ffff:ffff:ffff", Err(Quota::Source)),
                ("r", "c", "2001:db8:0:1::1", Ok(())),
                ("r", "d", "192.0.2.1", Ok(())),
                ("r", "e", "::ffff:192.0.2.1", Err(Quota::Source)),
                ("r", "f", "192.0.2.2", Ok(())),
            ],
        );
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let limits = Limits { allocations_per_source: 0, allocations_per_room: 0, ..Limits::default() };
        let many: Vec<_> = (0..50).map(|_| ("r", "a", "1.1.1.1", Ok(()))).collect();
        check(&limits, &many);
    }

    #[test]
    fn who_is_refused_leaves_no_trace_and_who_leaves_takes_all_along() {
        let limits = Limits { allocations_per_room: 1, ..Limits::default() };
        let mut quotas = Quotas::new(FixedState::default());
        let source = SourceNetwork::of("1.1.1.1".parse().unwrap());
        assert!(quotas.enter(&grant("r", "a"), source, &limits, NOW).is_ok());
        assert_eq!(quotas.enter(&grant("r", "b"), source, &limits, NOW).unwrap_err(), Quota::Room);
        quotas.leave(&grant("r", "a").subject, source);
        assert!(quotas.users.0.is_empty() && quotas.rooms.0.is_empty() && quotas.sources.0.is_empty());
        assert_eq!(quotas.allocations, 0);
    }

    fn check(limits: &Limits, steps: &[(&str, &str, &str, Result<(), Quota>)]) {
        let mut quotas = Quotas::new(FixedState::default());
        for (room, peer, ip, expected) in steps {
            let source = SourceNetwork::of(ip.parse().unwrap());
            let entered = quotas.enter(&grant(room, peer), source, limits, NOW);
            assert_eq!(entered.map(|_| ()), *expected, "{room} {peer} {ip}");
        }
    }

    fn grant(room: &str, peer: &str) -> Grant {
        Grant {
            subject: Subject::RoomPeer { room: room.parse().unwrap(), peer: peer.parse().unwrap() },
            jti: None,
            expires: None,
            allocations: None,
            bytes: None,
            bytes_per_second: None,
            peers: PeerPolicy::Public,
        }
    }
}
