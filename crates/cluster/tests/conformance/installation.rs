//! Several nodes that are joined in one way or another.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use causeway_cluster::{Arrival, Cluster, Connection, LeaseTimes, Mailbox, MemoryHub, Redis, RedisCluster};
use causeway_protocol::secret::Secret;
use causeway_protocol::{NodeId, RoomId};
use causeway_service::clock;

use crate::support::RedisServer;

/// Longer than anything here takes on a loaded machine; a test that runs into it has failed.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What joins nodes, and does to them what happens to machines.
pub trait Installation: Sized {
    /// With no nodes yet.
    async fn start() -> Self;
    /// A new node, once all others know it.
    async fn node(&self) -> Arc<dyn Cluster>;
    /// Ends a node without a word. Its lease runs out.
    async fn kill(&self, node: Arc<dyn Cluster>);
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

    async fn kill(&self, node: Arc<dyn Cluster>) {
        self.0.kill(node.node());
    }
}

/// Over a Redis of their own.
pub struct OnRedis {
    server: RedisServer,
    nodes: Mutex<HashMap<NodeId, Arc<RedisCluster>>>,
}

impl Installation for OnRedis {
    async fn start() -> Self {
        Self { server: RedisServer::start(), nodes: Mutex::default() }
    }

    async fn node(&self) -> Arc<dyn Cluster> {
        let redis = Redis::connect(self.server.url().parse().unwrap(), fresh_node(), clock::now);
        let times = LeaseTimes { lease: Duration::from_secs(2) };
        let node = RedisCluster::join(redis, &Secret::from_bytes([7; 32]), times);
        let others: Vec<_> = self.nodes.lock().unwrap().values().cloned().collect();
        sees(&*node, node.node(), true).await;
        let mut connection = node.connection();
        within(connection.wait_for(|connection| *connection == Connection::Connected)).await.unwrap();
        for other in others {
            sees(&*other, node.node(), true).await;
        }
        self.nodes.lock().unwrap().insert(node.node().clone(), Arc::clone(&node));
        node
    }

    async fn kill(&self, node: Arc<dyn Cluster>) {
        self.nodes.lock().unwrap().remove(node.node());
        drop(node);
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
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $promise() {
                use $crate::installation::{Installation, OnRedis, within};
                let installation = OnRedis::start().await;
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
