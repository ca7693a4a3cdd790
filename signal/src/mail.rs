//! Hands letters of other nodes to the rooms they are about.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use actix::prelude::SendError;
use causeway_cluster::{Arrival, Mailbox};
use causeway_protocol::NodeId;
use causeway_protocol::node::{RoomLetter, Say};
use tokio::time::{sleep, timeout};

use crate::attach::attach;
use crate::metrics;
use crate::room::{Beginning, Mail, NodeReset, RoomActor};
use crate::state::Signal;

/// How long a room is looked for that others take for this node's. Other letters wait meanwhile.
const FIND_WITHIN: Duration = Duration::from_secs(2);
/// Between two tries to bring a letter to a room that is busy.
const BUSY: Duration = Duration::from_millis(2);
/// How often it is tried: a room that takes nothing for two seconds has a defect, and must not keep the others' letters.
const TRIES: u32 = 1000;

/// Delivers until the cluster is gone.
pub(crate) async fn deliver(mut mailbox: Mailbox, signal: Arc<Signal>) {
    while let Some(arrival) = mailbox.next().await {
        match arrival {
            Arrival::Letter { from, bytes } => match serde_json::from_slice::<RoomLetter>(&bytes) {
                Ok(letter) => bring(&signal, from, letter).await,
                // A newer node may say what this one does not know.
                Err(error) => {
                    metrics::letter_refused("unreadable");
                    tracing::warn!(node = %from, %error, "a letter cannot be read");
                }
            },
            Arrival::Reset { node } => {
                tracing::warn!(%node, "letters between this node and another may be lost");
                for room in signal.rooms.all() {
                    let _room_over = room.send(NodeReset(node.clone())).await;
                }
            }
        }
    }
}

async fn bring(signal: &Arc<Signal>, from: NodeId, letter: RoomLetter) {
    let room = match (signal.rooms.find(&letter.room), &letter.say) {
        (Some(room), _) => Some(room),
        (None, Say::HandOver { .. }) => {
            let beginning = Beginning::Theirs { owner: from.clone(), epoch: letter.epoch };
            signal.rooms.open(&letter.room, beginning, signal).ok()
        }
        // A hand-over to this node may have been lost, and all others are sent here: then it begins from what was kept.
        (None, say) if say.is_for_an_owner() => {
            timeout(FIND_WITHIN, attach(signal, &letter.room)).await.ok().and_then(Result::ok)
        }
        (None, _) => None,
    };
    match room {
        Some(room) => put(&room, Mail { from, letter }).await,
        None if letter.say.is_for_an_owner() => {
            metrics::letter_refused("no-such-room");
            let answer = RoomLetter { say: Say::NotMine {}, ..letter };
            if let Ok(bytes) = serde_json::to_vec(&answer) {
                let _the_asker_is_gone = signal.cluster.post(&from, bytes.into());
            }
        }
        // Said to sockets that have gone meanwhile.
        None => {}
    }
}

/// In order, and without waiting for what the room makes of it.
async fn put(room: &Addr<RoomActor>, mut mail: Mail) {
    for _ in 0..TRIES {
        match room.try_send(mail) {
            Ok(()) | Err(SendError::Closed(_)) => return,
            Err(SendError::Full(back)) => mail = back,
        }
        sleep(BUSY).await;
    }
    metrics::letter_refused("room-is-busy");
    tracing::error!(room = %mail.letter.room, "a room takes no letters");
    let _room_over = room.send(NodeReset(mail.from)).await;
}
