//! The TURN relay as a state machine: bytes and a time go in, a verdict or an action comes out.
//!
//! One `Relay` belongs to one thread; nothing here reads a clock, draws randomness, opens a socket or logs.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::unwrap_used, clippy::panic)
)]

mod action;
mod address;
mod config;
mod counters;
mod dropped;
mod event;
mod own;
mod verdict;

pub use action::{Action, BindError, BindTicket, Control, Reply};
pub use address::{ClientAddr, ListenerId, PeerAddr, RelayPort};
pub use config::{Limits, Listener, LoopbackPeers, RelayConfig, Transport};
pub use counters::{AnswerCode, Counters, RequestMethod};
pub use dropped::DropReason;
pub use event::{AllocationId, EndReason, Event, Subject, Traffic, Usage};
pub use own::OwnRelays;
pub use verdict::{Header, Payload, Verdict};
