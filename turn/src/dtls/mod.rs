//! Clients over DTLS (RFC 7350): one session per client, on the sockets of plain clients.
//!
//! ```text
//! datagram, first byte 20 to 63 ──► DtlsSessions ──► plaintext ──► Relay::on_client
//!                                      │    ▲
//!               handshake, alerts ◄────┘    └──── answers and data of this client, from the outbox
//! ```
//! dimpl has the protocol; here is what it leaves to its user: which session a datagram belongs to, how many there may
//! be, and when one ends. Each worker has its own, since the kernel pins a client's 4-tuple to a worker.

pub(crate) mod counts;
#[cfg(feature = "dtls")]
mod handshakes;
#[cfg(feature = "dtls")]
mod identity;
#[cfg(not(feature = "dtls"))]
mod off;
#[cfg(feature = "dtls")]
mod session;
#[cfg(feature = "dtls")]
mod sessions;

#[cfg(all(any(test, fuzzing), feature = "dtls"))]
pub(crate) use identity::Identity;
#[cfg(feature = "dtls")]
pub(crate) use identity::identity;
#[cfg(not(feature = "dtls"))]
pub(crate) use off::{DtlsSessions, identity};
#[cfg(feature = "dtls")]
pub(crate) use sessions::DtlsSessions;

/// Why DTLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum NoDtls {
    /// There is no certificate to show.
    #[error("cannot make a certificate for DTLS: {0}; set turn.dtls.enabled = false to go on without DTLS")]
    Certificate(String),
    /// The library that has the protocol refuses to work.
    #[error("DTLS cannot be set up: {0}; set turn.dtls.enabled = false to go on without DTLS")]
    Setup(String),
}
