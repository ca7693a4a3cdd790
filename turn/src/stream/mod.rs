//! Clients over connections: TCP, and TLS on top of it.
//!
//! ```text
//! kernel ──► sniff: 0x16 is TLS ──► frames ──► core
//! kernel ◄── queue, bounded ◄────── answers, relayed data
//! ```
//! A [connection](connection::Connection) is a value of its own that can be moved to another worker. [`Streams`] is a worker's table of
//! them; it admits, times out and closes.

mod connection;
mod counters;
mod frames;
mod limits;
mod queue;
mod sources;
mod table;
mod tls;

pub(crate) use connection::{Accepted, Connection, Fill};
pub(crate) use counters::{CloseReason, Meter, RefusalReason, StreamCounters, describe};
pub(crate) use frames::next_frame;
pub(crate) use limits::StreamLimits;
pub(crate) use queue::Load;
pub(crate) use sources::Sources;
pub(crate) use table::{CHUNK, Chunk, PushError, Streams};
pub(crate) use tls::config as tls_config;
