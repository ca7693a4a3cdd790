//! The room as a state machine: who is in it, who hears what, who comes back, when it ends.
//!
//! Pure: no clock, no socket, no runtime, no randomness. Time comes in with every input, names of stays come in
//! with the join, and what has to happen goes out as [`Effect`]s that a shell performs in order.

#![forbid(unsafe_code)]

mod delivery;
mod door;
mod effect;
mod handover;
mod hosts;
mod input;
mod members;
mod rights;
mod ring;
mod roll_call;
mod room;
mod state;
mod talk;
mod tokens;
mod usage;

pub use delivery::{DELIVERY_AHEAD, DELIVERY_PER_SECOND};
pub use door::{Door, RefusedEntry};
pub use effect::{Effect, Ending, Event};
pub use hosts::{MAX_BANS, MAX_WAITING};
pub use input::{Announce, Dismissal, Gone, Input, Join, Resume, SessionId};
pub use ring::RingLimits;
pub use room::{Admission, ResumeLimits, Room, RoomSettings};
pub use talk::ICE_REFRESH_INTERVAL;
pub use tokens::MAX_TOKENS;
pub use usage::USAGE_INTERVAL;
