//! Which denied peers are reported: each once, and no more than a log can bear.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};
use std::time::Duration;

use causeway_protocol::{Moment, Now};
use causeway_stun::attributes::XorPeerAddress;
use causeway_stun::{Message, Method};
use foldhash::fast::FixedState;

use crate::action::Action;
use crate::address::{ClientAddr, PeerAddr};
use crate::dropped::DropReason;
use crate::event::Event;
use crate::forbidden::Forbidden;
use crate::relay::{Holder, Relay};

/// Reports at once; a guess: what one misguided client with many candidates asks for.
const BURST: u32 = 16;
/// One report more each; a guess that leaves a log readable in the worst case.
const REFILL: Duration = Duration::from_secs(1);
/// What was reported is remembered up to this many times, and then forgotten whole: the same is told once more. The
/// memory is taken at the start, since what is denied may be data.
const REMEMBERED: usize = 1024;

/// What was reported of late.
#[derive(Debug)]
pub(crate) struct Denials {
    hasher: FixedState,
    reported: HashSet<u64, FixedState>,
    tokens: u32,
    refilled: Moment,
    suppressed: u64,
}

impl Denials {
    pub(crate) fn new(hasher: FixedState) -> Self {
        Self {
            reported: HashSet::with_capacity_and_hasher(REMEMBERED, hasher.clone()),
            hasher,
            tokens: BURST,
            refilled: Moment::default(),
            suppressed: 0,
        }
    }

    /// Whether this is to be reported, and if so, how many others were not since the last report.
    pub(crate) fn admit(&mut self, what: impl Hash, now: Moment) -> Option<u64> {
        let what = self.hasher.hash_one(what);
        if self.reported.contains(&what) {
            return None;
        }
        self.refill(now);
        let Some(left) = self.tokens.checked_sub(1) else {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        };
        self.tokens = left;
        if self.reported.len() >= REMEMBERED {
            self.reported.clear();
        }
        self.reported.insert(what);
        Some(std::mem::take(&mut self.suppressed))
    }

    fn refill(&mut self, now: Moment) {
        let seconds = now.since(self.refilled).as_secs().checked_div(REFILL.as_secs()).unwrap_or(0);
        if seconds > 0 {
            let gained = u32::try_from(seconds).unwrap_or(u32::MAX);
            self.tokens = self.tokens.saturating_add(gained).min(BURST);
            self.refilled = now;
        }
    }
}

impl Relay {
    /// A client may not reach a peer: counts it, and reports it if that is news.
    pub(crate) fn deny(&mut self, number: u32, peer: PeerAddr, reason: Forbidden, now: Now) {
        self.counters.count_denied(reason);
        let Some(allocation) = self.allocations.get(number) else { return };
        let what = (&allocation.credential.username, peer.socket().ip(), reason);
        if let Some(untold) = self.denials.admit(what, now.moment) {
            let (allocation, subject) = (allocation.id, allocation.credential.grant.subject.clone());
            self.queue.push(Action::Report(Event::PeerDenied { allocation, subject, peer, reason, untold }));
        }
    }

    /// The same for data, which has a permission and whose port is refused.
    pub(crate) fn deny_data(
        &mut self,
        number: u32,
        peer: PeerAddr,
        dropped: DropReason,
        now: Now,
    ) -> DropReason {
        let reason = [
            (DropReason::NotALiveRelay, Forbidden::NotALiveRelay),
            (DropReason::OutsideRoom, Forbidden::OutsideRoom),
            (DropReason::ForbiddenPeer, Forbidden::OwnListener),
        ]
        .into_iter()
        .find(|(named, _)| *named == dropped);
        match reason {
            Some((_, Forbidden::OwnListener)) if peer.socket().port() == 0 => {
                self.deny(number, peer, Forbidden::PortZero, now);
            }
            Some((_, reason)) => self.deny(number, peer, reason, now),
            // Lacking a permission is the client's own affair.
            None => {}
        }
        dropped
    }

    /// The peers of a request that turned out not to belong to the room.
    pub(crate) fn deny_peers_outside(&mut self, now: Now, from: ClientAddr, request: &Message<'_>) {
        let Some(Holder::Allocation(number)) = self.by_client.get(&from).copied() else { return };
        for XorPeerAddress(peer) in request.get_all::<XorPeerAddress>().filter_map(Result::ok) {
            let Some(allocation) = self.allocations.get(number) else { return };
            let outside = match self.policy.permission(peer.ip(), allocation.scope(&self.rooms)) {
                // Only Connect asks for a port, and may have been refused for it.
                Ok(_) if request.method() == Method::Connect => Forbidden::OutsideRoom,
                Ok(_) => continue,
                Err(forbidden) => forbidden,
            };
            self.deny(number, PeerAddr::new(peer), outside, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_reported_once() {
        let mut denials = Denials::new(FixedState::default());
        assert_eq!(denials.admit(("alice", 1), at(0)), Some(0));
        assert_eq!(denials.admit(("alice", 1), at(0)), None);
        assert_eq!(denials.admit(("alice", 2), at(0)), Some(0));
        assert_eq!(denials.admit(("alice", 1), at(3600)), None);
    }

    #[test]
    fn a_flood_is_cut_and_its_size_told_with_the_next_report() {
        let mut denials = Denials::new(FixedState::default());
        let reported = (0..100).filter(|number| denials.admit(number, at(0)).is_some());
        assert_eq!(reported.count(), BURST as usize);
        assert_eq!(denials.admit(1000, at(1)), Some(100 - u64::from(BURST)));
        assert_eq!(denials.admit(1001, at(1)), None, "one second, one report");
    }

    #[test]
    fn memory_stays_what_it_was_at_the_start() {
        let mut denials = Denials::new(FixedState::default());
        let capacity = denials.reported.capacity();
        for second in 0..10_000 {
            denials.admit(second, at(second));
        }
        assert_eq!(denials.reported.capacity(), capacity);
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
