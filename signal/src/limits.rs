//! Rates: per stranger, per room, per connection.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use causeway_protocol::{Now, PeerId, RoomId};
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

use crate::settings::LimitSettings;
use crate::stranger::Stranger;

/// Keys that one limiter remembers; about 100 bytes each. Above it, strangers that are not remembered yet are
/// refused until others have been quiet: whoever can use this many addresses is an attack.
const MAX_KEYS: usize = 100_000;

/// The limits that requests meet before anything else happens.
pub(crate) struct Limits {
    pub(crate) rooms: Keyed<Stranger>,
    pub(crate) joins: Keyed<Stranger>,
    pub(crate) passwords: Keyed<Stranger>,
    pub(crate) room_passwords: Keyed<RoomId>,
    pub(crate) sockets: Keyed<Stranger>,
    /// Messages of a peer, over all connections that it has one after the other.
    pub(crate) peers: Keyed<(RoomId, PeerId)>,
}

impl Limits {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        Self {
            rooms: Keyed::per_minute(settings.rooms_per_minute),
            joins: Keyed::per_minute(settings.joins_per_minute),
            passwords: Keyed::per_minute(settings.passwords_per_minute),
            room_passwords: Keyed::per_minute(settings.room_passwords_per_minute),
            sockets: Keyed::per_minute(settings.sockets_per_minute),
            peers: Keyed::new(message_quota(settings)),
        }
    }
}

impl Limits {
    /// Forgets who has been quiet.
    pub(crate) fn tidy(&self) {
        for limit in [&self.rooms, &self.joins, &self.passwords, &self.sockets] {
            limit.tidy();
        }
        self.room_passwords.tidy();
        self.peers.tidy();
    }
}

/// Too many; how long to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany {
    pub(crate) retry_after: Duration,
}

/// One rate for each key.
pub(crate) struct Keyed<K: Hash + Eq + Clone> {
    limiter: RateLimiter<K, DashMapStateStore<K>, DefaultClock>,
    max_keys: usize,
    /// The second of the latest sweep, so that a full store is not swept for every request.
    swept: AtomicU64,
    sweeping: Mutex<()>,
}

impl<K: Hash + Eq + Clone> Keyed<K> {
    fn per_minute(count: u32) -> Self {
        Self::new(Quota::per_minute(at_least_one(count)))
    }

    fn new(quota: Quota) -> Self {
        Self {
            limiter: RateLimiter::dashmap(quota),
            max_keys: MAX_KEYS,
            swept: AtomicU64::new(0),
            sweeping: Mutex::new(()),
        }
    }

    /// Counts one.
    pub(crate) fn check(&self, key: &K, now: Now) -> Result<(), TooMany> {
        if self.limiter.len() >= self.max_keys && !self.sweep(now) {
            return Err(TooMany { retry_after: Duration::from_secs(60) });
        }
        self.limiter.check_key(key).map_err(|not_until| TooMany {
            retry_after: not_until.wait_time_from(DefaultClock::default().now()),
        })
    }

    /// Counts one where another limit holds as well: a store that is full lets pass whom it does not remember.
    pub(crate) fn allows(&self, key: &K, now: Now) -> bool {
        let has_room = self.limiter.len() < self.max_keys || self.sweep(now);
        !has_room || self.limiter.check_key(key).is_ok()
    }

    /// Forgets who has been quiet; at most once a second. Says whether there is room for another key.
    fn sweep(&self, now: Now) -> bool {
        let second = now.moment.since_origin().as_secs() + 1;
        if let Ok(_one_at_a_time) = self.sweeping.try_lock()
            && self.swept.swap(second, Ordering::AcqRel) != second
        {
            self.limiter.retain_recent();
            self.limiter.shrink_to_fit();
        }
        self.limiter.len() < self.max_keys
    }

    fn tidy(&self) {
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
    }
}

/// One rate for all who share it.
pub(crate) struct Rate(DefaultDirectRateLimiter);

