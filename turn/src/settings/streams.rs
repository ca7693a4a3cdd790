//! What an operator can set about clients that come over TCP and TLS.

use serde::{Deserialize, Serialize};

use super::Problems;

/// The `turn.streams` section: clients over TCP and TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamSettings {
    /// Accepts clients over plain TCP.
    pub tcp: bool,
    /// Accepts clients over TLS. Both are accepted on both ports: the first byte tells them apart.
    pub tls: bool,
    /// Connections at a time in this process. Each worker takes an equal share.
    pub max_connections: usize,
    /// Connections at a time of one IPv4 address or one IPv6 /64. Whole offices are behind one address.
    pub max_connections_per_source: u32,
    /// Connections at a time in this process that have not made an allocation yet. Each worker takes an equal share.
    pub max_half_open: usize,
    /// How long a connection may take to its first allocation, in seconds, however busy it is: whoever dribbles
    /// bytes gets no more time.
    pub authentication_seconds: u32,
    /// How long a connection without an allocation may be silent, in seconds, after it has had one.
    pub idle_seconds: u32,
    /// How long a client may refuse to read what waits for it, in seconds.
    pub stalled_seconds: u32,
    /// Relayed bytes that wait for one client. Beyond it relayed data is dropped, while answers still get through.
    pub write_queue_bytes: usize,
}

impl Default for StreamSettings {
    fn default() -> Self {
        Self {
            tcp: true,
            tls: true,
            // As many as allocations by default.
            max_connections: 16_000,
            // Guesses: an office of a hundred people with two connections each; a thousand clients that arrive within
            // one round trip each.
            max_connections_per_source: 256,
            max_half_open: 1024,
            // A guess: a client allocates at once, which takes three round trips, six with TLS.
            authentication_seconds: 15,
            idle_seconds: 60,
            // A guess; a mobile client that is out of reach for longer starts anew.
            stalled_seconds: 30,
            // A guess: 10 ms at 100 Mbit/s, like what waits in the kernel.
            write_queue_bytes: 128 << 10,
        }
    }
}

impl StreamSettings {
    /// The smallest queue: one frame of the largest datagram.
    const MIN_WRITE_QUEUE: usize = 64 << 10;
    /// A client that is this much behind is behind by seconds.
    const MAX_WRITE_QUEUE: usize = 16 << 20;

    /// Whether there is anything to accept connections for.
    pub(crate) const fn any(&self) -> bool {
        self.tcp || self.tls
    }

    pub(super) fn check(&self, problems: &mut Problems) {
        let at_least_one = [
            ("streams.max_connections", self.max_connections == 0),
            ("streams.max_connections_per_source", self.max_connections_per_source == 0),
            ("streams.max_half_open", self.max_half_open == 0),
            ("streams.authentication_seconds", self.authentication_seconds == 0),
            ("streams.idle_seconds", self.idle_seconds == 0),
            ("streams.stalled_seconds", self.stalled_seconds == 0),
        ];
        for (key, _) in at_least_one.into_iter().filter(|(_, is_zero)| *is_zero) {
            problems.add(
                key,
                "use at least 1; to accept no connections set streams.tcp and streams.tls to false",
            );
        }
        if !(Self::MIN_WRITE_QUEUE..=Self::MAX_WRITE_QUEUE).contains(&self.write_queue_bytes) {
            problems.add(
                "streams.write_queue_bytes",
                format!("use {} to {}", Self::MIN_WRITE_QUEUE, Self::MAX_WRITE_QUEUE),
            );
        }
    }
}
