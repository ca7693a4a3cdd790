//! Behaviour discovery (RFC 5780): from which other addresses of ours an answer can come.
//!
//! ```text
//!            P1          P2
//!       ┌───────────┬───────────┐   A request that reached A1:P1 can be answered
//!    A1 │ reached   │ port      │   from any of the four, so that the client learns
//!    A2 │ ip        │ both      │   what its NAT lets in.
//!       └───────────┴───────────┘
//! ```

use std::net::{IpAddr, SocketAddr};

use causeway_stun::attributes::ChangeRequest;

use crate::address::ListenerId;
use crate::config::Listener;

/// Whether clients may examine their NAT with the listeners' help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BehaviorDiscovery {
    /// No: a Binding answer is as small as can be.
    #[default]
    Off,
    /// Yes, on the listeners on one of these ports that have the three others that RFC 5780 §6 asks for: the other port
    /// on the same address, and both ports on another address of the same family and kind, loopback or not.
    On {
        /// The port that clients know, and the alternate one.
        ports: [u16; 2],
    },
}

/// The listeners that can answer in place of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alternates {
    port: ListenerId,
    ip: ListenerId,
    pub(crate) both: ListenerId,
}

impl Alternates {
    /// RFC 5780 §6.1, table 1: where the answer to a request that reached `here` comes from.
    pub(crate) const fn source(&self, here: ListenerId, change: ChangeRequest) -> ListenerId {
        match (change.ip, change.port) {
            (false, false) => here,
            (false, true) => self.port,
            (true, false) => self.ip,
            (true, true) => self.both,
        }
    }
}

/// For each listener its alternates.
#[derive(Debug)]
pub(crate) struct AlternateTable(Box<[Option<Alternates>]>);

impl AlternateTable {
    pub(crate) fn new(discovery: BehaviorDiscovery, listeners: &[Listener]) -> Self {
        let addresses: Vec<SocketAddr> = listeners.iter().map(|listener| listener.address).collect();
        Self(match discovery {
            BehaviorDiscovery::Off => Box::default(),
            BehaviorDiscovery::On { ports } => {
                addresses.iter().map(|address| alternates(*address, ports, &addresses)).collect()
            }
        })
    }

    pub(crate) fn of(&self, ListenerId(index): ListenerId) -> Option<Alternates> {
        *self.0.get(usize::from(index))?
    }
}

fn alternates(here: SocketAddr, ports: [u16; 2], all: &[SocketAddr]) -> Option<Alternates> {
    let other_port = match ports {
        [first, second] if here.port() == first => second,
        [first, second] if here.port() == second => first,
        [_, _] => return None,
    };
    let id = |address: SocketAddr| {
        let index = all.iter().position(|known| *known == address)?;
        u16::try_from(index).ok().map(ListenerId)
    };
    let other_ip = partner(here.ip(), all)?;
    Some(Alternates {
        port: id(SocketAddr::new(here.ip(), other_port))?,
        ip: id(SocketAddr::new(other_ip, here.port()))?,
        both: id(SocketAddr::new(other_ip, other_port))?,
    })
}

/// The address that stands for "another" one: of its family and kind the addresses go in pairs, and one that is left
/// over takes the first.
fn partner(ip: IpAddr, all: &[SocketAddr]) -> Option<IpAddr> {
    let mut alike: Vec<IpAddr> = Vec::new();
    for other in all.iter().map(SocketAddr::ip) {
        let is_alike = other.is_ipv4() == ip.is_ipv4() && other.is_loopback() == ip.is_loopback();
        if is_alike && !alike.contains(&other) {
            alike.push(other);
        }
    }
    let place = alike.iter().position(|other| *other == ip)?;
    alike.get(place ^ 1).or(alike.first()).copied().filter(|other| *other != ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_four_answers_for_the_three_others() {
        let table = table(&["51.0.0.1:3478", "51.0.0.2:3478", "51.0.0.1:3479", "51.0.0.2:3479"]);
        for (here, port, ip, both) in [(0, 2, 1, 3), (1, 3, 0, 2), (2, 0, 3, 1), (3, 1, 2, 0)] {
            let [here, port, ip, both] = [here, port, ip, both].map(ListenerId);
            let alternates = table.of(here).unwrap();
            assert_eq!(alternates, Alternates { port, ip, both });
            let from = |ip, port| alternates.source(here, ChangeRequest { ip, port });
            assert_eq!(
                [from(false, false), from(false, true), from(true, false), from(true, true)],
                [here, port, ip, both]
            );
        }
    }

    #[test]
    fn of_three_addresses_the_last_one_takes_the_first() {
        let table = table(&[
            "51.0.0.1:3478",
            "51.0.0.2:3478",
            "51.0.0.3:3478",
            "51.0.0.1:3479",
            "51.0.0.2:3479",
            "51.0.0.3:3479",
        ]);
        let both = [0, 1, 2].map(|listener| table.of(ListenerId(listener)).unwrap().both);
        assert_eq!(both, [4, 3, 3].map(ListenerId));
    }

    #[test]
    fn one_address_one_port_another_family_or_loopback_are_no_alternate() {
        check_none(&["51.0.0.1:3478", "51.0.0.1:3479"]);
        check_none(&["51.0.0.1:3478", "51.0.0.2:3478"]);
        check_none(&["51.0.0.1:3478", "51.0.0.1:3479", "[2a00::51]:3478", "[2a00::51]:3479"]);
        check_none(&["51.0.0.1:3478", "51.0.0.1:3479", "127.0.0.1:3478", "127.0.0.1:3479"]);
        check_none(&["51.0.0.1:5349", "51.0.0.2:5349", "51.0.0.1:3479", "51.0.0.2:3479"]);
        let off = AlternateTable::new(BehaviorDiscovery::Off, &listeners(&["51.0.0.1:3478"]));
        assert_eq!(off.of(ListenerId(0)), None);
    }

    fn check_none(addresses: &[&str]) {
        let table = table(addresses);
        for listener in 0..4 {
            assert_eq!(table.of(ListenerId(listener)), None, "{addresses:?}");
        }
    }

    fn table(addresses: &[&str]) -> AlternateTable {
        AlternateTable::new(BehaviorDiscovery::On { ports: [3478, 3479] }, &listeners(addresses))
    }

    fn listeners(addresses: &[&str]) -> Vec<Listener> {
        let listener =
            |address: &&str| Listener { address: address.parse().unwrap(), relay_v4: None, relay_v6: None };
        addresses.iter().map(listener).collect()
    }
}
