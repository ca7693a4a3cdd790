//! What processes tell one another over the Bus: relays report usage, rooms order revocations, and both say which
//! addresses their peers have.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::TokenId;
use crate::{NodeId, PeerId, RoomId, UnixSeconds};

/// A message on the Bus. Old and new processes run side by side during a deploy: an unknown `kind` is counted
/// and passed over, never an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum BusMessage {
    /// From a relay, once a second for whatever changed.
    RelayUsage(RelayUsage),
    /// To every relay.
    RelayOrder(RelayOrder),
    /// To every relay.
    RoomLimits(RoomLimits),
    /// To every relay, when it changes and again every [`RoomAddresses::REPEAT`].
    RoomAddresses(RoomAddresses),
    /// To everyone who sends [`RoomAddresses`].
    RoomQuery(RoomQuery),
    /// From a relay to all others, every [`RelayNode::REPEAT`] and when it begins to drain.
    RelayNode(RelayNode),
}

/// What one node relays for one peer of a room: totals since the node first saw the pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayUsage {
    /// Who counted.
    pub node: NodeId,
    /// The credential's room.
    pub room: RoomId,
    /// The credential's peer.
    pub peer: PeerId,
    /// Allocations alive now.
    pub allocations: u32,
    /// Application bytes from the client on to its peers.
    pub sent_bytes: u64,
    /// Application bytes from peers on to the client.
    pub received_bytes: u64,
    /// More about it. An older process says nothing of this.
    #[serde(default)]
    pub facts: RelayFacts,
}

/// What [`RelayUsage`] tells beyond the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelayFacts {
    /// Datagrams from the client on to its peers.
    pub sent_packets: u64,
    /// Datagrams from peers on to the client.
    pub received_packets: u64,
    /// Datagrams of either direction that were dropped.
    pub dropped: RelayDrops,
    /// Over what the allocations alive reach the relay, each once, as they began.
    pub transports: Vec<RelayTransport>,
    /// Since when the oldest allocation alive is there.
    pub since: Option<UnixSeconds>,
}

/// Datagrams that a relay dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RelayDrops {
    /// No permission for the peer, or it was over.
    pub no_permission: u64,
    /// No such channel, or it was over.
    pub no_channel: u64,
    /// The peer is not to be reached.
    pub forbidden: u64,
    /// Faster than the allocation may.
    pub allocation_rate: u64,
    /// Faster than the room may.
    pub room_rate: u64,
    /// Faster than the room's share of a full node.
    pub node_share: u64,
    /// Anything else.
    pub other: u64,
}

/// The transport between a client and a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayTransport {
    /// Plain datagrams.
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS over a TCP connection.
    Tls,
    /// DTLS over UDP.
    Dtls,
}

/// What relays must do at once: end what is revoked, and refuse it until no credential of it can be left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayOrder {
    /// What is revoked.
    #[serde(flatten)]
    pub revoke: Revocation,
    /// When the last credential concerned expires, and the order may be forgotten.
    pub until: UnixSeconds,
}

/// How fast relays may relay for a room, each node for itself. It replaces what was said before about the room, and holds
/// for a room that comes later as well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomLimits {
    /// The room.
    pub room: RoomId,
    /// Application bytes per second, both directions of all allocations of the room together; 0 lets nothing pass.
    /// `None`: what the relay's settings say.
    pub bytes_per_second: Option<u64>,
    /// Until when it holds; then the relay's settings hold again.
    pub until: UnixSeconds,
}

/// What a [`RelayOrder`] concerns.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "revoke", rename_all = "kebab-case")]
pub enum Revocation {
    /// One credential.
    Credential {
        /// The credential's `jti`.
        jti: TokenId,
    },
    /// All credentials of a peer in a room.
    Peer {
        /// The room.
        room: RoomId,
        /// The peer.
        peer: PeerId,
    },
    /// All credentials of a room.
    Room {
        /// The room.
        room: RoomId,
    },
}

/// The addresses that one part of one node knows a peer of a room by: all of them, in place of what the same part said
/// about the peer before. Empty lists: none any more.
///
/// Relays let a credential with `peers=room` exchange data with these and no others. Nothing in here is what a peer
/// said about itself: a relay gave the relayed addresses, and our own servers saw the others as sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomAddresses {
    /// Who says so.
    pub node: NodeId,
    /// Which part of it.
    pub origin: AddressOrigin,
    /// The room.
    pub room: RoomId,
    /// The peer.
    pub peer: PeerId,
    /// Relayed addresses of the peer's allocations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relayed: Vec<SocketAddr>,
    /// Where the peer's own packets came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<IpAddr>,
}

impl RoomAddresses {
    /// How often what has not changed is said again. A guess: a lost message is made up for within a call's set-up
    /// timeouts, and 50,000 allocations make 1,700 messages a second.
    pub const REPEAT: Duration = Duration::from_secs(30);
    /// How long it counts, by the receiver's clock: two repetitions may be lost.
    pub const LIFETIME: Duration = Duration::from_secs(90);
}

/// A part of a node that sees addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressOrigin {
    /// The relay: relayed addresses, and the sources of authenticated requests.
    Relay,
    /// Signaling: the sources of WebSockets.
    Signal,
}

/// Asks everyone to say at once what [`RoomAddresses`] they know in a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoomQuery {
    /// The room.
    pub room: RoomId,
}

/// How clients reach a node's relay, and whether it takes more of them. Relays that are full or draining send clients to
/// those that are not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayNode {
    /// The node.
    pub node: NodeId,
    /// As others see it.
    pub addresses: Vec<RelayAddress>,
    /// The name in its certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Allocations alive.
    pub allocations: u32,
    /// Allocations that it holds at most.
    pub capacity: u32,
    /// Whether it is to be empty soon.
    pub draining: bool,
}

impl RelayNode {
    /// How often a relay says so. A guess: what is known of another node's room is never much older.
    pub const REPEAT: Duration = Duration::from_secs(2);
    /// How long it counts, by the receiver's clock: four repetitions may be lost.
    pub const LEASE: Duration = Duration::from_secs(10);

    /// For how many more allocations there is room.
    #[must_use]
    pub const fn room(&self) -> u32 {
        if self.draining { 0 } else { self.capacity.saturating_sub(self.allocations) }
    }
}

/// One way to reach a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayAddress {
    /// How.
    pub transport: RelayTransport,
    /// Where.
    pub address: SocketAddr,
}
