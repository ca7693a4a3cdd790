//! Which relayed addresses of this process are alive, and which are reserved: what its workers share of them.
//!
//! A client may send to the relayed address of another client of ours, port and all, and to nothing else on our hosts.
//! The other allocation may live on another worker, so what is live is shared: per address two bit sets of atomics, and
//! for UDP a word per port that tells whose it is, which cost the data path one relaxed load and never a lock.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::homes::{Home, Homes};
use crate::reservation::Reservations;
use crate::tcp::RelayProtocol;

/// 65,536 ports in words of 64 bits.
const WORDS: usize = 1024;

/// The relayed addresses of a process. Share it by `Arc` among its relays.
#[derive(Debug)]
pub struct OwnRelays {
    addresses: Box<[Address]>,
    /// For each group of addresses: the ports drawn by a relay of ours, from before they are bound until after they
    /// are closed.
    claimed: Box<[Bits]>,
    /// Claimed, and no relay's before somebody presents the token.
    pub(crate) reservations: Reservations,
}

/// One bit set says who may draw a port, the rest where data may go: a port that is only about to be bound may still
/// be another process's.
#[derive(Debug)]
struct Address {
    ip: IpAddr,
    group: usize,
    /// Bound for UDP, and part of an allocation.
    live: Homes,
    /// Listened on for TCP, and part of an allocation.
    live_tcp: Bits,
}

type Bits = Box<[AtomicU64]>;

/// The place of one of our own addresses in [`OwnRelays`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnIp(u16);

impl OwnRelays {
    /// For relayed addresses on these IPs: every `relay_v4` and `relay_v6` of the listeners. Repetitions are ignored.
    #[must_use]
    pub fn new(ips: impl IntoIterator<Item = IpAddr>) -> Self {
        Self::grouped(ips.into_iter().map(|ip| [ip]))
    }

    /// The same in groups: a port that is taken on one address of a group is taken on all. So a port names one
    /// relayed address where all addresses of the group are known to others by the same external one.
    #[must_use]
    pub fn grouped(groups: impl IntoIterator<Item = impl IntoIterator<Item = IpAddr>>) -> Self {
        let mut addresses: Vec<Address> = Vec::new();
        let mut claimed = Vec::new();
        for (group, ips) in groups.into_iter().enumerate() {
            claimed.push(bits());
            for ip in ips {
                if addresses.iter().all(|known| known.ip != ip) {
                    addresses.push(Address { ip, group, live: Homes::new(), live_tcp: bits() });
                }
            }
        }
        Self { addresses: addresses.into(), claimed: claimed.into(), reservations: Reservations::default() }
    }

    /// Whether an allocation of this process has this relayed address for UDP.
    #[must_use]
    pub fn is_live(&self, address: SocketAddr) -> bool {
        self.home(address).is_some()
    }

    /// Whether an allocation of this process has this relayed address for TCP.
    #[must_use]
    pub fn is_live_tcp(&self, address: SocketAddr) -> bool {
        self.find(address.ip()).is_some_and(|own| self.is_live_at(own, address.port(), RelayProtocol::Tcp))
    }

    /// Where an IP of ours is in the set. Hosts have few addresses: a scan is the fastest search.
    pub(crate) fn find(&self, ip: IpAddr) -> Option<OwnIp> {
        let index = self.addresses.iter().position(|own| own.ip == ip)?;
        u16::try_from(index).ok().map(OwnIp)
    }

    /// Which IP it is.
    pub(crate) fn ip(&self, OwnIp(index): OwnIp) -> Option<IpAddr> {
        self.addresses.get(usize::from(index)).map(|own| own.ip)
    }

    /// Whether this port of this IP is a live relayed address for this protocol.
    pub(crate) fn is_live_at(&self, own: OwnIp, port: u16, protocol: RelayProtocol) -> bool {
        match protocol {
            RelayProtocol::Udp => self.home_at(own, port).is_some(),
            RelayProtocol::Tcp => {
                let OwnIp(index) = own;
                self.addresses.get(usize::from(index)).is_some_and(|own| test(&own.live_tcp, port))
            }
        }
    }

    /// Whose this address is, if it is a live relayed address for UDP.
    pub(crate) fn home(&self, address: SocketAddr) -> Option<Home> {
        self.home_at(self.find(address.ip())?, address.port())
    }

    /// Whose this port of this IP is, if it is a live relayed address for UDP.
    pub(crate) fn home_at(&self, OwnIp(index): OwnIp, port: u16) -> Option<Home> {
        self.addresses.get(usize::from(index))?.live.get(port)
    }

    /// Takes a port for binding; `false` if a relay of ours has it or the IP is none of ours.
    pub(crate) fn claim(&self, address: SocketAddr) -> bool {
        self.ports(address).is_some_and(|(_, claimed)| !set(claimed, address.port()))
    }

    /// The lowest port from `low` to `high` that nobody has, of those that `choose` leaves of 64 that nobody has, one a
    /// bit. Another relay may have it a moment later.
    pub(crate) fn first_free(
        &self,
        ip: IpAddr,
        low: u16,
        high: u16,
        choose: impl Fn(u64) -> u64,
    ) -> Option<u16> {
        let (_, claimed) = self.ports(SocketAddr::new(ip, low))?;
        let (first_word, first_bit) = place(low);
        let (last_word, last_bit) = place(high);
        let words = claimed.iter().enumerate().take(last_word.saturating_add(1)).skip(first_word);
        words
            .filter_map(|(index, word)| {
                let mut free = !word.load(Ordering::Relaxed);
                if index == first_word {
                    free &= !first_bit.wrapping_sub(1);
                }
                if index == last_word {
                    free &= last_bit | last_bit.wrapping_sub(1);
                }
                let bit = choose(free).trailing_zeros();
                (bit < u64::BITS).then(|| u16::try_from(index << 6 | bit as usize).ok()).flatten()
            })
            .next()
    }

