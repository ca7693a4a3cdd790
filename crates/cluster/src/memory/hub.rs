//! What joins the nodes of one process, and how tests take it apart.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use causeway_protocol::{Epoch, Moment, NodeId, Now, RoomId};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::mail::{Full, Letterbox, MOST_LETTERS, PostError};
use crate::memory::node::MemoryCluster;
use crate::nodes::{Connection, Lease, NodeFacts, Nodes};
use crate::ownership::Owner;
use crate::rate::{SharedRate, Taken};
use crate::records::{MemoryRecords, Records};

/// Buckets that are known at once; full ones are forgotten first. A guess: some megabytes.
const MOST_BUCKETS: usize = 65_536;

/// Joins the nodes of one process.
///
/// A single process has one node. Tests have several, and do to them what happens to machines: [`MemoryHub::kill`],
/// [`MemoryHub::partition`], [`MemoryHub::stall`], each of which others see at once, and [`MemoryHub::heal`].
#[derive(Clone)]
pub struct MemoryHub {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) records: Arc<dyn Records>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    nodes: BTreeMap<NodeId, Member>,
    pub(crate) owners: HashMap<RoomId, Ownership>,
    /// When each will be full.
    buckets: HashMap<String, (Moment, SharedRate)>,
    /// Letters between nodes that are apart, in the order in which they were posted.
    held: Vec<(NodeId, NodeId, Bytes)>,
    /// Pairs between which letters were given up while they were apart.
    torn: Vec<(NodeId, NodeId)>,
}

/// Who owned a room last. The epoch outlives the owner for a while.
#[derive(Clone, Debug)]
pub(crate) struct Ownership {
    pub(crate) holder: Holder,
    pub(crate) epoch: Epoch,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    Node(NodeId),
    /// It was given up.
    Nobody {
        since: Moment,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// At work.
    Well,
    /// Cut off from the others, and aware of it.
    Apart,
    /// Its lease is over for the others, and it has not noticed more than that its own clock says so.
    Stalled,
    /// Gone for good.
    Dead,
}

struct Member {
    life: Life,
    facts: NodeFacts,
    letterbox: Arc<Letterbox>,
    nodes: watch::Sender<Arc<Nodes>>,
    connection: watch::Sender<Connection>,
    lease: watch::Sender<Lease>,
}

impl MemoryHub {
    /// No nodes yet, and records that end with the process.
    #[must_use]
    pub fn new(clock: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self::with_records(clock, Arc::new(MemoryRecords::new()))
    }

    /// No nodes yet; what is kept of rooms goes to `records`.
    #[must_use]
    pub fn with_records(clock: impl Fn() -> Now + Send + Sync + 'static, records: Arc<dyn Records>) -> Self {
        let state = Mutex::new(State::default());
        Self { shared: Arc::new(Shared { clock: Arc::new(clock), records, state }) }
    }

    /// Adds a node. A name that was used before has to be a new one: a restarted process is another node.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Arc<MemoryCluster> {
        let forever = Lease { until: Moment::from_origin(Duration::MAX), term: 1 };
        let member = Member {
            life: Life::Well,
            facts: NodeFacts::default(),
            letterbox: Arc::new(Letterbox::default()),
            nodes: watch::Sender::new(Arc::default()),
            connection: watch::Sender::new(Connection::Connected),
            lease: watch::Sender::new(forever),
        };
        let mut state = self.shared.lock();
        state.nodes.insert(id.clone(), member);
        state.tell_nodes();
        drop(state);
        Arc::new(MemoryCluster { node: id, shared: Arc::clone(&self.shared) })
    }

    /// Ends a node without a word, as SIGKILL does. It never comes back.
    pub fn kill(&self, id: &NodeId) {
        let mut state = self.shared.lock();
        if let Some(member) = state.nodes.get_mut(id) {
            member.life = Life::Dead;
            member.letterbox.close();
        }
        state.held.retain(|(from, to, _)| from != id && to != id);
        state.torn.retain(|(from, to)| from != id && to != id);
        state.tell_nodes();
    }

    /// Cuts a node off: it cannot ask the cluster, letters from and to it wait, its lease is over, and it knows.
    pub fn partition(&self, id: &NodeId) {
        self.part(id, Life::Apart);
    }

    /// Lets a node's lease end without its noticing, as when its process was stopped: it goes on to act until it
    /// looks at its lease. What it asks of the cluster is refused until [`MemoryHub::heal`].
    pub fn stall(&self, id: &NodeId) {
        self.part(id, Life::Stalled);
    }

    fn part(&self, id: &NodeId, life: Life) {
        let now = (self.shared.clock)().moment;
        let mut state = self.shared.lock();
        if let Some(member) = state.nodes.get_mut(id).filter(|member| member.life != Life::Dead) {
            member.life = life;
            member.lease.send_modify(|lease| lease.until = now);
            if life == Life::Apart {
                member.connection.send_replace(Connection::Lost { since: now });
            }
        }
        state.tell_nodes();
    }

