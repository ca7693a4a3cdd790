//! Which ports this relay has, whose they are, and which one to try next.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use rand_core::Rng;

use crate::address::RelayPort;
use crate::homes::Lives;
use crate::own::OwnRelays;
use crate::slab::Slab;
use crate::tcp::{RelayProtocol, WorkerNumber};

/// Random draws before the range is searched in order. A guess: at 90 % use, 16 draws fail once in five times.
const DRAWS: u32 = 16;

/// What a bound port, or one about to be, is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortUse {
    /// The shell was asked to bind it.
    Pending,
    /// The relayed address of the allocation under this number.
    Allocated(u32),
}

/// What a client wants of its port (RFC 8656 §18.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PortWish {
    Any,
    Even,
    EvenAndNext,
}

/// A port, and the next one if it was wished for. That has no slot: which relay will use it is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortPair {
    pub(crate) first: RelayPort,
    pub(crate) next: Option<SocketAddr>,
}

/// The ports of one relay, numbered by slot.
#[derive(Debug)]
pub(crate) struct Ports {
    slots: Slab<(SocketAddr, PortUse)>,
    range: RangeInclusive<u16>,
    own: Arc<OwnRelays>,
    lives: Lives,
}

impl Ports {
    pub(crate) const fn new(worker: WorkerNumber, range: RangeInclusive<u16>, own: Arc<OwnRelays>) -> Self {
        Self { slots: Slab::new(), range, own, lives: Lives::of(worker) }
    }

    /// Takes a port that no relay of this process has; unpredictable, so that nobody off the path can guess where a
    /// client is relayed (CVE-2025-69217). `None`: all are taken.
    pub(crate) fn draw(&mut self, ip: IpAddr, wish: PortWish, random: &mut dyn Rng) -> Option<PortPair> {
        let (low, high) = (*self.range.start(), *self.range.end());
        let mut candidate = low;
        for _ in 0..DRAWS {
            candidate = between(low, high, random);
            if let Some(pair) = self.take(ip, candidate, wish) {
                return Some(pair);
            }
        }
        // From the last draw upwards and round: finds a free port if there is one.
        self.search(ip, candidate, high, wish).or_else(|| self.search(ip, low, candidate, wish))
    }

    /// The lowest port of a part of the range that suits the wish.
    fn search(&mut self, ip: IpAddr, low: u16, high: u16, wish: PortWish) -> Option<PortPair> {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let suits = |free: u64| match wish {
            PortWish::Any => free,
            PortWish::Even => free & EVEN,
            PortWish::EvenAndNext => free & free >> 1 & EVEN,
        };
        let mut low = low;
        loop {
            let candidate = self.own.first_free(ip, low, high, suits)?;
            if let Some(pair) = self.take(ip, candidate, wish) {
                return Some(pair);
            }
            // Another relay was faster.
            low = candidate.checked_add(1).filter(|low| *low <= high)?;
        }
    }

    fn take(&mut self, ip: IpAddr, candidate: u16, wish: PortWish) -> Option<PortPair> {
        let first = match wish {
            PortWish::Any => candidate,
            PortWish::Even | PortWish::EvenAndNext => candidate & !1,
        };
        let next = match wish {
            PortWish::Any | PortWish::Even => None,
            PortWish::EvenAndNext => Some(first | 1),
        };
        if !self.range.contains(&first) || next.is_some_and(|next| !self.range.contains(&next)) {
            return None;
        }
        let first = SocketAddr::new(ip, first);
        let next = next.map(|next| SocketAddr::new(ip, next));
        if !self.own.claim(first) {
            return None;
        }
        if next.is_some_and(|next| !self.own.claim(next)) {
            self.own.release(first);
            return None;
        }
        Some(PortPair { first: self.occupy(first), next })
    }

    /// Makes this relay the owner of a port that was reserved.
    pub(crate) fn take_up(&mut self, reserved: SocketAddr) -> RelayPort {
        self.occupy(reserved)
    }

    fn occupy(&mut self, address: SocketAddr) -> RelayPort {
        RelayPort { slot: self.slots.insert((address, PortUse::Pending)), address }
    }

    /// Says what a port is for from here on.
    pub(crate) fn assign(&mut self, port: RelayPort, new_use: PortUse) {
        if let Some((_, port_use)) = self.slots.get_mut(port.slot) {
            *port_use = new_use;
        }
    }

    /// Lets clients of this process reach the port.
    pub(crate) fn set_live(&mut self, port: RelayPort, protocol: RelayProtocol) {
        match protocol {
            RelayProtocol::Udp => self.own.set_live(port.address, self.lives.begin(port.slot)),
            RelayProtocol::Tcp => self.own.set_live_tcp(port.address),
        }
    }

    /// Gives a port back.
    pub(crate) fn release(&mut self, port: RelayPort) {
        self.slots.remove(port.slot);
        self.own.release(port.address);
    }

    /// Gives back a port that is no relay's yet.
    pub(crate) fn release_reserved(&self, address: SocketAddr) {
        self.own.release(address);
    }

    /// Gives back what was drawn together.
    pub(crate) fn release_pair(&mut self, PortPair { first, next }: PortPair) {
        self.release(first);
        if let Some(next) = next {
            self.release_reserved(next);
        }
    }

