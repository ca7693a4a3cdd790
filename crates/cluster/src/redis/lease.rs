//! Keeps this node's lease, and sees who else has one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use causeway_protocol::{Moment, NodeId};
use redis::{Script, Value};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, watch};

use super::commands::Commands;
use super::keys;
use crate::clock::Clock;
use crate::cluster::ClusterError;
use crate::metrics;
use crate::nodes::{Connection, Lease, NodeFacts, Nodes};

static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/lease.lua")));
static ALIVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/alive.lua")));

/// When Redis does not answer it is asked again after this time.
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// Nobody makes this node ask more often than that.
const PAUSE: Duration = Duration::from_millis(50);
/// After a lease has ended by Redis' clock it is looked at again.
const A_LITTLE_LATER: Duration = Duration::from_millis(20);

/// How long leases last. All nodes should have the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTimes {
    /// After so long without renewal a node counts as dead.
    pub lease: Duration,
}

impl LeaseTimes {
    /// So that two renewals may fail.
    fn renew_every(&self) -> Duration {
        self.lease.mul_f64(0.3)
    }

    /// By how much this node considers its lease over before others do: clocks do not run at the same speed.
    fn margin(&self) -> Duration {
        self.lease / 10
    }

    /// How long everybody gets to come back after all were away.
    fn settle(&self) -> Duration {
        self.renew_every() * 2
    }
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { lease: Duration::from_secs(8) }
    }
}

/// What stands in Redis about a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Entry {
    term: u64,
    #[serde(flatten)]
    facts: NodeFacts,
}

/// This node's lease.
pub(crate) struct LeaseKeeper {
    node: NodeId,
    times: LeaseTimes,
    commands: Arc<Commands>,
    clock: Clock,
    facts: Mutex<NodeFacts>,
    /// Of others, as they stand in Redis.
    terms: Mutex<BTreeMap<NodeId, u64>>,
    settled_at: Mutex<Moment>,
    term: AtomicU64,
    answers: AtomicBool,
    left: AtomicBool,
    look: Notify,
    listening: watch::Receiver<bool>,
    nodes: watch::Sender<Arc<Nodes>>,
    lease: watch::Sender<Lease>,
    connection: watch::Sender<Connection>,
}

/// What the script answers.
struct Answer {
    has_lease: bool,
    nodes: BTreeMap<NodeId, Entry>,
    /// Until the first of the others' leases is over.
    first_over: Option<Duration>,
}

impl LeaseKeeper {
    pub(crate) fn new(
        node: NodeId,
        times: LeaseTimes,
        commands: Arc<Commands>,
        clock: Clock,
        listening: watch::Receiver<bool>,
    ) -> Self {
        let now = clock().moment;
        Self {
            node,
            times,
            commands,
            clock,
            facts: Mutex::default(),
            terms: Mutex::default(),
            settled_at: Mutex::new(now),
            term: AtomicU64::new(0),
            answers: AtomicBool::new(false),
            left: AtomicBool::new(false),
            look: Notify::new(),
            listening,
            nodes: watch::Sender::new(Arc::default()),
            lease: watch::Sender::new(Lease { until: now, term: 0 }),
            connection: watch::Sender::new(Connection::Lost { since: now }),
        }
    }

    pub(crate) fn nodes(&self) -> watch::Receiver<Arc<Nodes>> {
        self.nodes.subscribe()
    }

    pub(crate) fn lease(&self) -> watch::Receiver<Lease> {
        self.lease.subscribe()
    }

    pub(crate) fn connection(&self) -> watch::Receiver<Connection> {
        self.connection.subscribe()
    }

    pub(crate) fn sees(&self, node: &NodeId) -> bool {
        self.nodes.borrow().contains(node)
    }

    /// This node's term, if its lease lasts.
    pub(crate) fn term(&self) -> Result<u64, ClusterError> {
        let lease = *self.lease.borrow();
        if lease.holds((self.clock)().moment) { Ok(lease.term) } else { Err(ClusterError::NoLease) }
    }

