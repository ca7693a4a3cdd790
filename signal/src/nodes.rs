//! Watches the other nodes, this node's lease and what joins them, and tells the rooms.

use std::collections::BTreeSet;
use std::sync::Arc;

use causeway_cluster::{Connection, Nodes, Standing};
use causeway_protocol::NodeId;
use causeway_service::clock;
use tokio::time::{Duration, sleep};

use crate::room::{NodeGone, Reachable, Stands};
use crate::state::Signal;

/// Between two tries to ask the cluster how rooms stand.
const AGAIN: Duration = Duration::from_millis(500);

/// Rooms asked about at a time.
const AT_A_TIME: usize = 256;

/// Watches until the cluster is gone.
pub(crate) async fn watch(signal: Arc<Signal>) {
    let mut nodes = signal.cluster.nodes();
    let mut lease = signal.cluster.lease();
    let mut connection = signal.cluster.connection();
    let mut known = names(&nodes.borrow_and_update());
    let mut term = lease.borrow_and_update().term;
    loop {
        tokio::select! {
            changed = nodes.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = names(&nodes.borrow_and_update());
                for gone in known.difference(&now) {
                    tell_gone(&signal, gone).await;
                }
                known = now;
            }
            changed = connection.changed() => {
                if changed.is_err() {
                    return;
                }
                let reachable = match *connection.borrow_and_update() {
                    Connection::Connected => Ok(()),
                    Connection::Lost { .. } => Err(clock::now().unix),
                };
                for room in signal.rooms.all() {
                    let _room_over = room.send(Reachable(reachable)).await;
                }
            }
            changed = lease.changed() => {
                if changed.is_err() {
                    return;
                }
                let now = lease.borrow_and_update().term;
                // Rooms that were made while nobody could be asked may have another owner, too.
                if now != term || signal.has_unasked_rooms() {
                    term = now;
                    reassert(&signal).await;
                }
            }
        }
    }
}

fn names(nodes: &Nodes) -> BTreeSet<NodeId> {
    nodes.iter().map(|(node, _)| node.clone()).collect()
}

async fn tell_gone(signal: &Signal, gone: &NodeId) {
    if gone == signal.cluster.node() {
        return;
    }
    tracing::warn!(node = %gone, "a node is gone");
    for room in signal.rooms.all() {
        let _room_over = room.send(NodeGone(gone.clone())).await;
    }
}

/// The lease was interrupted: others may have taken rooms of this node.
async fn reassert(signal: &Signal) {
    let owned = signal.rooms.owned();
    for some in owned.chunks(AT_A_TIME) {
        let standings = loop {
            match signal.cluster.reassert(some.to_vec()).await {
                Ok(standings) => break standings,
                Err(error) => {
                    tracing::warn!(%error, "it is not known whether rooms of this node are still its own");
                }
            }
            sleep(AGAIN).await;
        };
        for (id, standing) in standings {
            if let Standing::Lost(_) = &standing {
                tracing::warn!(room = %id, "another node owns the room");
            }
            if let Some(room) = signal.rooms.find(&id) {
                let _room_over = room.send(Stands(standing)).await;
            }
        }
    }
}
