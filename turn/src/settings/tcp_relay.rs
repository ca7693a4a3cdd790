//! What an operator can set about TCP allocations.

use serde::{Deserialize, Serialize};

use super::Problems;

/// More than a machine of today can hold of them; a larger number is a slip of the keyboard.
const MAX_CONNECTIONS: usize = 1_000_000;

/// The `tcp_relay` section: connections between clients' relayed addresses and peers (RFC 6062).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TcpRelaySettings {
    /// Gives TCP allocations to clients over TCP and TLS that ask for one. Browsers do not. Default: true; whom they
    /// reach is decided as for UDP.
    pub enabled: bool,
    /// Connections at a time in this process, each of which takes two open files. Each worker takes an equal share.
    /// Default: 4096, a guess.
    pub max_connections: usize,
    /// Connections at a time of one allocation. Default: 64, a guess.
    pub connections_per_allocation: usize,
}

impl Default for TcpRelaySettings {
    fn default() -> Self {
        Self { enabled: true, max_connections: 4096, connections_per_allocation: 64 }
    }
}

impl TcpRelaySettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.max_connections == 0 || self.max_connections > MAX_CONNECTIONS {
            problems.add(
                "tcp_relay.max_connections",
                format!("use 1 to {MAX_CONNECTIONS}, or tcp_relay.enabled = false"),
            );
        }
        if self.connections_per_allocation == 0 {
            problems.add("tcp_relay.connections_per_allocation", "use at least 1");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::settings::TurnSettings;

    use super::*;

    #[test]
    fn limits_of_nothing_are_refused() {
        let tcp_relay = TcpRelaySettings {
            max_connections: 0,
            connections_per_allocation: 0,
            ..TcpRelaySettings::default()
        };
        let problems = TurnSettings { tcp_relay, ..TurnSettings::default() }.validate();
        let keys: Vec<_> = problems.iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["tcp_relay.max_connections", "tcp_relay.connections_per_allocation"]);
    }
}
