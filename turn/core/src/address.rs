//! The roles an address can have: a client's, a peer's, one of our relayed ones.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV6};

/// Which of the configured listeners a client reached: an index into [`RelayConfig::listeners`].
///
/// The listener stands for the server's half of the 5-tuple, its address and its transport.
///
/// [`RelayConfig::listeners`]: crate::RelayConfig::listeners
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u16);

/// The 5-tuple between a client and us (RFC 8656 §2): where the client is seen, and which listener it reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddr {
    /// The client's transport address as we see it, behind whatever NATs there are: its server-reflexive address.
    pub source: SocketAddr,
    /// Our half of the 5-tuple.
    pub listener: ListenerId,
}

/// The transport address of a peer: someone with whom a client exchanges data through its relayed address
/// (RFC 8656 §2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddr(SocketAddr);

impl PeerAddr {
    /// Flow label and scope of an IPv6 address are no part of a peer: XOR-PEER-ADDRESS does not carry them.
    #[must_use]
    pub const fn new(address: SocketAddr) -> Self {
        Self(match address {
            SocketAddr::V4(_) => address,
            SocketAddr::V6(v6) => SocketAddr::V6(SocketAddrV6::new(*v6.ip(), v6.port(), 0, 0)),
        })
    }

    /// The address as sockets want it.
    #[must_use]
    pub const fn socket(self) -> SocketAddr {
        self.0
    }
}

impl fmt::Debug for PeerAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A port that this relay has bound, or wants bound, for relaying: a relayed transport address (RFC 8656 §2).
///
/// The core numbers them. A shell keeps its relay sockets in an array under `slot` and hands the same value back with
/// what arrives, so that neither side needs a hash on the way of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RelayPort {
    /// A small dense number, free for reuse once [`Action::Unbind`](crate::Action::Unbind) was carried out.
    pub slot: u32,
    /// The local address to bind.
    pub address: SocketAddr,
}