    /// Gives a port back; it is no longer alive either.
    pub(crate) fn release(&self, address: SocketAddr) {
        if let Some((own, claimed)) = self.ports(address) {
            own.live.clear(address.port());
            clear(&own.live_tcp, address.port());
            clear(claimed, address.port());
        }
    }

    /// Declares a claimed port part of an allocation, for UDP, and says whose it is.
    pub(crate) fn set_live(&self, address: SocketAddr, home: Home) {
        if let Some((own, _)) = self.ports(address) {
            own.live.set(address.port(), home);
        }
    }

    /// Declares a claimed port part of an allocation, for TCP.
    pub(crate) fn set_live_tcp(&self, address: SocketAddr) {
        if let Some((own, _)) = self.ports(address) {
            set(&own.live_tcp, address.port());
        }
    }

    /// The ports of an IP, and those of its group that are claimed.
    fn ports(&self, address: SocketAddr) -> Option<(&Address, &Bits)> {
        let own = self.addresses.iter().find(|own| own.ip == address.ip())?;
        Some((own, self.claimed.get(own.group)?))
    }
}

fn bits() -> Bits {
    (0..WORDS).map(|_| AtomicU64::new(0)).collect()
}

/// The word and the bit of a port. `Relaxed` throughout: a bit says nothing about other memory, and a datagram that
/// races with the end of an allocation is as good as one a moment later.
const fn place(port: u16) -> (usize, u64) {
    ((port >> 6) as usize, 1 << (port & 63))
}

fn test(words: &[AtomicU64], port: u16) -> bool {
    let (word, bit) = place(port);
    words.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
}

/// Sets the bit and says whether it was set before.
fn set(words: &[AtomicU64], port: u16) -> bool {
    let (word, bit) = place(port);
    words.get(word).is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit != 0)
}

fn clear(words: &[AtomicU64], port: u16) {
    let (word, bit) = place(port);
    if let Some(word) = words.get(word) {
        word.fetch_and(!bit, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::homes::Lives;
    use crate::tcp::WorkerNumber;

    #[test]
    fn a_port_is_claimed_once_until_it_is_released() {
        let own = OwnRelays::new(["192.0.2.1".parse().unwrap()]);
        for port in [0, 63, 64, 65535] {
            let address = SocketAddr::new("192.0.2.1".parse().unwrap(), port);
            assert!(own.claim(address));
            assert!(!own.claim(address));
            own.release(address);
            assert!(own.claim(address));
        }
    }

    #[test]
    fn the_first_free_port_is_found_at_every_edge_of_a_word() {
        let ip = "192.0.2.1".parse().unwrap();
        let own = OwnRelays::new([ip]);
        for port in 1_000..=1_200 {
            assert!(own.claim(SocketAddr::new(ip, port)));
        }
        let any = |low, high| own.first_free(ip, low, high, |free| free);
        assert_eq!(any(1_000, 1_200), None);
        assert_eq!(any(1_000, 65_535), Some(1_201));
        assert_eq!(any(0, 1_200), Some(0));
        assert_eq!(any(65_535, 65_535), Some(65_535));
        for port in [1_000, 1_023, 1_024, 1_087, 1_088, 1_200] {
            own.release(SocketAddr::new(ip, port));
            assert_eq!(any(1_000, 1_200), Some(port));
            assert_eq!(
                (any(port, port), any(port + 1, 1_200), any(1_000, port - 1)),
                (Some(port), None, None)
            );
            assert!(own.claim(SocketAddr::new(ip, port)));
        }
    }

    #[test]
    fn a_claimed_port_is_not_alive_before_it_is_said_to_be() {
        let own = OwnRelays::new(["2001:db8::1".parse().unwrap()]);
        let address = "[2001:db8::1]:50000".parse().unwrap();
        assert!(own.claim(address));
        assert!(!own.is_live(address));
        own.set_live_tcp(address);
        assert!(!own.is_live(address), "TCP ports are not UDP ports");
        own.set_live(address, home());
        assert!(own.is_live(address));
        assert!(!own.is_live("[2001:db8::1]:50001".parse().unwrap()));
        own.release(address);
        assert!(!own.is_live(address));
    }

    #[test]
    fn in_a_group_a_port_is_claimed_once_and_lives_where_it_was_claimed() {
        let own = OwnRelays::grouped(
            [["192.0.2.1", "192.0.2.2"], ["192.0.2.3", "192.0.2.3"]]
                .map(|group| group.map(|ip| ip.parse().unwrap())),
        );
        let [first, second, third] =
            ["192.0.2.1:50000", "192.0.2.2:50000", "192.0.2.3:50000"].map(|address| address.parse().unwrap());
        assert!(own.claim(second));
        assert!(!own.claim(first));
        assert!(own.claim(third));
        own.set_live(second, home());
        assert!(own.is_live(second) && !own.is_live(first));
        own.release(second);
        assert!(own.claim(first));
    }

    #[test]
    fn an_ip_of_others_is_never_ours() {
        let own = OwnRelays::new(["192.0.2.1".parse().unwrap()]);
        assert!(!own.claim("192.0.2.2:50000".parse().unwrap()));
        assert!(!own.is_live("192.0.2.2:50000".parse().unwrap()));
    }

    fn home() -> Home {
        Lives::of(WorkerNumber::FIRST).begin(0)
    }
}
