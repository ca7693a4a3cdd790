//! Giving all rooms of this node away before it ends.

use std::sync::Arc;

use causeway_cluster::NodeFacts;
use causeway_protocol::RoomId;
use causeway_signal_core::Ending;
use futures_util::StreamExt;
use futures_util::stream;

use crate::room::{End, GiveAway};
use crate::state::Signal;

/// Rooms that are handed over at a time. A guess: enough to hide the time that each takes to ask the others.
const AT_A_TIME: usize = 16;

/// Hands every room of this node over to the node that should have it then. Rooms that nobody takes end here, without harm to
/// what was kept of them. Says whether there is another node.
pub(crate) async fn hand_over_all(signal: &Arc<Signal>) -> bool {
    let facts = signal.cluster.nodes().borrow().get(signal.cluster.node()).cloned().unwrap_or_default();
    signal.cluster.announce(NodeFacts { draining: true, ..facts });
    let others = signal.cluster.nodes().borrow().len() > 1;
    stream::iter(signal.rooms.owned())
        .for_each_concurrent(AT_A_TIME, |(room, _)| async move { hand_over(signal, &room).await })
        .await;
    others
}

async fn hand_over(signal: &Arc<Signal>, id: &RoomId) {
    let Some(room) = signal.rooms.find(id) else { return };
    let to = signal.cluster.nodes().borrow().propose_without(id, Some(signal.cluster.node())).cloned();
    let handed = match to {
        Some(to) => room.send(GiveAway(to)).await.unwrap_or(false),
        None => false,
    };
    // One that another node owns by now ends its sockets here when they leave.
    if !handed {
        let _ended_by_itself = room.send(End(Ending::Draining)).await;
    }
}
