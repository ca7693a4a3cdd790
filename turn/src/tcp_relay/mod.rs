//! The sockets of TCP allocations (RFC 6062): listeners on relayed addresses, connections to peers, and the splices
//! between those and the clients' data connections.
//!
//! ```text
//! client ══ TLS or TCP ══► Connection ──► 64 KiB at most ──► socket ══ TCP ══► peer
//!        ◄═════════════════ its queue ◄── when it is empty ◄──────────────────
//! ```
//! A side is read when everything that was read from it before has been written: a slow reader slows its sender down,
//! and a connection holds one chunk each way.
//!
//! When one side has sent its last byte (FIN, or close_notify) the other is told, once everything has reached it, and
//! may still send for a while: half-closed connections, as old protocols use them, pass. An error on one side closes
//! the other at once.

mod peers;
mod splice;

pub(crate) use peers::{Accepting, TcpRelay};
pub(crate) use splice::{CHUNK, Pumped, Splice};
