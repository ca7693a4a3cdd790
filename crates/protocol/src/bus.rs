//! What processes tell one another over the Bus: relays report usage, rooms order revocations.

use serde::{Deserialize, Serialize};

use crate::ids::TokenId;
use crate::{NodeId, PeerId, RoomId};

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

/// What relays must do at once, and go on doing until the credentials concerned have expired.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum RelayOrder {
    /// End the allocations of one credential and refuse it.
    RevokeCredential {
        /// The credential's `jti`.
        jti: TokenId,
    },
    /// End the allocations of a peer in a room and refuse its credentials.
    RevokePeer {
        /// The room.
        room: RoomId,
        /// The peer.
        peer: PeerId,
    },
    /// End all allocations of a room and refuse its credentials.
    RevokeRoom {
        /// The room.
        room: RoomId,
    },
}
