//! Which networks are not the public Internet: the registries of RFC 6890, and every way to write an IPv4 address
//! inside an IPv6 one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether an address is no ordinary public unicast address: private, local, reserved, multicast, or a disguise of
/// one of these.
pub(crate) fn is_special(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_special_v4(v4),
        IpAddr::V6(v6) => is_special_v6(v6),
    }
}

/// Whether an address lies in a network that anyone may use at home: RFC 1918, RFC 6598 (carrier-grade NAT) or RFC 4193.
pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_private() || v4.to_bits() & 0xFFC0_0000 == 0x6440_0000,
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

/// Whether an address can be no single host's on any network: loopback, link local, unspecified, multicast, broadcast,
/// or a disguise of one of these.
pub(crate) fn is_nobodys(ip: IpAddr) -> bool {
    let nobodys_v4 = |v4: Ipv4Addr| {
        v4.is_loopback()
            || v4.is_link_local()
            || v4.is_multicast()
            || v4.is_broadcast()
            || v4.to_bits() >> 24 == 0
    };
    match ip {
        IpAddr::V4(v4) => nobodys_v4(v4),
        IpAddr::V6(v6) => {
            v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || embedded_v4(v6).into_iter().flatten().any(nobodys_v4)
        }
    }
}

/// IANA IPv4 Special-Purpose Address Registry and multicast (RFC 5771), as networks and prefix lengths. Nothing in
/// 192.0.0.0/24 is excepted: none of its global anycast services is a peer.
const SPECIAL_V4: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8), // RFC 791: this network; 0.0.0.0 reaches loopback (CVE-2020-26262)
    (Ipv4Addr::new(10, 0, 0, 0), 8), // RFC 1918
    (Ipv4Addr::new(100, 64, 0, 0), 10), // RFC 6598: carrier-grade NAT
    (Ipv4Addr::new(127, 0, 0, 0), 8), // RFC 1122: loopback
    (Ipv4Addr::new(169, 254, 0, 0), 16), // RFC 3927: link local, where clouds keep their metadata services
    (Ipv4Addr::new(172, 16, 0, 0), 12), // RFC 1918
    (Ipv4Addr::new(192, 0, 0, 0), 24), // RFC 6890: IETF protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24), // RFC 5737: documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24), // RFC 7526: 6to4 relay anycast, deprecated
    (Ipv4Addr::new(192, 168, 0, 0), 16), // RFC 1918
    (Ipv4Addr::new(198, 18, 0, 0), 15), // RFC 2544: benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // RFC 5737: documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24), // RFC 5737: documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4), // RFC 5771: multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4), // RFC 1112: reserved
    (Ipv4Addr::new(255, 255, 255, 255), 32), // RFC 8190: limited broadcast
];

fn is_special_v4(ip: Ipv4Addr) -> bool {
    SPECIAL_V4.iter().any(|(network, length)| {
        let mask = u32::MAX.checked_shl(u32::BITS.saturating_sub(*length)).unwrap_or(0);
        ip.to_bits() & mask == network.to_bits()
    })
}

/// Parts of 2000::/3 that are special nevertheless, as networks and prefix lengths.
const SPECIAL_IN_GLOBAL_UNICAST: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // RFC 2928: IETF protocol assignments, ORCHID among them
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // RFC 3849: documentation
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // RFC 9637: documentation
];

fn is_special_v6(ip: Ipv6Addr) -> bool {
    // RFC 4291 §2.5.5.2: ::ffff:a.b.c.d is the IPv4 address itself (CVE-2026-27624).
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_special_v4(v4);
    }
    let embedded = embedded_v4(ip);
    if embedded.iter().flatten().any(|v4| is_special_v4(*v4)) {
        return true;
    }
    // What embeds public IPv4 addresses only is as good as they are: NAT64 (64:ff9b::/96) and Teredo (in 2001::/23).
    if in_network(ip, NAT64, 96) || in_network(ip, TEREDO, 32) {
        return false;
    }
    // RFC 4291 §2.4: all global unicast there is lies in 2000::/3. What lies outside is loopback, link local, unique
    // local (fc00::/7), site local (fec0::/10), multicast, IPv4-compatible (::/96), local NAT64 (64:ff9b:1::/48),
    // discard-only (100::/64), segment routing (5f00::/16), or given to nobody.
    !in_network(ip, Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
        || SPECIAL_IN_GLOBAL_UNICAST.iter().any(|(network, length)| in_network(ip, *network, *length))
}

/// RFC 6052 §2.1: the well-known prefix of IPv4/IPv6 translators.
const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
/// RFC 4380 §2.6.
const TEREDO: Ipv6Addr = Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0);
/// RFC 3056 §2.
const SIX_TO_FOUR: Ipv6Addr = Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0);

