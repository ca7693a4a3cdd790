//! Sockets, and the memory that datagrams pass through.

pub(crate) mod ancillary;
pub(crate) mod arena;
pub(crate) mod call;
pub(crate) mod linux;
pub(crate) mod offloads;
pub(crate) mod outbox;
pub(crate) mod path_errors;
pub(crate) mod ready;
pub(crate) mod reserved;
pub(crate) mod runs;
pub(crate) mod sockets;
pub(crate) mod tcp;
pub(crate) mod udp;
