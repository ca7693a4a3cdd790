//! What an operator can set about clients that examine their NAT (RFC 5780).

use std::net::IpAddr;

use causeway_turn_core::BehaviorDiscovery;
use serde::{Deserialize, Serialize};

use super::Problems;

/// The `turn.discovery` section.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiscoverySettings {
    /// A second port on each address, such as 3479, from which answers can come as well; at least two addresses of one
    /// family have to be listened on. Default: 0, off, because answers that name all four addresses are 3.4 times a bare
    /// request, which is more than strangers get otherwise.
    pub alternate_port: u16,
}

impl DiscoverySettings {
    pub(super) fn check(&self, listen: &[IpAddr], ports: [u16; 2], problems: &mut Problems) {
        if self.alternate_port == 0 {
            return;
        }
        if ports.contains(&self.alternate_port) {
            problems.add("discovery.alternate_port", "use another port than turn.port and turn.tls_port");
        }
        let count = |family: fn(&IpAddr) -> bool| {
            listen.iter().filter(|ip| family(ip) && !ip.is_unspecified()).count()
        };
        if count(IpAddr::is_ipv4) < 2 && count(IpAddr::is_ipv6) < 2 {
            problems
                .add("discovery.alternate_port", "name two addresses of one family in turn.listen, or use 0");
        }
    }

    /// The core's setting, for a relay whose clients know `port`.
    pub(crate) const fn behavior(&self, port: u16) -> BehaviorDiscovery {
        match self.alternate_port {
            0 => BehaviorDiscovery::Off,
            alternate => BehaviorDiscovery::On { ports: [port, alternate] },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alternate_port_needs_two_addresses_of_one_family() {
        check(&[], Some("name two addresses"));
        check(&["0.0.0.0", "192.0.2.1"], Some("name two addresses"));
        check(&["192.0.2.1", "2001:db8::1"], Some("name two addresses"));
        check(&["192.0.2.1", "192.0.2.2"], None);
        check(&["2001:db8::1", "2001:db8::2"], None);
    }

    #[test]
    fn the_alternate_port_is_another() {
        let mut problems = Problems(Vec::new());
        let listen = ["192.0.2.1", "192.0.2.2"].map(|ip| ip.parse().unwrap());
        for port in [3478, 5349] {
            DiscoverySettings { alternate_port: port }.check(&listen, [3478, 5349], &mut problems);
        }
        assert_eq!(problems.0.len(), 2);
    }

    fn check(listen: &[&str], expected: Option<&str>) {
        let listen: Vec<IpAddr> = listen.iter().map(|ip| ip.parse().unwrap()).collect();
        let mut problems = Problems(Vec::new());
        DiscoverySettings { alternate_port: 3479 }.check(&listen, [3478, 5349], &mut problems);
        let told: Vec<_> = problems.0.iter().map(|problem| problem.problem.as_str()).collect();
        assert_eq!(told.len(), usize::from(expected.is_some()), "{told:?}");
        assert!(told.iter().zip(expected).all(|(told, expected)| told.contains(expected)), "{told:?}");
    }
}
