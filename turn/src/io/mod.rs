//! Sockets, and the memory that datagrams pass through.

pub(crate) mod arena;
pub(crate) mod linux;
pub(crate) mod outbox;
pub(crate) mod ready;
pub(crate) mod reserved;
pub(crate) mod sockets;
pub(crate) mod tcp;
pub(crate) mod udp;
