//! Handshakes that go on: how many there may be, and whose place a further one takes.
//!
//! dimpl keeps state from the first ClientHello on, which anybody can send in anybody's name. So these sessions are
//! few, short-lived and the first to go. Evicting the oldest beats refusing the newest: a flood that fills the table
//! would otherwise lock everybody out until the deadline, while this way it has to replace the whole table within the
//! two round trips of an honest client.

use std::net::{IpAddr, Ipv6Addr};

/// What counts as one source: an IPv4 address, or the /64 that a host on IPv6 has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Source(IpAddr);

impl Source {
    pub(super) fn of(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(_) => ip,
            IpAddr::V6(v6) => {
                let [a, b, c, d, ..] = v6.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
        })
    }
}

/// The sessions whose handshake goes on, by slot, the oldest first.
///
/// A few hundred entries are scanned for each new one: a microsecond, where a ClientHello costs a hundred.
pub(super) struct Handshakes {
    entries: Vec<(Source, u32)>,
    limit: usize,
    per_source: usize,
}

impl Handshakes {
    pub(super) fn new(limit: usize, per_source: usize) -> Self {
        Self { entries: Vec::with_capacity(limit), limit, per_source }
    }

    /// Who has to go before `source` may start another.
    pub(super) fn displaced_by(&self, source: Source) -> Option<u32> {
        let mut own = self.entries.iter().filter(|(of, _)| *of == source);
        let oldest_own = own.next().map(|(_, slot)| *slot);
        let count = own.count() + usize::from(oldest_own.is_some());
        if count >= self.per_source {
            return oldest_own;
        }
        if self.entries.len() < self.limit { None } else { self.entries.first().map(|(_, slot)| *slot) }
    }

    pub(super) fn begin(&mut self, source: Source, slot: u32) {
        self.entries.push((source, slot));
    }

    /// It succeeded, or failed.
    pub(super) fn end(&mut self, slot: u32) {
        if let Some(at) = self.entries.iter().position(|(_, of)| *of == slot) {
            self.entries.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_beyond_its_share_displaces_its_own_oldest() {
        let mut handshakes = Handshakes::new(10, 2);
        handshakes.begin(source("192.0.2.1"), 0);
        handshakes.begin(source("192.0.2.2"), 1);
        assert_eq!(handshakes.displaced_by(source("192.0.2.2")), None);
        handshakes.begin(source("192.0.2.2"), 2);
        assert_eq!(handshakes.displaced_by(source("192.0.2.2")), Some(1));
        assert_eq!(handshakes.displaced_by(source("192.0.2.3")), None);
    }

    #[test]
    fn beyond_the_limit_the_oldest_of_all_goes() {
        let mut handshakes = Handshakes::new(2, 2);
        handshakes.begin(source("192.0.2.1"), 0);
        handshakes.begin(source("192.0.2.2"), 1);
        assert_eq!(handshakes.displaced_by(source("192.0.2.3")), Some(0));
        handshakes.end(0);
        assert_eq!(handshakes.displaced_by(source("192.0.2.3")), None);
    }

    #[test]
    fn addresses_of_one_ipv6_network_are_one_source() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::1"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
    }

    fn source(ip: &str) -> Source {
        Source::of(ip.parse().unwrap())
    }
}
