//! The room as a state machine: who is in it, who hears what, when it ends.
//!
//! Pure: no clock, no socket, no runtime, no randomness. Time comes in with every input, credentials come in
//! with the join, and what has to happen goes out as [`Effect`]s that a shell performs in order.

#![forbid(unsafe_code)]

mod door;
mod effect;
mod input;
mod record;
mod rights;
mod room;
mod usage;

pub use door::{Door, Key, MAX_USED_INVITES, RefusedEntry};
pub use effect::{Effect, Ending, Event};
pub use input::{Gone, Input, Join, SessionId};
pub use room::{ICE_REFRESH_INTERVAL, Room, RoomSettings};
pub use usage::USAGE_INTERVAL;
