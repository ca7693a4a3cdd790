//! How many connections each source has, over all workers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// Shared by the workers. The lock is taken when a connection begins or ends, never for data. It holds one entry per
/// source with a connection, so the limit of connections bounds it.
pub(crate) struct Sources {
    limit: u32,
    counts: Mutex<HashMap<Source, u32>>,
}

/// Who is counted as one: an IPv4 address, or an IPv6 /64, which is what a subscriber gets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Source {
    V4(u32),
    V6(u64),
}

/// A connection's place among those of its source. Dropping it frees the place.
pub(crate) struct Place {
    sources: Arc<Sources>,
    source: Source,
}

impl Sources {
    /// At most `limit` connections per source.
    pub(crate) fn new(limit: u32) -> Self {
        Self { limit, counts: Mutex::default() }
    }

    /// A place for one more connection of `ip`; `None` if all are taken.
    pub(crate) fn enter(self: &Arc<Self>, ip: IpAddr) -> Option<Place> {
        let source = Source::of(ip);
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(source).or_insert(0);
        if *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Place { sources: Arc::clone(self), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.sources.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(count) = counts.get_mut(&self.source) else { return };
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(&self.source);
        }
    }
}

impl Source {
    fn of(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(v4) => Self::V4(v4.to_bits()),
            IpAddr::V6(v6) => Self::V6((v6.to_bits() >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_has_so_many_places_and_others_have_their_own() {
        let sources = Arc::new(Sources::new(2));
        let enter = |ip: &str| sources.enter(ip.parse().unwrap());
        let places = (enter("192.0.2.1"), enter("192.0.2.1"));
        assert!(places.0.is_some() && places.1.is_some());
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(places);
        assert!(enter("192.0.2.1").is_some());
    }

    #[test]
    fn the_addresses_of_an_ipv6_subscriber_are_one_source() {
        let sources = Arc::new(Sources::new(1));
        let enter = |ip: &str| sources.enter(ip.parse().unwrap());
        let _place = enter("2001:db8:0:1::1");
        assert!(enter("2001:db8:0:1:ffff::2").is_none());
        assert!(enter("2001:db8:0:2::1").is_some());
    }

    #[test]
    fn sources_without_connections_are_forgotten() {
        let sources = Arc::new(Sources::new(1));
        drop(sources.enter("192.0.2.1".parse().unwrap()));
        assert!(sources.counts.lock().unwrap().is_empty());
    }
}
