//! The nodes of an installation that share a Redis.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use causeway_protocol::secret::{Purpose, Secret};
use causeway_protocol::{Epoch, NodeId, RoomId, UnixSeconds};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use super::Redis;
use super::keys;
use super::lease::{LeaseKeeper, LeaseTimes};
use super::listener::Heard;
use super::mail::Mail;
use super::rooms::Rooms;
use crate::cluster::{BoxFuture, Cluster, ClusterError};
use crate::mail::{Letterbox, Mailbox, PostError};
use crate::nodes::{Connection, Lease, NodeFacts, Nodes};
use crate::ownership::{Claim, HandOverError, Owner, Standing};
use crate::rate::{SharedRate, Taken};
use crate::records::SaveError;

/// One node of them. Dropping it ends it as a crash would: its lease is left to run out; [`RedisCluster::leave`] gives it back.
pub struct RedisCluster {
    redis: Arc<Redis>,
    lease: Arc<LeaseKeeper>,
    mail: Arc<Mail>,
    rooms: Rooms,
    tasks: Vec<AbortHandle>,
}

impl RedisCluster {
    /// Joins the nodes of `redis`. It returns at once; [`Cluster::connection`] tells when it has joined.
    /// `secret` is the installation's: letters are sealed with a key derived from it.
    ///
    /// Wants a tokio runtime around it.
    #[must_use]
    pub fn join(redis: Arc<Redis>, secret: &Secret, times: LeaseTimes) -> Arc<Self> {
        let (node, clock, commands) =
            (redis.node.clone(), Arc::clone(&redis.clock), Arc::clone(&redis.commands));
        let lease = Arc::new(LeaseKeeper::new(
            node.clone(),
            times,
            Arc::clone(&commands),
            Arc::clone(&clock),
            redis.listener.listening(),
        ));
        let mail = Arc::new(Mail {
            node: node.clone(),
            key: secret.derive(Purpose::NodeMail),
            commands: Arc::clone(&commands),
            clock: Arc::clone(&clock),
            letterbox: Arc::new(Letterbox::default()),
            links: Mutex::default(),
            due: Notify::new(),
            wondered: Mutex::default(),
        });
        let heard = Arc::downgrade(&mail);
        let mailed = redis.listener.listen(
            keys::mail(&node),
            Arc::new(move |message| {
                if let Some(mail) = heard.upgrade() {
                    mail.on_heard(message);
                }
            }),
        );
        let looks = Arc::downgrade(&lease);
        let nudged = redis.listener.listen(
            keys::NODES_CHANGED.to_owned(),
            Arc::new(move |heard| {
                if let (Some(lease), Heard::Message(_) | Heard::Interrupted) = (looks.upgrade(), heard) {
                    lease.look();
                }
            }),
        );
        debug_assert!(mailed && nudged, "a new listener has places for the wishes of its process");
        let departed = Arc::clone(&mail);
        let tasks = vec![
            tokio::spawn(Arc::clone(&mail).run()).abort_handle(),
            tokio::spawn(Arc::clone(&lease).run(move |gone| departed.forget(gone))).abort_handle(),
        ];
        let rooms = Rooms { node, commands, lease: Arc::clone(&lease), clock };
        Arc::new(Self { redis, lease, mail, rooms, tasks })
    }

    /// Gives the lease back, so that others need not wait until it runs out. Comes last: nothing can be owned after it.
    ///
    /// # Errors
    /// [`ClusterError`]; then the lease runs out by itself.
    pub async fn leave(&self) -> Result<(), ClusterError> {
        self.lease.leave().await
    }
}

impl Drop for RedisCluster {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        self.mail.letterbox.close();
    }
}

impl Cluster for RedisCluster {
    fn node(&self) -> &NodeId {
        &self.redis.node
    }

    fn nodes(&self) -> watch::Receiver<Arc<Nodes>> {
        self.lease.nodes()
    }

    fn announce(&self, facts: NodeFacts) {
        self.lease.set_facts(facts);
    }

    fn connection(&self) -> watch::Receiver<Connection> {
        self.lease.connection()
    }

    fn lease(&self) -> watch::Receiver<Lease> {
        self.lease.lease()
    }

    fn owner<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Owner>, ClusterError>> {
        Box::pin(self.rooms.owner(room))
    }

    fn claim<'a>(&'a self, room: &'a RoomId, known: Epoch) -> BoxFuture<'a, Result<Claim, ClusterError>> {
        Box::pin(self.rooms.claim(room, known))
    }

    fn hand_over<'a>(
        &'a self,
        room: &'a RoomId,
        mine: Epoch,
        to: &'a NodeId,
    ) -> BoxFuture<'a, Result<Epoch, HandOverError>> {
        Box::pin(self.rooms.hand_over(room, mine, to))
    }

    fn reassert(
        &self,
        rooms: Vec<(RoomId, Epoch)>,
    ) -> BoxFuture<'_, Result<Vec<(RoomId, Standing)>, ClusterError>> {
        Box::pin(self.rooms.reassert(rooms))
    }

    fn release<'a>(&'a self, room: &'a RoomId, mine: Epoch) -> BoxFuture<'a, Result<(), ClusterError>> {
        Box::pin(self.rooms.release(room, mine))
    }

    fn post(&self, to: &NodeId, letter: Bytes) -> Result<(), PostError> {
        if to == self.node() || !self.lease.sees(to) {
            return Err(PostError::UnknownNode);
        }
        self.mail.post(to, letter)
    }

    fn mail(&self) -> Option<Mailbox> {
        self.mail.letterbox.mailbox()
    }

    fn load<'a>(&'a self, room: &'a RoomId) -> BoxFuture<'a, Result<Option<Bytes>, ClusterError>> {
        Box::pin(self.rooms.load(room))
    }

    fn save<'a>(
        &'a self,
        room: &'a RoomId,
        epoch: Epoch,
        record: Bytes,
        expires_at: UnixSeconds,
    ) -> BoxFuture<'a, Result<(), SaveError>> {
        Box::pin(async move { self.rooms.save(room, epoch, &record, expires_at).await })
    }

    fn remove<'a>(&'a self, room: &'a RoomId, epoch: Epoch) -> BoxFuture<'a, Result<(), SaveError>> {
        Box::pin(self.rooms.remove(room, epoch))
    }

    fn take<'a>(&'a self, bucket: &'a str, rate: SharedRate) -> BoxFuture<'a, Result<Taken, ClusterError>> {
        Box::pin(self.rooms.take(bucket, rate))
    }
}
