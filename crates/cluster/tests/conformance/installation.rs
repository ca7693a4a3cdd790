//! Several nodes that are joined in one way or another.

use std::sync::Arc;
use std::time::Duration;

use causeway_cluster::{Arrival, Cluster, Mailbox, MemoryHub};
use causeway_protocol::{NodeId, RoomId};
use causeway_service::clock;

/// Longer than anything here takes on a loaded machine; a test that runs into it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What joins nodes, and does to them what happens to machines.
pub trait Installation: Sized {
    /// With no nodes yet.
    async fn start() -> Self;
    /// A new node, once all others know it.
    async fn node(&self) -> Arc<dyn Cluster>;
    /// Ends a node without a word, and waits until its lease is over for the others.
    async fn kill(&self, node: &NodeId);
}

/// In memory.
pub struct InMemory(MemoryHub);

impl Installation for InMemory {
    async fn start() -> Self {
        Self(MemoryHub::new(clock::now))
    }

    async fn node(&self) -> Arc<dyn Cluster> {
        self.0.node(fresh_node())
    }

    async fn kill(&self, node: &NodeId) {
        self.0.kill(node);
    }
}

/// Makes a test of each promise for each implementation.
#[macro_export]
macro_rules! promises {
    ($($promise:ident),+ $(,)?) => {
        mod in_memory {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                use $crate::installation::{InMemory, Installation, within};
                let installation = InMemory::start().await;
                within(super::$promise(&installation)).await;
            })+
        }
    };
}

/// What `work` answers, in time.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
}

/// A name that no node had before.
pub fn fresh_node() -> NodeId {
    NodeId::random(&mut rand::rng())
}

/// A room that nobody knows yet.
pub fn fresh_room() -> RoomId {
    RoomId::random(&mut rand::rng())
}

/// Waits until `node` sees `other`, or no longer does.
pub async fn sees(node: &dyn Cluster, other: &NodeId, there: bool) {
    let mut nodes = node.nodes();
    within(nodes.wait_for(|nodes| nodes.contains(other) == there)).await.unwrap();
}

/// Waits for a letter.
pub async fn letter(mailbox: &mut Mailbox) -> (NodeId, String) {
    match within(mailbox.next()).await {
        Some(Arrival::Letter { from, bytes }) => (from, String::from_utf8(bytes.to_vec()).unwrap()),
        other => panic!("this is no letter: {other:?}"),
    }
}
