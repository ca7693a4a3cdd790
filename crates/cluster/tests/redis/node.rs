//! A node under test, and what it is asked again and again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use causeway_cluster::{
    Arrival, Claim, Cluster, ClusterError, Connection, LeaseTimes, Mailbox, PostError, Redis, RedisCluster,
};
use causeway_protocol::secret::Secret;
use causeway_protocol::{Epoch, NodeId, Now, RoomId};
use causeway_service::clock;
use causeway_service::metrics::Metrics;

use crate::support::PATIENCE;

/// Short, so that tests are; long enough for a loaded machine.
pub const LEASE: LeaseTimes = LeaseTimes { lease: Duration::from_secs(2) };

/// Between two tries of something that becomes true without saying so.
const AGAIN: Duration = Duration::from_millis(20);

pub fn secret() -> Secret {
    Secret::from_bytes([7; 32])
}

/// A node that has joined.
pub async fn join(url: &str) -> Arc<RedisCluster> {
    join_with_clock(url, clock::now).await
}

/// A node whose lease outlasts whatever happens to it.
pub async fn join_for_long(url: &str) -> Arc<RedisCluster> {
    let redis = Redis::connect(url.parse().unwrap(), NodeId::random(&mut rand::rng()), clock::now);
    let node = RedisCluster::join(redis, &secret(), LeaseTimes { lease: PATIENCE * 2 });
    connected(&*node, true).await;
    node
}

pub async fn join_with_clock(
    url: &str,
    clock: impl Fn() -> Now + Send + Sync + 'static,
) -> Arc<RedisCluster> {
    let redis = Redis::connect(url.parse().unwrap(), NodeId::random(&mut rand::rng()), clock);
    let node = RedisCluster::join(redis, &secret(), LEASE);
    connected(&*node, true).await;
    node
}

/// Nodes that know one another.
pub async fn joined<const N: usize>(url: &str) -> [Arc<RedisCluster>; N] {
    let mut nodes = Vec::new();
    for _ in 0..N {
        nodes.push(join(url).await);
    }
    for node in &nodes {
        for other in &nodes {
            sees(&**node, other.node(), true).await;
        }
    }
    nodes.try_into().ok().unwrap()
}

/// What `work` answers, in time.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.expect("it takes too long")
}

pub async fn connected(node: &dyn Cluster, is: bool) {
    let mut connection = node.connection();
    within(connection.wait_for(|connection| (*connection == Connection::Connected) == is)).await.unwrap();
}

/// Waits until `node` sees `other`, or no longer does.
pub async fn sees(node: &dyn Cluster, other: &NodeId, there: bool) {
    let mut nodes = node.nodes();
    within(nodes.wait_for(|nodes| nodes.contains(other) == there)).await.unwrap();
}

/// Waits until the node's lease has this term.
pub async fn has_term(node: &dyn Cluster, term: u64) {
    let mut lease = node.lease();
    within(lease.wait_for(|lease| lease.term >= term)).await.unwrap();
}

pub fn room() -> RoomId {
    RoomId::random(&mut rand::rng())
}

/// Claims until the cluster says whose the room is.
pub async fn claim(node: &dyn Cluster, room: &RoomId) -> Claim {
    within(async {
        loop {
            match node.claim(room, Epoch::NONE).await {
                Ok(claim) => return claim,
                Err(
                    ClusterError::Unreachable
                    | ClusterError::TimedOut
                    | ClusterError::Settling
                    | ClusterError::NoLease
                    | ClusterError::Refused { .. },
                ) => tokio::time::sleep(AGAIN).await,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await
}

/// Claims a room that is free.
pub async fn mine(node: &dyn Cluster, room: &RoomId) -> Epoch {
    match claim(node, room).await {
        Claim::Mine(epoch) => epoch,
        Claim::Theirs(owner) => panic!("{owner:?} has it"),
    }
}

/// Posts until it is taken.
pub async fn post(from: &dyn Cluster, to: &NodeId, letter: &str) {
    within(async {
        loop {
            match from.post(to, Bytes::copy_from_slice(letter.as_bytes())) {
                Ok(()) => return,
                Err(PostError::UnknownNode) => tokio::time::sleep(AGAIN).await,
                Err(error) => panic!("{error}"),
            }
        }
    })
    .await;
}

/// What a counter of this test process says. All tests of it count together.
pub fn count(series: &str) -> u64 {
    let page = Metrics::install().render();
    let line = page.lines().find_map(|line| line.strip_prefix(&format!("{series} ")));
    line.map_or(0, |count| count.parse().unwrap())
}

/// The next letter.
pub async fn letter(mailbox: &mut Mailbox) -> String {
    match within(mailbox.next()).await {
        Some(Arrival::Letter { bytes, .. }) => String::from_utf8(bytes.to_vec()).unwrap(),
        other => panic!("this is no letter: {other:?}"),
    }
}
