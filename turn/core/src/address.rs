//! The roles an address can have: a client's, a peer's, one of our relayed ones.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV6};

/// Which of the configured listeners a client reached: an index into [`RelayConfig::listeners`].
///
/// The listener stands for the server's address; [`Via`] for the transport.
///
/// [`RelayConfig::listeners`]: crate::RelayConfig::listeners
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId(pub u16);

/// The 5-tuple between a client and us (RFC 8656 §2): where the client is seen, and which listener it reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddr {
    /// The client's transport address as we see it, behind whatever NATs there are: its server-reflexive address.
    pub source: SocketAddr,
    /// The address of ours that it reached.
    pub listener: ListenerId,
    /// The transport between the two.
    pub via: Via,
}

/// The transport between a client and us, and which of the shell's sessions carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Via {
    /// Plain datagrams.
    Udp,
    /// A TCP connection.
    Tcp(SessionId),
    /// TLS over a TCP connection.
    Tls(SessionId),
    /// DTLS over UDP: datagrams, one record each.
    Dtls(SessionId),
}

/// A connection or DTLS session of the shell. The shell gives the number, and reuses it only after
/// [`Relay::on_session_closed`](crate::Relay::on_session_closed).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u32);

/// The transport between a client and us, without saying which session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Plain datagrams.
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS over a TCP connection.
    Tls,
    /// DTLS over UDP.
    Dtls,
}

impl Via {
    /// Without the session.
    #[must_use]
    pub const fn transport(self) -> Transport {
        match self {
            Self::Udp => Transport::Udp,
            Self::Tcp(_) => Transport::Tcp,
            Self::Tls(_) => Transport::Tls,
            Self::Dtls(_) => Transport::Dtls,
        }
    }
}

impl Transport {
    /// Every transport.
    pub const ALL: [Self; 4] = [Self::Udp, Self::Tcp, Self::Tls, Self::Dtls];

    /// Whether messages follow one another in a stream of bytes. Then ChannelData is padded to a multiple of four
    /// bytes (RFC 8656 §12.5).
    #[must_use]
    pub const fn is_stream(self) -> bool {
        match self {
            Self::Udp | Self::Dtls => false,
            Self::Tcp | Self::Tls => true,
        }
    }

    /// The value of a metric's label, or a word for a log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Dtls => "dtls",
        }
    }
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
