//! The TURN relay as a state machine: bytes and a time go in, a verdict or an action comes out.
//!
//! One [`Relay`] belongs to one thread; nothing here reads a clock, draws randomness, opens a socket or logs.
//!
//! ```text
//!                       ┌───────────────────────── Relay ─────────────────────────┐
//! on_client(datagram) ─►│ ChannelData, Send ─► data.rs ───────────────────────────┼─► Verdict::ToPeer
//!                       │ requests ─► auth/ ─► request/ ─► queue.rs ──────────────┼─► Action::{Bind, Reply, Report}
//! on_peer(datagram) ───►│ data.rs ────────────────────────────────────────────────┼─► Verdict::ToClient
//! on_bound(ticket) ────►│ request/pending.rs ─────────────────────────────────────┼─► Action::{Reply, Report}
//! on_control, on_timeout│ relay.rs ───────────────────────────────────────────────┼─► Action::{Unbind, Report}
//!                       └─────────────────────────────────────────────────────────┘
//! ```
//! The only thing relays share is [`OwnRelays`], the set of live relay ports.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic)
)]

mod action;
mod address;
mod allocation;
mod auth;
mod budget;
mod channels;
mod config;
mod counters;
mod data;
mod dropped;
mod event;
mod own;
mod permissions;
mod policy;
mod ports;
mod queue;
mod relay;
mod reply;
mod reports;
mod request;
mod reservation;
mod revocation;
mod slab;
mod special_purpose;
mod verdict;
mod wheel;

pub use action::{Action, BindError, BindTicket, Control, Reply};
pub use address::{ClientAddr, ListenerId, PeerAddr, RelayPort};
pub use auth::credentials::{Credentials, RestSecret, StaticUser};
pub use auth::nonce::NonceKey;
pub use config::{ConfigError, Limits, Listener, LoopbackPeers, RelayConfig, Transport};
pub use counters::{AnswerCode, Counters, RequestMethod};
pub use dropped::DropReason;
pub use event::{AllocationId, EndReason, Event, Subject, Traffic, Usage};
pub use own::OwnRelays;
pub use relay::Relay;
pub use verdict::{Header, Payload, Verdict};
