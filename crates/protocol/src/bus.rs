//! What processes tell one another over the Bus: relays report usage, rooms order revocations.

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
