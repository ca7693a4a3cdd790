//! The relay's shell: threads, sockets and counters around [`causeway_turn_core::Relay`].
//!
//! ```text
//!            ┌ worker 0: core, sockets ┐   orders
//! clients ───┤ worker 1                ├◄──────────── control plane ◄──► Bus, log
//! and peers  └ worker n                ┘ ──────────►
//!                                          reports
//! ```
//! One worker per core. Each has a socket of its own on every listening address (`SO_REUSEPORT`): the kernel pins a
//! client to a worker, so the way of the data shares nothing. The control plane is the only part that runs on a
//! runtime; the relay goes on relaying without it.

#![deny(unsafe_code)]

mod alternates;
mod between;
mod certificates;
mod control;
mod core_setup;
mod dtls;
mod external;
mod files;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod handover;
mod host;
mod io;
mod labels;
mod lane;
mod ledger;
mod listeners;
mod metrics;
mod proxied;
mod proxy;
mod revocation_file;
mod room_board;
mod running;
mod secure;
mod settings;
mod start;
mod stream;
mod supervise;
mod tcp_relay;
mod user;
mod worker;

pub use certificates::CertificateError;
pub use control::{ControlError, ControlPlane};
pub use dtls::NoDtls;
pub use running::{RunningRelay, StopError};
pub use settings::{
    AlternateSettings, DiscoverySettings, DtlsSettings, ExternalEntry, ExternalEntryError, ExternalError,
    ExternalSettings, LimitSettings, MobilitySettings, OffloadSettings, PeerSettings, SettingsProblem,
    StrangerSettings, StreamSettings, TcpRelaySettings, ThirdPartySettings, TlsSettings, TokenAlgorithm,
    TokenKeySettings, TurnSettings,
};
pub use start::{RelayKeys, SocketKind, StartError, start};
pub use supervise::WorkerFailure;
pub use user::UserEntry;