    /// The term of another node, as far as this one has heard.
    pub(crate) fn term_of(&self, node: &NodeId) -> u64 {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner).get(node).copied().unwrap_or(0)
    }

    /// Whether all were away and not all may be back.
    pub(crate) fn is_settling(&self) -> bool {
        (self.clock)().moment < *self.settled_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether another node's lease lasts.
    pub(crate) async fn is_alive(&self, node: &NodeId) -> Result<bool, ClusterError> {
        if self.is_settling() && self.sees(node) {
            return Ok(true);
        }
        let keys = [keys::LEASES.to_owned()];
        self.commands.script(&ALIVE, &keys, &[node.as_str().as_bytes()]).await
    }

    /// What others are to know; that this node drains, at once.
    pub(crate) fn set_facts(&self, facts: NodeFacts) {
        let mut known = self.facts.lock().unwrap_or_else(PoisonError::into_inner);
        let urgent = known.draining != facts.draining;
        *known = facts.after(&known);
        drop(known);
        if urgent {
            self.look.notify_one();
        }
    }

    /// Something has changed elsewhere.
    pub(crate) fn look(&self) {
        self.look.notify_one();
    }

    /// Renews for ever.
    pub(crate) async fn run(self: Arc<Self>, departed: impl Fn(&[NodeId]) + Send + Sync) {
        let mut listening = self.listening.clone();
        let mut told = None;
        loop {
            let pause = match self.ask().await {
                Ok((answer, sent)) => {
                    self.take_in(&answer, sent, &departed);
                    let news = (self.term.load(Ordering::Acquire), self.own_facts().draining);
                    if told.replace(news) != Some(news) {
                        // Others look when their time comes if this is lost.
                        let _unsent = self.tell_changed().await;
                    }
                    let soon = answer.first_over.map_or(Duration::MAX, |over| over + A_LITTLE_LATER);
                    self.times.renew_every().min(soon).min(self.until_settled()).max(PAUSE)
                }
                Err(error) => {
                    tracing::debug!(%error, "the lease was not renewed");
                    metrics::renewal_failed();
                    self.answers.store(false, Ordering::Release);
                    RETRY_AFTER.min(self.times.renew_every())
                }
            };
            self.judge();
            tokio::time::sleep(PAUSE).await;
            tokio::select! {
                () = tokio::time::sleep(pause.saturating_sub(PAUSE)) => {}
                () = self.look.notified() => {}
                changed = listening.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    self.judge();
                }
            }
        }
    }

    /// Gives the lease back. It is not taken again.
    pub(crate) async fn leave(&self) -> Result<(), ClusterError> {
        self.left.store(true, Ordering::Release);
        let now = (self.clock)().moment;
        self.lease.send_modify(|lease| lease.until = now);
        self.question("leave").await?;
        self.tell_changed().await
    }

    async fn tell_changed(&self) -> Result<(), ClusterError> {
        let name = Bytes::copy_from_slice(self.node.as_str().as_bytes());
        self.commands.publish(&[(keys::NODES_CHANGED.to_owned(), name)]).await
    }

    fn own_facts(&self) -> NodeFacts {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Renews the lease; if there is none any more, begins another term.
    async fn ask(&self) -> Result<(Answer, Moment), ClusterError> {
        let sent = (self.clock)().moment;
        if self.term.load(Ordering::Acquire) > 0 {
            let answer = self.question("renew").await?;
            if answer.has_lease || self.left.load(Ordering::Acquire) {
                return Ok((answer, sent));
            }
            tracing::warn!("this node's lease was over, or Redis has forgotten it; beginning another");
            metrics::lease_lost();
        }
        let term = self.term.load(Ordering::Acquire) + 1;
        let sent = (self.clock)().moment;
        if term > 1 {
            // Before anybody can ask: all others may be on their way back, too.
            *self.settled_at.lock().unwrap_or_else(PoisonError::into_inner) = sent.plus(self.times.settle());
        }
        self.term.store(term, Ordering::Release);
        match self.question("register").await {
            Ok(answer) => Ok((answer, sent)),
            Err(error) => {
                // Whether it was registered is not known; if so, it is renewed under this term.
                if term == 1 {
                    self.term.store(0, Ordering::Release);
                }
                Err(error)
            }
        }
    }

    async fn question(&self, what: &str) -> Result<Answer, ClusterError> {
        let entry = Entry { term: self.term.load(Ordering::Acquire), facts: self.own_facts() };
        let entry = serde_json::to_vec(&entry).expect("facts are plain JSON");
        let lease = self.times.lease.as_millis().to_string();
        let keys = [keys::LEASES.to_owned(), keys::FACTS.to_owned()];
        let arguments = [self.node.as_str().as_bytes(), what.as_bytes(), lease.as_bytes(), &entry];
        let answer: Vec<Value> = self.commands.script(&LEASE, &keys, &arguments).await?;
        read(&answer, &self.node).ok_or(ClusterError::Unreadable)
    }

    fn take_in(&self, answer: &Answer, sent: Moment, departed: &impl Fn(&[NodeId])) {
        self.answers.store(true, Ordering::Release);
        let settling = self.is_settling();
        let before = Arc::clone(&self.nodes.borrow());
        let mut seen: BTreeMap<NodeId, NodeFacts> =
            answer.nodes.iter().map(|(node, entry)| (node.clone(), entry.facts.clone())).collect();
        let mut gone = Vec::new();
        for (node, facts) in before.iter() {
            if !seen.contains_key(node) {
                if settling {
                    seen.insert(node.clone(), facts.clone());
                } else {
                    gone.push(node.clone());
                }
            }
        }
        *self.terms.lock().unwrap_or_else(PoisonError::into_inner) =
            answer.nodes.iter().map(|(node, entry)| (node.clone(), entry.term)).collect();
        if answer.has_lease {
            let until = sent.plus(self.times.lease.saturating_sub(self.times.margin()));
            let term = self.term.load(Ordering::Acquire);
            self.lease.send_replace(Lease { until, term });
        }
        let seen: Nodes = seen.into_iter().collect();
        self.nodes.send_if_modified(|nodes| {
            let differs = **nodes != seen;
            *nodes = Arc::new(seen);
            differs
        });
        if !gone.is_empty() {
            departed(&gone);
        }
    }

    fn until_settled(&self) -> Duration {
        let settled_at = *self.settled_at.lock().unwrap_or_else(PoisonError::into_inner);
        let left = settled_at.since((self.clock)().moment);
        if left.is_zero() { Duration::MAX } else { left + A_LITTLE_LATER }
    }

    /// Whether Redis answers, and brings what others say.
    fn judge(&self) {
        let well = self.answers.load(Ordering::Acquire) && *self.listening.borrow();
        let now = (self.clock)().moment;
        let changed = self.connection.send_if_modified(|connection| match (*connection, well) {
            (Connection::Connected, true) | (Connection::Lost { .. }, false) => false,
            (Connection::Lost { .. }, true) => {
                *connection = Connection::Connected;
                true
            }
            (Connection::Connected, false) => {
                *connection = Connection::Lost { since: now };
                true
            }
        });
        if changed && well {
            tracing::info!("connected with the other nodes");
        } else if changed {
            tracing::warn!("Redis is away; rooms on this node go on");
        }
        metrics::connected(well);
    }
}

/// `[has, node, facts, left, node, facts, left, …]`
fn read(answer: &[Value], own: &NodeId) -> Option<Answer> {
    let (has, rest) = answer.split_first()?;
    let has_lease = redis::from_redis_value_ref::<u64>(has).ok()? == 1;
    let (mut nodes, mut first_over) = (BTreeMap::new(), None::<Duration>);
    for entry in rest.chunks_exact(3) {
        let [name, facts, left] = entry else { return None };
        let name: NodeId = redis::from_redis_value_ref::<String>(name).ok()?.parse().ok()?;
        let facts: Vec<u8> = redis::from_redis_value_ref(facts).ok()?;
        let left = Duration::from_millis(redis::from_redis_value_ref(left).ok()?);
        if name != *own {
            first_over = Some(first_over.map_or(left, |first| first.min(left)));
        }
        // What a later version says that this one cannot read is not worth a node.
        nodes.insert(name, serde_json::from_slice(&facts).unwrap_or_default());
    }
    Some(Answer { has_lease, nodes, first_over })
}
