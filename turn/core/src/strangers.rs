//! Answers to senders that proved nothing, limited per source address: who is flooded by spoofing in our name is
//! flooded thinly.
//!
//! A table of fixed size, found by a seeded hash of the source; nothing is stored about anybody. Two sources in one slot
//! share its budget, and whoever could find such pairs could as well spoof the other source itself. One slot is one number:
//! the moment at which its budget is whole again.
//!
//! ```text
//!             now                 whole again
//! ─────────────┼───────────────────────┼──────────┬──► time
//!              └── answers given, each ┘          └ now + burst: no answer may lead beyond
//!                  one interval long
//! ```

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::time::Duration;

use causeway_protocol::Moment;
use foldhash::quality::FixedState;

/// A guess: 256 KiB a worker, and at the default rate more answers a second than a worker can give, so that a flood from
/// every address there is does not silence us towards honest newcomers.
const SLOTS: usize = 1 << 14;

/// How many answers a source address gets that has not authenticated: Binding answers, and 400, 401, 420 and 438. The unit is
/// an IPv4 address or an IPv6 /64, of one [`Relay`](crate::Relay). What is authenticated is never limited by it, nor is
/// loopback, where nobody is hit by spoofing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrangerLimits {
    /// In the long run; at least 1. Default: 200, a guess: an office of 2000 people behind one address, whose browsers
    /// ask every ten seconds. To whom it does not belong that is 18 kB a second.
    pub answers_per_second: u32,
    /// At once, after a time of silence; at least 1. Default: 1000, a guess: half of that office joins a call.
    pub burst: u32,
}

impl Default for StrangerLimits {
    fn default() -> Self {
        Self { answers_per_second: 200, burst: 1000 }
    }
}

/// The budgets of all sources.
pub(crate) struct Strangers {
    hasher: FixedState,
    interval: Duration,
    burst: Duration,
    /// When each slot's budget is whole again.
    whole_again: Box<[Moment]>,
}

impl Strangers {
    pub(crate) fn new(limits: StrangerLimits, seed: u64) -> Self {
        let interval =
            Duration::from_secs(1).checked_div(limits.answers_per_second).unwrap_or(Duration::from_secs(1));
        Self {
            hasher: FixedState::with_seed(seed),
            interval,
            burst: interval.saturating_mul(limits.burst.max(1)),
            whole_again: vec![Moment::default(); SLOTS].into_boxed_slice(),
        }
    }

    /// Whether this source gets one more answer; if so it is counted.
    pub(crate) fn admit(&mut self, source: IpAddr, now: Moment) -> bool {
        let source = source.to_canonical();
        if source.is_loopback() {
            return true;
        }
        let slot = self.slot(source);
        let Some(whole_again) = self.whole_again.get_mut(slot) else { return false };
        let next = (*whole_again).max(now).plus(self.interval);
        if next > now.plus(self.burst) {
            return false;
        }
        *whole_again = next;
        true
    }

    #[expect(clippy::cast_possible_truncation, reason = "the low bits of a hash are as good as any")]
    fn slot(&self, source: IpAddr) -> usize {
        let hash = match source {
            IpAddr::V4(v4) => self.hasher.hash_one(v4.octets()),
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                self.hasher.hash_one([a, b, c, d])
            }
        };
        hash as usize % SLOTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: StrangerLimits = StrangerLimits { answers_per_second: 10, burst: 5 };

    #[test]
    fn a_source_gets_its_burst_and_then_its_rate() {
        let mut strangers = Strangers::new(LIMITS, 1);
        let mut admitted = |milliseconds| {
            let now = Moment::from_origin(Duration::from_millis(milliseconds));
            (0..100).filter(|_| strangers.admit(ip("9.9.9.9"), now)).count()
        };
        assert_eq!([admitted(1000), admitted(1099), admitted(1100), admitted(1300)], [5, 0, 1, 2]);
        assert_eq!(admitted(60_000), 5);
    }

    #[test]
    fn an_ipv6_source_is_its_network_of_64_bits() {
        let mut strangers = Strangers::new(LIMITS, 1);
        let mut admitted =
            |source| (0..100).filter(|_| strangers.admit(ip(source), Moment::default())).count();
        assert_eq!([admitted("2a00::1"), admitted("2a00::ffff:1"), admitted("2a00:0:0:1::1")], [5, 0, 5]);
        assert_eq!([admitted("9.9.9.9"), admitted("::ffff:9.9.9.9")], [5, 0]);
    }

    #[test]
    fn loopback_is_not_limited() {
        let mut strangers = Strangers::new(LIMITS, 1);
        for source in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!((0..100).all(|_| strangers.admit(ip(source), Moment::default())));
        }
    }

    #[test]
    fn nobody_can_tell_without_the_seed_who_shares_a_slot() {
        let (one, other) = (Strangers::new(LIMITS, 1), Strangers::new(LIMITS, 2));
        let differ = (0..=255).filter(|last| {
            let source = IpAddr::from([9, 9, 9, *last]);
            one.slot(source) != other.slot(source)
        });
        assert!(differ.count() > 250);
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }
}
