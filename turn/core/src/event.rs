//! What a relay reports: allocations that come and go, and who used how much.

use std::net::SocketAddr;

use causeway_protocol::{PeerId, RoomId, UnixSeconds};

use crate::address::{ClientAddr, PeerAddr};
use crate::forbidden::Forbidden;
use crate::losses::Loss;

/// An allocation of one relay: unique for the life of the relay, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationId(pub u64);

/// Something that happened to an allocation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A client got its relayed addresses.
    AllocationCreated {
        /// The allocation.
        allocation: AllocationId,
        /// The client.
        client: ClientAddr,
        /// Its relayed addresses, as others know them; two at most.
        relayed: [Option<SocketAddr>; 2],
        /// Under which credential.
        subject: Subject,
        /// Until when the credential is good; `None`: for good.
        expires: Option<UnixSeconds>,
        /// Bytes per second, each way, that the credential allows; whoever shapes traffic holds it to that.
        bytes_per_second: Option<u64>,
    },
    /// An allocation of a room's credential moved data; about once a second while it does.
    Usage {
        /// The allocation.
        allocation: AllocationId,
        /// The credential's room.
        room: RoomId,
        /// The credential's peer.
        peer: PeerId,
        /// Totals since the allocation was created.
        usage: Usage,
    },
    /// A client took its allocation along to another 5-tuple, or showed its ticket where it was (RFC 8016).
    AllocationMoved {
        /// The allocation.
        allocation: AllocationId,
        /// Where the client is.
        client: ClientAddr,
    },
    /// Others know an allocation's relayed addresses by other names, since the external addresses have changed.
    AddressesRenamed {
        /// The allocation.
        allocation: AllocationId,
        /// All of its relayed addresses, as others know them from here on; two at most.
        relayed: [Option<SocketAddr>; 2],
    },
    /// An allocation gave one of two relayed addresses back.
    AddressReleased {
        /// The allocation.
        allocation: AllocationId,
        /// Under which credential.
        subject: Subject,
        /// The address, as others knew it.
        address: SocketAddr,
    },
    /// A client was denied a peer. Told once for each credential, IP and reason, and not in floods.
    PeerDenied {
        /// The client's allocation.
        allocation: AllocationId,
        /// Under which credential.
        subject: Subject,
        /// Whom the client wanted to reach. A permission names an IP, so then the port says nothing.
        peer: PeerAddr,
        /// Why it may not.
        reason: Forbidden,
        /// How many others were denied and not told since the last time.
        untold: u64,
    },
    /// An allocation is gone. Its last word: the usage is final.
    AllocationEnded {
        /// The allocation.
        allocation: AllocationId,
        /// Under which credential.
        subject: Subject,
        /// Why.
        reason: EndReason,
        /// Totals since the allocation was created.
        usage: Usage,
    },
}

/// Whom a credential names: the unit of quotas.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A peer of a room, from a signed JWT.
    RoomPeer {
        /// The room.
        room: RoomId,
        /// The peer.
        peer: PeerId,
    },
    /// The user of an `expiry:user` credential, or the whole name of one that is only an expiry.
    Rest(Box<str>),
    /// A user of the configuration.
    Static(Box<str>),
    /// An access token of RFC 7635: the name of its key and a digest of the token.
    Token(Box<str>),
}

impl Subject {
    /// Whether this may be the same user. An access token names none, and a client may get a new one at any time.
    pub(crate) fn may_be(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Token(_), Self::Token(_)) => true,
            (Self::RoomPeer { .. } | Self::Rest(_) | Self::Static(_) | Self::Token(_), _) => self == other,
        }
    }
}

/// Application data that an allocation relayed: payloads, without any header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// From the client on to its peers.
    pub sent: Traffic,
    /// From peers on to the client.
    pub received: Traffic,
    /// Datagrams of either direction that were dropped, by [`Loss::index`].
    pub lost: [u32; Loss::ALL.len()],
}

/// Datagrams and their application bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams.
    pub packets: u64,
    /// Bytes of payload.
    pub bytes: u64,
}

impl Traffic {
    /// Adds one datagram.
    pub(crate) fn count(&mut self, payload_length: usize) {
        self.packets = self.packets.wrapping_add(1);
        self.bytes = self.bytes.wrapping_add(payload_length as u64);
    }
}

/// Why an allocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndReason {
    /// The client refreshed it with a lifetime of zero.
    Released,
    /// The client did not refresh it in time, or its credential came to its end.
    Expired,
    /// Its credential, peer or room was revoked.
    Revoked,
    /// Its credential's byte budget is used up.
    BudgetSpent,
    /// The connection or DTLS session between client and relay is over.
    Disconnected,
}

impl EndReason {
    /// Every reason.
    pub const ALL: [Self; 5] =
        [Self::Released, Self::Expired, Self::Revoked, Self::BudgetSpent, Self::Disconnected];

    /// The value of a metric's label, or a word for a log.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::BudgetSpent => "budget_spent",
            Self::Disconnected => "disconnected",
        }
    }
}
