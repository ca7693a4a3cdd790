//! One node of a [`MemoryHub`](crate::MemoryHub).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_protocol::{Epoch, Moment, NodeId, RoomId, UnixSeconds};
use tokio::sync::watch;

use crate::cluster::{BoxFuture, Cluster, ClusterError};
use crate::mail::{LONGEST_LETTER, Mailbox, PostError};
use crate::memory::hub::{Holder, Ownership, Shared, State};
use crate::nodes::{Connection, Lease, NodeFacts, Nodes};
use crate::ownership::{Claim, HandOverError, Owner, Standing};
use crate::rate::{SharedRate, Taken};
use crate::records::{Record, SaveError, Written};

/// How long the epoch of a room that was given up or a record that was removed is remembered, so that nobody who still thinks
/// to own the room takes it back. Longer than anybody thinks so: a lease takes seconds.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// The cluster as one node of a process sees it.
pub struct MemoryCluster {
    pub(crate) node: NodeId,
    pub(crate) shared: Arc<Shared>,
}

impl MemoryCluster {
    /// Forgets what has expired. Call it now and then.
    ///
    /// # Errors
    /// [`ClusterError::Storage`].
    pub async fn forget_expired(&self) -> Result<(), ClusterError> {
        let now = (self.shared.clock)();
        let before = Moment::from_origin(now.moment.since_origin().saturating_sub(REMEMBERED));
        self.shared.lock().forget_released(before);
        self.shared.records.forget_expired(now.unix).await
    }

    /// What `ask` answers, if this node reaches the others.
    fn asked<T>(&self, ask: impl FnOnce(&mut State) -> T) -> Result<T, ClusterError> {
        let mut state = self.shared.lock();
        if state.is_alive(&self.node) { Ok(ask(&mut state)) } else { Err(ClusterError::Unreachable) }
    }

    /// As long as this node owns the room with `epoch`, or nobody does and nobody has since.
    fn fence(&self, room: &RoomId, epoch: Epoch) -> Result<(), SaveError> {
        let (owner, last) = self.asked(|state| {
            (state.owner(room), state.owners.get(room).map_or(Epoch::NONE, |ownership| ownership.epoch))
        })?;
        if last > epoch { Err(SaveError::Fenced(owner)) } else { Ok(()) }
    }

    async fn write(&self, room: &RoomId, record: Record) -> Result<(), SaveError> {
        self.fence(room, record.epoch)?;
        match self.shared.records.write(room, record).await? {
            Written::Yes => Ok(()),
            Written::Fenced => Err(SaveError::Fenced(self.asked(|state| state.owner(room))?)),
        }
    }

    fn mine(&self, epoch: Epoch) -> Ownership {
        Ownership { holder: Holder::Node(self.node.clone()), epoch }
    }
}

fn ready<'a, T: Send + 'a>(answer: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(answer))
}

impl Cluster for MemoryCluster {
    fn node(&self) -> &NodeId {
        &self.node
    }

    fn nodes(&self) -> watch::Receiver<Arc<Nodes>> {
        self.shared.lock().nodes(&self.node)
    }

    fn announce(&self, facts: NodeFacts) {
        self.shared.lock().announce(&self.node, facts);
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.shared.lock().connection(&self.node)
    }

    fn lease(&self) -> watch::Receiver<Lease> {
        self.shared.lock().lease(&self.node)
    }

    fn owner<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Owner>, ClusterError>> {
        ready(self.asked(|state| state.owner(room)))
    }

    fn claim<'a>(&'a self, room: &'a RoomId, known: Epoch) -> BoxFuture<'a, Result<Claim, ClusterError>> {
        Box::pin(async move {
            // A process that was restarted knows earlier epochs only from what they wrote.
            let written = self.shared.records.read(room).await?.map_or(Epoch::NONE, |record| record.epoch);
            self.asked(|state| match state.owner(room) {
                Some(owner) if owner.node != self.node => Claim::Theirs(owner),
                Some(_) | None => {
                    let last = state.owners.get(room).map_or(Epoch::NONE, |ownership| ownership.epoch);
                    let epoch = last.max(known).max(written).next();
                    state.owners.insert(room.clone(), self.mine(epoch));
                    Claim::Mine(epoch)
                }
            })
        })
    }

