//! What an operator can set about clients that come over DTLS.

use serde::{Deserialize, Serialize};

use super::Problems;

/// More than a machine of today can hold of them; a larger number is a slip of the keyboard.
const MAX_SESSIONS: usize = 1_000_000;
/// RFC 6347 §4.2.4.1 lets a client wait a minute between two attempts.
const MAX_HANDSHAKE_SECONDS: u32 = 60;
/// One day; a guess. A session without an allocation serves nobody for so long.
const MAX_IDLE_SECONDS: u32 = 86_400;

/// The `dtls` section. The limits are those of this process; each worker takes an equal share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DtlsSettings {
    /// Accepts DTLS 1.2 and 1.3 on the UDP ports of plain clients, told apart by the first byte (RFC 7983). Default:
    /// true. Without the feature `dtls` it has no effect.
    pub enabled: bool,
    /// Sessions at a time. Default: 16 000, as many as allocations.
    pub max_sessions: usize,
    /// Sessions at a time whose handshake is not finished. A further one takes the place of the oldest, so that a
    /// flood has to outrun a round trip of every honest client. Default: 1024, some 20 MB in the worst case; a guess.
    pub max_handshakes: usize,
    /// The same of one source, an IPv4 address or an IPv6 /64: a further one takes the place of the source's own
    /// oldest, on each worker. Default: 32, for the clients behind one NAT; a guess.
    pub handshakes_per_source: usize,
    /// How long a handshake may take, in seconds. Default: 10, three retransmissions of a flight; a guess.
    pub handshake_seconds: u32,
    /// How long a session without an allocation may be silent, in seconds. One with an allocation lives as long as that.
    /// Default: 60; a guess above the 30 s of common keepalives.
    pub idle_seconds: u32,
}

impl Default for DtlsSettings {
    fn default() -> Self {
        Self {
            enabled: true,
            max_sessions: 16_000,
            max_handshakes: 1024,
            handshakes_per_source: 32,
            handshake_seconds: 10,
            idle_seconds: 60,
        }
    }
}

impl DtlsSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.max_sessions == 0 || self.max_sessions > MAX_SESSIONS {
            problems.add("dtls.max_sessions", format!("use 1 to {MAX_SESSIONS}, or dtls.enabled = false"));
        }
        if self.max_handshakes == 0 || self.max_handshakes > self.max_sessions {
            problems.add(
                "dtls.max_handshakes",
                format!("use 1 to dtls.max_sessions, which is {}", self.max_sessions),
            );
        }
        if self.handshakes_per_source == 0 {
            problems.add("dtls.handshakes_per_source", "use at least 1");
        }
        if self.handshake_seconds == 0 || self.handshake_seconds > MAX_HANDSHAKE_SECONDS {
            problems.add("dtls.handshake_seconds", format!("use 1 to {MAX_HANDSHAKE_SECONDS}"));
        }
        if self.idle_seconds == 0 || self.idle_seconds > MAX_IDLE_SECONDS {
            problems.add("dtls.idle_seconds", format!("use 1 to {MAX_IDLE_SECONDS} (one day)"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_nothing_can_work_with_are_named() {
        let settings = DtlsSettings {
            enabled: true,
            max_sessions: 0,
            max_handshakes: 0,
            handshakes_per_source: 0,
            handshake_seconds: 0,
            idle_seconds: 0,
        };
        let mut problems = Problems(Vec::new());
        settings.check(&mut problems);
        let keys: Vec<_> = problems.0.iter().map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            [
                "dtls.max_sessions",
                "dtls.max_handshakes",
                "dtls.handshakes_per_source",
                "dtls.handshake_seconds",
                "dtls.idle_seconds"
            ]
        );
    }
}