    /// Ends what [`MemoryHub::partition`] or [`MemoryHub::stall`] began: the node has a new lease, and letters that waited arrive.
    pub fn heal(&self, id: &NodeId) {
        let mut state = self.shared.lock();
        if let Some(member) = state.nodes.get_mut(id).filter(|member| member.life != Life::Dead) {
            member.life = Life::Well;
            member.connection.send_replace(Connection::Connected);
            member.lease.send_modify(|lease| {
                lease.until = Moment::from_origin(Duration::MAX);
                lease.term += 1;
            });
        }
        state.tell_nodes();
        state.deliver_held();
    }
}

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    pub(crate) fn is_alive(&self, id: &NodeId) -> bool {
        self.nodes.get(id).is_some_and(|member| member.life == Life::Well)
    }

    /// The room's owner, if it is alive.
    pub(crate) fn owner(&self, room: &RoomId) -> Option<Owner> {
        let Ownership { holder: Holder::Node(node), epoch } = self.owners.get(room)? else { return None };
        self.is_alive(node).then(|| Owner { node: node.clone(), epoch: *epoch })
    }

    pub(crate) fn announce(&mut self, id: &NodeId, facts: NodeFacts) {
        if let Some(member) = self.nodes.get_mut(id) {
            member.facts = facts.after(&member.facts);
        }
        self.tell_nodes();
    }

    pub(crate) fn nodes(&self, id: &NodeId) -> watch::Receiver<Arc<Nodes>> {
        self.member(id).nodes.subscribe()
    }

    pub(crate) fn connection(&self, id: &NodeId) -> watch::Receiver<Connection> {
        self.member(id).connection.subscribe()
    }

    pub(crate) fn lease(&self, id: &NodeId) -> watch::Receiver<Lease> {
        self.member(id).lease.subscribe()
    }

    pub(crate) fn letterbox(&self, id: &NodeId) -> Arc<Letterbox> {
        Arc::clone(&self.member(id).letterbox)
    }

    fn member(&self, id: &NodeId) -> &Member {
        self.nodes.get(id).expect("a MemoryCluster is a member of its hub, and members are never taken away")
    }

    pub(crate) fn post(&mut self, from: &NodeId, to: &NodeId, letter: Bytes) -> Result<(), PostError> {
        let gone = |id| self.nodes.get(id).is_none_or(|member| member.life == Life::Dead);
        if from == to || gone(to) || gone(from) {
            return Err(PostError::UnknownNode);
        }
        if self.is_alive(from) && self.is_alive(to) {
            return self.deliver(from, to, letter).map_err(|Full| PostError::Full);
        }
        let between = |(one, other): (&NodeId, &NodeId)| one == from && other == to;
        if self.held.iter().filter(|(one, other, _)| between((one, other))).count() >= MOST_LETTERS {
            self.held.retain(|(one, other, _)| !between((one, other)));
            self.torn.push((from.clone(), to.clone()));
            return Err(PostError::Full);
        }
        self.held.push((from.clone(), to.clone(), letter));
        Ok(())
    }

    fn deliver(&self, from: &NodeId, to: &NodeId, letter: Bytes) -> Result<(), Full> {
        let delivered = self.member(to).letterbox.letter(from.clone(), letter);
        if delivered.is_err() {
            self.tell_torn(from, to);
        }
        delivered
    }

    fn tell_torn(&self, from: &NodeId, to: &NodeId) {
        self.member(to).letterbox.reset(from.clone());
        self.member(from).letterbox.reset(to.clone());
    }

    fn deliver_held(&mut self) {
        let together = |state: &Self, from: &NodeId, to: &NodeId| state.is_alive(from) && state.is_alive(to);
        for (from, to) in std::mem::take(&mut self.torn) {
            if together(self, &from, &to) {
                self.tell_torn(&from, &to);
            } else {
                self.torn.push((from, to));
            }
        }
        for (from, to, letter) in std::mem::take(&mut self.held) {
            if together(self, &from, &to) {
                // Whom it had no place for was told.
                let _told = self.deliver(&from, &to, letter);
            } else {
                self.held.push((from, to, letter));
            }
        }
    }

    fn tell_nodes(&self) {
        let well = self.nodes.iter().filter(|(_, member)| member.life == Life::Well);
        let nodes: Arc<Nodes> =
            Arc::new(well.map(|(id, member)| (id.clone(), member.facts.clone())).collect());
        for member in self.nodes.values().filter(|member| member.life == Life::Well) {
            let changed = |old: &mut Arc<Nodes>| {
                let differs = *old != nodes;
                *old = Arc::clone(&nodes);
                differs
            };
            member.nodes.send_if_modified(changed);
        }
    }

    pub(crate) fn forget_released(&mut self, before: Moment) {
        self.owners.retain(|_, ownership| match ownership.holder {
            Holder::Node(_) => true,
            Holder::Nobody { since } => since >= before,
        });
    }

    pub(crate) fn take(&mut self, bucket: &str, rate: SharedRate, now: Moment) -> Taken {
        if self.buckets.len() >= MOST_BUCKETS && !self.buckets.contains_key(bucket) {
            self.buckets.retain(|_, (full_at, _)| *full_at > now);
            if self.buckets.len() >= MOST_BUCKETS {
                return Taken::No { retry_after: rate.refill };
            }
        }
        let (full_at, _) = self.buckets.get(bucket).copied().unwrap_or((now, rate));
        match rate.take(full_at, now) {
            Ok(full_at) => {
                self.buckets.insert(bucket.to_owned(), (full_at, rate));
                Taken::Yes
            }
            Err(retry_after) => Taken::No { retry_after },
        }
    }
}