    /// What a port is for; `None` if the slot has another port by now.
    pub(crate) fn usage(&self, port: RelayPort) -> Option<PortUse> {
        let (address, port_use) = self.slots.get(port.slot)?;
        (*address == port.address).then_some(*port_use)
    }
}

/// A number drawn evenly from a range, by drawing again what would favour the low ones.
fn between(low: u16, high: u16, random: &mut dyn Rng) -> u16 {
    let span = u32::from(high).saturating_sub(u32::from(low)).saturating_add(1);
    let even = u32::MAX.checked_rem(span).map_or(0, |rest| u32::MAX.saturating_sub(rest));
    loop {
        let drawn = random.next_u32();
        if drawn < even {
            let offset = drawn.checked_rem(span).and_then(|offset| u16::try_from(offset).ok()).unwrap_or(0);
            return low.saturating_add(offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn every_port_of_the_range_is_found_once() {
        let (mut ports, mut random) = ports(50_000..=50_099);
        let drawn: HashSet<u16> = (0..100)
            .map(|_| ports.draw(ip(), PortWish::Any, &mut random).unwrap().first.address.port())
            .collect();
        assert_eq!(drawn, (50_000..=50_099).collect());
        assert_eq!(ports.draw(ip(), PortWish::Any, &mut random), None);
    }

    #[test]
    fn a_pair_is_even_odd_and_within_the_range() {
        let (mut ports, mut random) = ports(50_001..=50_008);
        let mut pairs: Vec<(u16, u16)> =
            std::iter::from_fn(|| ports.draw(ip(), PortWish::EvenAndNext, &mut random))
                .map(|pair| (pair.first.address.port(), pair.next.unwrap().port()))
                .collect();
        pairs.sort_unstable();
        assert_eq!(pairs, [(50_002, 50_003), (50_004, 50_005), (50_006, 50_007)]);
        assert_eq!(ports.draw(ip(), PortWish::Even, &mut random).unwrap().first.address.port(), 50_008);
    }

    #[test]
    fn the_last_pair_is_found_wherever_the_draws_fall() {
        for seed in 0..20 {
            let own = Arc::new(OwnRelays::new([ip()]));
            let mut ports = Ports::new(WorkerNumber::FIRST, 40_000..=60_000, Arc::clone(&own));
            for port in (40_000..=60_000).filter(|port| ![41_000, 41_001, 50_001, 50_002].contains(port)) {
                assert!(own.claim(SocketAddr::new(ip(), port)));
            }
            let mut random = StdRng::seed_from_u64(seed);
            let pair = ports.draw(ip(), PortWish::EvenAndNext, &mut random).unwrap();
            assert_eq!(pair.first.address.port(), 41_000);
            assert_eq!(ports.draw(ip(), PortWish::EvenAndNext, &mut random), None);
            assert_eq!(ports.draw(ip(), PortWish::Even, &mut random).unwrap().first.address.port(), 50_002);
            assert_eq!(ports.draw(ip(), PortWish::Any, &mut random).unwrap().first.address.port(), 50_001);
            assert_eq!(ports.draw(ip(), PortWish::Any, &mut random), None);
        }
    }

    #[test]
    fn half_a_pair_is_given_back() {
        let own = Arc::new(OwnRelays::new([ip()]));
        let mut ports = Ports::new(WorkerNumber::FIRST, 50_000..=50_001, Arc::clone(&own));
        let mut random = StdRng::seed_from_u64(1);
        assert!(own.claim(SocketAddr::new(ip(), 50_001)));
        assert_eq!(ports.draw(ip(), PortWish::EvenAndNext, &mut random), None);
        assert_eq!(ports.draw(ip(), PortWish::Any, &mut random).unwrap().first.address.port(), 50_000);
    }

    #[test]
    fn two_relays_of_a_process_never_draw_the_same_port() {
        let own = Arc::new(OwnRelays::new([ip()]));
        let mut random = StdRng::seed_from_u64(1);
        let mut a = Ports::new(WorkerNumber::FIRST, 50_000..=50_001, Arc::clone(&own));
        let mut b = Ports::new(WorkerNumber::FIRST, 50_000..=50_001, own);
        let first = a.draw(ip(), PortWish::Any, &mut random).unwrap().first;
        let second = b.draw(ip(), PortWish::Any, &mut random).unwrap().first;
        assert_ne!(first.address, second.address);
        assert_eq!(a.draw(ip(), PortWish::Any, &mut random), None);
        b.release(second);
        assert_eq!(a.draw(ip(), PortWish::Any, &mut random).unwrap().first.address, second.address);
    }

    #[test]
    fn draws_are_spread_over_the_whole_range() {
        let mut random = StdRng::seed_from_u64(7);
        let mut counts = [0u32; 10];
        for _ in 0..10_000 {
            counts[usize::from(between(1, 10, &mut random) - 1)] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
        assert_eq!(between(7, 7, &mut random), 7);
    }

    fn ports(range: RangeInclusive<u16>) -> (Ports, StdRng) {
        (Ports::new(WorkerNumber::FIRST, range, Arc::new(OwnRelays::new([ip()]))), StdRng::seed_from_u64(1))
    }

    fn ip() -> IpAddr {
        "192.0.2.1".parse().unwrap()
    }
}