impl Rate {
    pub(crate) fn per_minute(count: u32) -> Self {
        Self(RateLimiter::direct(Quota::per_minute(at_least_one(count))))
    }

    /// Counts one.
    pub(crate) fn check(&self) -> Result<(), TooMany> {
        self.0.check().map_err(|not_until| TooMany {
            retry_after: not_until.wait_time_from(DefaultClock::default().now()),
        })
    }
}

/// What one connection may send.
pub(crate) struct Ingress {
    messages: DefaultDirectRateLimiter,
    bytes: DefaultDirectRateLimiter,
}

impl Ingress {
    pub(crate) fn new(settings: &LimitSettings) -> Self {
        let bytes = Quota::per_second(at_least_one(settings.bytes_per_second))
            .allow_burst(at_least_one(settings.byte_burst));
        Self { messages: RateLimiter::direct(message_quota(settings)), bytes: RateLimiter::direct(bytes) }
    }

    /// Whether one more message of this size is within both rates.
    pub(crate) fn allows(&self, len: usize) -> bool {
        // An empty message costs a byte.
        let len = at_least_one(u32::try_from(len).unwrap_or(u32::MAX));
        self.messages.check().is_ok() && matches!(self.bytes.check_n(len), Ok(Ok(())))
    }
}

fn message_quota(settings: &LimitSettings) -> Quota {
    Quota::per_second(at_least_one(settings.messages_per_second))
        .allow_burst(at_least_one(settings.message_burst))
}

fn at_least_one(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).unwrap_or(NonZeroU32::MIN)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use causeway_protocol::{Moment, UnixSeconds};

    use super::*;

    #[test]
    fn each_stranger_has_its_own_rate() {
        let limit = Keyed::per_minute(2);
        let (alice, bob) = (stranger(1), stranger(2));
        assert!(limit.check(&alice, now(0)).is_ok());
        assert!(limit.check(&alice, now(0)).is_ok());
        let refused = limit.check(&alice, now(0)).unwrap_err();
        assert!(refused.retry_after > Duration::from_secs(20), "{refused:?}");
        assert!(limit.check(&bob, now(0)).is_ok());
    }

    #[test]
    fn a_flood_of_strangers_meets_a_bounded_memory() {
        let limit = Keyed { max_keys: 10, ..Keyed::per_minute(1) };
        let passed = (0..100).filter(|n| limit.check(&stranger(*n), now(0)).is_ok()).count();
        assert_eq!(passed, 10);
        assert!(limit.limiter.len() <= 10);
    }

    #[test]
    fn where_another_limit_holds_a_full_store_refuses_nobody() {
        let limit = Keyed { max_keys: 1, ..Keyed::per_minute(1) };
        assert!(limit.allows(&stranger(1), now(0)));
        assert!(limit.allows(&stranger(2), now(0)) && limit.allows(&stranger(2), now(0)));
        assert!(limit.limiter.len() <= 1);
        let limit = Keyed::per_minute(1);
        assert!(limit.allows(&stranger(1), now(0)) && !limit.allows(&stranger(1), now(0)));
    }

    #[test]
    fn a_connection_is_limited_by_messages_and_by_bytes() {
        let settings = LimitSettings {
            messages_per_second: 1,
            message_burst: 3,
            bytes_per_second: 1,
            byte_burst: 100,
            ..LimitSettings::default()
        };
        let small = Ingress::new(&settings);
        assert_eq!((0..10).filter(|_| small.allows(1)).count(), 3);
        let large = Ingress::new(&settings);
        assert!(large.allows(90));
        assert!(!large.allows(90));
        assert!(!Ingress::new(&settings).allows(101));
    }

    fn stranger(n: u8) -> Stranger {
        IpAddr::from([192, 0, 2, n]).into()
    }

    fn now(seconds: u64) -> Now {
        Now { moment: Moment::from_origin(Duration::from_secs(seconds)), unix: UnixSeconds(seconds) }
    }
}