    fn hand_over<'a>(
        &'a self,
        room: &'a RoomId,
        mine: Epoch,
        to: &'a NodeId,
    ) -> BoxFuture<'a, Result<Epoch, HandOverError>> {
        let handed_over = self.asked(|state| {
            let owner = state.owner(room);
            if owner != Some(Owner { node: self.node.clone(), epoch: mine }) {
                return Err(HandOverError::NotOwner(owner));
            }
            if !state.is_alive(to) {
                return Err(HandOverError::UnknownNode);
            }
            let epoch = mine.next();
            state.owners.insert(room.clone(), Ownership { holder: Holder::Node(to.clone()), epoch });
            Ok(epoch)
        });
        ready(handed_over.unwrap_or_else(|error| Err(error.into())))
    }

    fn reassert(
        &self,
        rooms: Vec<(RoomId, Epoch)>,
    ) -> BoxFuture<'_, Result<Vec<(RoomId, Standing)>, ClusterError>> {
        ready(self.asked(|state| {
            let stands = |(room, epoch): (RoomId, Epoch)| {
                let standing = match state.owners.get(&room) {
                    None => {
                        state.owners.insert(room.clone(), self.mine(epoch));
                        Standing::Restored
                    }
                    Some(Ownership { holder: Holder::Node(node), epoch: last })
                        if *node == self.node && *last == epoch =>
                    {
                        Standing::Kept
                    }
                    Some(_) => Standing::Lost(state.owner(&room)),
                };
                (room, standing)
            };
            rooms.into_iter().map(stands).collect()
        }))
    }

    fn release<'a>(&'a self, room: &'a RoomId, mine: Epoch) -> BoxFuture<'a, Result<(), ClusterError>> {
        let since = (self.shared.clock)().moment;
        ready(self.asked(|state| {
            if let Some(Ownership { holder, epoch }) = state.owners.get_mut(room)
                && *epoch == mine
                && *holder == Holder::Node(self.node.clone())
            {
                *holder = Holder::Nobody { since };
            }
        }))
    }

    fn post(&self, to: &NodeId, letter: Bytes) -> Result<(), PostError> {
        if letter.len() > LONGEST_LETTER {
            return Err(PostError::TooLarge);
        }
        self.shared.lock().post(&self.node, to, letter)
    }

    fn mail(&self) -> Option<Mailbox> {
        self.shared.lock().letterbox(&self.node).mailbox()
    }

    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Bytes>, ClusterError>> {
        Box::pin(async move {
            self.asked(|_| ())?;
            let now = (self.shared.clock)().unix;
            let record = self.shared.records.read(room).await?;
            Ok(record.filter(|record| record.expires_at > now).and_then(|record| record.bytes))
        })
    }

    fn save<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: Epoch,
        record: Bytes,
        expires_at: UnixSeconds,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        Box::pin(self.write(room, Record { epoch, expires_at, bytes: Some(record) }))
    }

    fn remove<'a>(&'a self, room: &'a RoomId, epoch: Epoch) -> BoxFuture<'a, Result<(), SaveError>> {
        let expires_at = (self.shared.clock)().unix.plus(REMEMBERED.as_secs());
        Box::pin(self.write(room, Record { epoch, expires_at, bytes: None }))
    }

    fn take<'a>(&'a self, bucket: &'a str, rate: SharedRate) -> BoxFuture<'a, Result<Taken, ClusterError>> {
        let now = (self.shared.clock)().moment;
        ready(self.asked(|state| state.take(bucket, rate, now)))
    }
}

impl Drop for MemoryCluster {
    fn drop(&mut self) {
        let letterbox = self.shared.lock().letterbox(&self.node);
        letterbox.close();
    }
}
