//! Who owns a room.

use causeway_protocol::{Epoch, NodeId};

use crate::cluster::ClusterError;

/// The node that numbers a room's events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Which.
    pub node: NodeId,
    /// Since which change of owner.
    pub epoch: Epoch,
}

/// What became of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The room belongs to this node, with this epoch.
    Mine(Epoch),
    /// Another live node owns it.
    Theirs(Owner),
}

/// How a room that a node owned stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is still its own, with the same epoch.
    Kept,
    /// It is still its own, with the same epoch; but the cluster had forgotten the room, and probably what was saved of it:
    /// save it again.
    Restored,
    /// Somebody took it, and may have given it up again.
    Lost(Option<Owner>),
}

/// Why a room was not handed over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandOverError {
    /// This node does not own the room with that epoch.
    #[error("the room belongs to another node")]
    NotOwner(Option<Owner>),
    /// The node that was to take it is not alive.
    #[error("the node that was to take the room is gone; choose another")]
    UnknownNode,
    /// The cluster has no answer.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}