/// The IPv4 addresses to which something on the way may turn an IPv6 address: two at most.
pub(crate) fn embedded_v4(ip: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = ip.segments();
    let v4 = |high: u16, low: u16| Some(Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)));
    if ip.to_ipv4_mapped().is_some() || in_network(ip, NAT64, 96) {
        return [v4(s6, s7), None];
    }
    // RFC 4291 §2.5.5.1: IPv4-compatible, deprecated, and still understood by old stacks.
    if [s0, s1, s2, s3, s4, s5] == [0; 6] {
        return [v4(s6, s7), None];
    }
    if in_network(ip, SIX_TO_FOUR, 16) {
        return [v4(s1, s2), None];
    }
    // RFC 4380 §4: the server's address as it is, the client's with every bit turned over.
    if in_network(ip, TEREDO, 32) {
        return [v4(s2, s3), v4(!s6, !s7)];
    }
    // RFC 5214 §6.1: ISATAP's interface identifiers, under any prefix.
    if matches!((s4, s5), (0x0000 | 0x0200, 0x5efe)) {
        return [v4(s6, s7), None];
    }
    [None, None]
}

const fn in_network(ip: Ipv6Addr, network: Ipv6Addr, length: u32) -> bool {
    let mask = match u128::MAX.checked_shl(u128::BITS.saturating_sub(length)) {
        Some(mask) => mask,
        None => 0,
    };
    ip.to_bits() & mask == network.to_bits()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_purpose_network_is_refused_from_its_first_to_its_last_address() {
        for range in [
            "0.0.0.0 0.255.255.255",
            "10.0.0.0 10.255.255.255",
            "100.64.0.0 100.127.255.255",
            "127.0.0.0 127.255.255.255",
            "169.254.0.0 169.254.255.255",
            "172.16.0.0 172.31.255.255",
            "192.0.0.0 192.0.0.255",
            "192.0.2.0 192.0.2.255",
            "192.88.99.0 192.88.99.255",
            "192.168.0.0 192.168.255.255",
            "198.18.0.0 198.19.255.255",
            "198.51.100.0 198.51.100.255",
            "203.0.113.0 203.0.113.255",
            "224.0.0.0 239.255.255.255",
            "240.0.0.0 255.255.255.255",
            ":: ::1",
            "::2 ::ffff:ffff",
            "64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            "100:: 100::ffff:ffff:ffff:ffff",
            "100:0:0:1:: 100:0:0:1:ffff:ffff:ffff:ffff",
            "200:: 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:2:: 2001:2:0:ffff:ffff:ffff:ffff:ffff",
            "2001:10:: 2001:1f:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:20:: 2001:2f:ffff:ffff:ffff:ffff:ffff:ffff",
            "2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            "3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
            "4000:: 5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "5f00:: 5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fc00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fe80:: febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "fec0:: feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
            "ff00:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ] {
            let (first, last) = range.split_once(' ').unwrap();
            check(first, true);
            check(last, true);
        }
    }

    #[test]
    fn their_neighbours_are_public() {
        for ip in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::1",
            "2001:200::1",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2600::1",
            "3ffe::1",
            "3fff:1000::1",
        ] {
            check(ip, false);
        }
    }

    #[test]
    fn every_disguise_of_an_ipv4_address_is_seen_through() {
        let hidden =
            ["0.0.0.0", "127.0.0.1", "10.0.0.5", "169.254.169.254", "100.64.0.1", "192.168.1.1", "224.0.0.1"];
        for v4 in hidden.map(|v4| v4.parse::<Ipv4Addr>().unwrap()) {
            for disguised in disguises(v4) {
                check(&disguised.to_string(), true);
            }
        }
    }

    #[test]
    fn a_public_ipv4_address_in_a_routable_disguise_is_as_public() {
        let v4 = "8.8.8.8".parse::<Ipv4Addr>().unwrap();
        let [mapped, _compatible, nat64, six_to_four, teredo_server, teredo_client, isatap, isatap_global] =
            disguises(v4);
        for ip in [mapped, nat64, six_to_four, teredo_server, teredo_client, isatap, isatap_global] {
            check(&ip.to_string(), false);
        }
        // IPv4-compatible addresses are routed nowhere.
        check("::8.8.8.8", true);
    }

    fn disguises(v4: Ipv4Addr) -> [Ipv6Addr; 8] {
        let [a, b, c, d] = v4.octets();
        let high = u16::from_be_bytes([a, b]);
        let low = u16::from_be_bytes([c, d]);
        [
            v4.to_ipv6_mapped(),
            v4.to_ipv6_compatible(),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
            Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !0x0808, !0x0808),
            Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low),
            Ipv6Addr::new(0x2a00, 1, 2, 3, 0, 0x5efe, high, low),
            Ipv6Addr::new(0x2a00, 1, 2, 3, 0x200, 0x5efe, high, low),
        ]
    }

    fn check(ip: &str, special: bool) {
        assert_eq!(is_special(ip.parse().unwrap()), special, "{ip}");
    }
}
