//! Where clients reach the relay beside this server, and over what.

use serde::{Deserialize, Serialize};

/// What carries TURN between a browser and the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RelayTransport {
    /// `turn:…?transport=udp`
    Udp,
    /// `turn:…?transport=tcp`
    Tcp,
    /// `turns:…?transport=tcp`
    Tls,
}

/// The relay's doors, on the host by which a client reached this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelayDoors {
    /// The port of UDP and TCP.
    pub port: u16,
    /// The port of TLS.
    pub tls_port: u16,
    /// What clients are told of, unless the settings choose. TLS belongs here only with a certificate that browsers
    /// believe: they spend seconds on one that they do not.
    pub offered: Vec<RelayTransport>,
}

impl RelayDoors {
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self { port: 3478, tls_port: 5349, offered: vec![RelayTransport::Udp, RelayTransport::Tcp] }
    }

    /// The URL of one door, for clients that call the host so.
    pub(crate) fn url(&self, transport: RelayTransport, host: &str) -> String {
        let Self { port, tls_port, offered: _ } = self;
        match transport {
            RelayTransport::Udp => format!("turn:{host}:{port}?transport=udp"),
            RelayTransport::Tcp => format!("turn:{host}:{port}?transport=tcp"),
            RelayTransport::Tls => format!("turns:{host}:{tls_port}?transport=tcp"),
        }
    }
}
