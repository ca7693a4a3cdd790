//! What a node of an installation can ask of the others together.

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use causeway_protocol::{Epoch, NodeId, RoomId, UnixSeconds};
use tokio::sync::watch;

use crate::mail::{Mailbox, PostError};
use crate::nodes::{Connection, Lease, NodeFacts, Nodes};
use crate::ownership::{Claim, HandOverError, Owner, Standing};
use crate::rate::{SharedRate, Taken};
use crate::records::SaveError;

/// An answer that is waited for.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why the cluster has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// What joins the nodes cannot be reached now.
    #[error("the cluster cannot be reached; rooms on this node go on, try again")]
    Unreachable,
    /// It did not answer in time; whether it did what was asked is not known.
    #[error("the cluster did not answer in time; try again")]
    TimedOut,
    /// The nodes have just found one another again. Until all have said which rooms they own, nobody takes a room that seems to
    /// have no owner.
    #[error("the cluster was away and is being put together again; try again in a few seconds")]
    Settling,
    /// This node has no lease at the moment, so it cannot own a room towards others.
    #[error("this node's lease is over and is being renewed; try again")]
    NoLease,
    /// Redis refuses; the code is the first word of its answer, such as `NOPERM`, `OOM` or `MISCONF`.
    #[error("Redis refuses with {code}; look at its log and its settings")]
    Refused {
        /// The first word of its answer.
        code: String,
    },
    /// What is stored is nothing that this version writes.
    #[error("what is stored in the cluster cannot be read by this version; update all nodes")]
    Unreadable,
    /// The data directory cannot be read or written.
    #[error("the data directory cannot be used; look at the log, its free space and its permissions")]
    Storage,
}

/// One node's view of all nodes: who is there, who owns which room, mail to the others, and what is kept for all.
///
/// # Owners
/// A room has one owner, the node that numbers its events. Whoever needs a room asks [`Cluster::owner`]; if there is none,
/// [`Nodes::propose`] says which node should take it, so that nodes that ask at the same time agree, and
/// [`Cluster::claim`] decides. An owner acts towards other nodes only while [`Cluster::lease`] lasts, by its own clock; and it
/// calls [`Cluster::reassert`] for all its rooms whenever the lease's term changes: others may have taken them meanwhile.
///
/// # Mail
/// [`Cluster::post`] brings letters to another node exactly once and in order, unless [`Arrival::Reset`](crate::Arrival::Reset) says that some
/// are lost. To a node that is gone nothing is delivered; [`Cluster::nodes`] says so.
pub trait Cluster: Send + Sync + 'static {
    /// This node.
    fn node(&self) -> &NodeId;

    /// The live nodes, this one among them.
    fn nodes(&self) -> watch::Receiver<std::sync::Arc<Nodes>>;

    /// What the others are to know of this node. It is told with the next renewal of the lease; that the node drains, or no
    /// longer drains, at once. Without a `url` the former stays.
    fn announce(&self, facts: NodeFacts);

    /// Whether this node reaches what joins the nodes.
    fn connection(&self) -> watch::Receiver<Connection>;

    /// Until when this node may act as an owner towards others.
    fn lease(&self) -> watch::Receiver<Lease>;

    /// Who owns a room: only if that node's lease is alive.
    ///
    /// # Errors
    /// [`ClusterError`].
    fn owner<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Owner>, ClusterError>>;

    /// Takes a room that nobody alive owns. A room that this node owned already is its own anew, with a higher epoch.
    /// The epoch is higher than every earlier one of the room, and than `known`.
    ///
    /// # Errors
    /// [`ClusterError`].
    fn claim<'a>(&'a self, room: &'a RoomId, known: Epoch) -> BoxFuture<'a, Result<Claim, ClusterError>>;

    /// Makes a live node the owner of a room that this node owns with epoch `mine`. Answers the new owner's epoch.
    ///
    /// # Errors
    /// [`HandOverError`]; then nothing has changed, unless it says [`ClusterError::TimedOut`].
    fn hand_over<'a>(
        &'a self,
        room: &'a RoomId,
        mine: Epoch,
        to: &'a NodeId,
    ) -> BoxFuture<'a, Result<Epoch, HandOverError>>;

    /// Asks of rooms that this node owned how they stand, after its lease was interrupted. Keeps those that nobody else has taken,
    /// with the same epoch, and writes down anew those that the cluster has forgotten.
    ///
    /// # Errors
    /// [`ClusterError`]; then ask again for all of them.
    fn reassert(
        &self,
        rooms: Vec<(RoomId, Epoch)>,
    ) -> BoxFuture<'_, Result<Vec<(RoomId, Standing)>, ClusterError>>;

    /// Gives a room up; nothing happens if this node does not own it with epoch `mine`.
    ///
    /// # Errors
    /// [`ClusterError`].
    fn release<'a>(&'a self, room: &'a RoomId, mine: Epoch) -> BoxFuture<'a, Result<(), ClusterError>>;

    /// Sends a letter of at most [`LONGEST_LETTER`](crate::LONGEST_LETTER) bytes to another node. Never blocks.
    ///
    /// # Errors
    /// [`PostError`]; the letter is not sent.
    fn post(&self, to: &NodeId, letter: Bytes) -> Result<(), PostError>;

    /// What other nodes send to this one. There is one mailbox; `None` if it was taken before.
    fn mail(&self) -> Option<Mailbox>;

    /// What is kept of a room; `None` if nothing is, or it has expired.
    ///
    /// # Errors
    /// [`ClusterError`].
    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Bytes>, ClusterError>>;

    /// Keeps `record` of a room until `expires_at`, in place of what was kept before. It outlives every process, as far as the
    /// store does.
    ///
    /// # Errors
    /// [`SaveError`]; then what was kept before is kept.
    fn save<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: Epoch,
        record: Bytes,
        expires_at: UnixSeconds,
    ) -> BoxFuture<'a, Result<(), SaveError>>;

    /// Forgets what is kept of a room.
    ///
    /// # Errors
    /// [`SaveError`]; then what was kept before is kept.
    fn remove<'a>(&'a self, room: &'a RoomId, epoch: Epoch) -> BoxFuture<'a, Result<(), SaveError>>;

    /// Takes one token from the bucket of this name, which all nodes share. Everybody has to name the same rate for it.
    ///
    /// # Errors
    /// [`ClusterError`]; whoever asks then falls back on a limit of its own.
    fn take<'a>(&'a self, bucket: &'a str, rate: SharedRate) -> BoxFuture<'a, Result<Taken, ClusterError>>;
}
