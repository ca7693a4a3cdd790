//! Which addresses of this host the relay serves, and which pairs of IPv4 and IPv6 belong together.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use causeway_protocol::Network;

/// An address of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostAddress {
    pub(crate) ip: IpAddr,
    /// The interface that carries it; `None` for an address that was named and that no interface carries now.
    pub(crate) interface: Option<String>,
    pub(crate) origin: Origin,
}

/// Who chose an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The operator wrote it down, so being unable to use it is an error.
    Named,
    /// It was found on an interface, so one that vanished meanwhile is passed over.
    Found,
}

/// Where relayed addresses of a client come from: one IP per family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RelayPair {
    pub(crate) v4: Option<Ipv4Addr>,
    pub(crate) v6: Option<Ipv6Addr>,
}

/// The addresses of all interfaces, link-local ones left out: they mean nothing without a zone, which a relayed
/// address cannot carry.
pub(crate) fn interface_addresses() -> io::Result<Vec<HostAddress>> {
    let mut found: Vec<HostAddress> = Vec::new();
    for interface in if_addrs::get_if_addrs()? {
        let ip = interface.ip();
        if is_link_local(ip) || found.iter().any(|known| known.ip == ip) {
            continue;
        }
        found.push(HostAddress { ip, interface: Some(interface.name), origin: Origin::Found });
    }
    Ok(found)
}

/// What to listen on: the named addresses, wildcards replaced by what the host has, or simply all of it.
pub(crate) fn choose(named: &[IpAddr], host: &[HostAddress]) -> Vec<HostAddress> {
    if named.is_empty() {
        return host.to_vec();
    }
    let mut chosen: Vec<HostAddress> = Vec::new();
    let mut add = |address: HostAddress| {
        if !chosen.iter().any(|known| known.ip == address.ip) {
            chosen.push(address);
        }
    };
    for ip in named {
        if ip.is_unspecified() {
            host.iter().filter(|address| address.ip.is_ipv4() == ip.is_ipv4()).cloned().for_each(&mut add);
        } else {
            let interface = host.iter().find(|address| address.ip == *ip).and_then(|a| a.interface.clone());
            add(HostAddress { ip: *ip, interface, origin: Origin::Named });
        }
    }
    chosen
}

/// The addresses of this host that the relay does not listen on. They are not known to be anybody's but the operator's,
/// so they are no peers, unless `allowed` has an entry for exactly that address: a network may be meant for others.
pub(crate) fn unserved(host: &[HostAddress], listeners: &[HostAddress], allowed: &[Network]) -> Vec<IpAddr> {
    let is_allowed = |ip: &IpAddr| ip.to_string().parse().is_ok_and(|exactly| allowed.contains(&exactly));
    host.iter()
        .map(|address| address.ip)
        .filter(|ip| listeners.iter().all(|listener| listener.ip != *ip) && !is_allowed(ip))
        .collect()
}

/// The relay IPs for clients that reach `listener`: its own, and for the other family the first address of the
/// same interface, else the first of the same reach. A client from outside never gets a loopback address.
pub(crate) fn relay_pair(listener: &HostAddress, listeners: &[HostAddress]) -> RelayPair {
    let others = || {
        listeners.iter().filter(|other| {
            other.ip.is_ipv4() != listener.ip.is_ipv4() && other.ip.is_loopback() == listener.ip.is_loopback()
        })
    };
    let same_interface =
        |other: &&HostAddress| listener.interface.is_some() && other.interface == listener.interface;
    let other = others().find(same_interface).or_else(|| others().next()).map(|other| other.ip);
    match (listener.ip, other) {
        (IpAddr::V4(v4), Some(IpAddr::V6(v6))) | (IpAddr::V6(v6), Some(IpAddr::V4(v4))) => {
            RelayPair { v4: Some(v4), v6: Some(v6) }
        }
        (IpAddr::V4(v4), Some(IpAddr::V4(_)) | None) => RelayPair { v4: Some(v4), v6: None },
        (IpAddr::V6(v6), Some(IpAddr::V6(_)) | None) => RelayPair { v4: None, v6: Some(v6) },
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_interface_is_found() {
        let host = interface_addresses().unwrap();
        assert!(host.iter().any(|address| address.ip == IpAddr::V4(Ipv4Addr::LOCALHOST)), "{host:?}");
    }

    #[test]
    fn no_name_means_every_address() {
        assert_eq!(ips(&choose(&[], &host())), ["127.0.0.1", "::1", "10.0.0.5", "10.1.0.5", "2001:db8::1:5"]);
    }

    #[test]
    fn a_wildcard_means_every_address_of_its_family_and_none_twice() {
        let named = ["10.0.0.5".parse().unwrap(), "0.0.0.0".parse().unwrap()];
        assert_eq!(ips(&choose(&named, &host())), ["10.0.0.5", "127.0.0.1", "10.1.0.5"]);
    }

    #[test]
    fn families_meet_on_their_interface() {
        check("10.1.0.5", Some("10.1.0.5"), Some("2001:db8::1:5"));
        check("2001:db8::1:5", Some("10.1.0.5"), Some("2001:db8::1:5"));
        check("127.0.0.1", Some("127.0.0.1"), Some("::1"));
    }

    #[test]
    fn an_interface_of_one_family_borrows_from_another_of_the_same_reach() {
        check("10.0.0.5", Some("10.0.0.5"), Some("2001:db8::1:5"));
    }

    #[test]
    fn a_client_from_outside_gets_no_loopback_address() {
        let named = ["10.0.0.5".parse().unwrap(), "::1".parse().unwrap()];
        let listeners = choose(&named, &host());
        assert_eq!(relay_pair(&listeners[0], &listeners).v6, None);
    }

    #[test]
    fn an_address_that_is_not_listened_on_is_no_peer_unless_it_is_allowed_by_itself() {
        let listeners = choose(&["10.0.0.5".parse().unwrap()], &host());
        let unserved = |allowed: &[&str]| {
            let allowed: Vec<Network> = allowed.iter().map(|network| network.parse().unwrap()).collect();
            unserved(&host(), &listeners, &allowed).iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(unserved(&[]), ["127.0.0.1", "::1", "10.1.0.5", "2001:db8::1:5"]);
        assert_eq!(unserved(&["10.1.0.5", "::/0", "0.0.0.0/0"]), ["127.0.0.1", "::1", "2001:db8::1:5"]);
    }

    fn check(listener: &str, v4: Option<&str>, v6: Option<&str>) {
        let listeners = host();
        let listener = listeners.iter().find(|address| address.ip.to_string() == listener).unwrap();
        let expected =
            RelayPair { v4: v4.map(|ip| ip.parse().unwrap()), v6: v6.map(|ip| ip.parse().unwrap()) };
        assert_eq!(relay_pair(listener, &listeners), expected);
    }

    fn ips(addresses: &[HostAddress]) -> Vec<String> {
        addresses.iter().map(|address| address.ip.to_string()).collect()
    }

    fn host() -> Vec<HostAddress> {
        [
            ("lo", "127.0.0.1"),
            ("lo", "::1"),
            ("eth0", "10.0.0.5"),
            ("eth1", "10.1.0.5"),
            ("eth1", "2001:db8::1:5"),
        ]
        .map(|(interface, ip)| HostAddress {
            ip: ip.parse().unwrap(),
            interface: Some(interface.to_owned()),
            origin: Origin::Found,
        })
        .to_vec()
    }
}
