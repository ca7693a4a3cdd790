//! Finding a room wherever it lives: here, on another node, or nowhere but in what was kept of it.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use causeway_cluster::{Claim, ClusterError, Owner};
use causeway_protocol::record::RoomRecord;
use causeway_protocol::{Epoch, ErrorCode, RoomId};
use causeway_service::clock;
use causeway_signal_core::Room;
use tokio::sync::{Mutex, MutexGuard};

use crate::registry::NotOpened;
use crate::room::{Beginning, RoomActor};
use crate::state::Signal;

/// Rooms that are looked for at a time without waiting for one another. A guess: more than a Redis answers at once.
const PLACES: usize = 64;

/// Why no room was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    /// There is none, or it has ended.
    NotFound,
    /// There may be one, and it cannot be reached now.
    Unavailable,
}

impl NoRoom {
    /// The same in the protocol's words.
    pub(crate) const fn code(self) -> ErrorCode {
        match self {
            Self::NotFound => ErrorCode::RoomNotFound,
            Self::Unavailable => ErrorCode::Unavailable,
        }
    }
}

/// Who looks for the same room waits for the one who does already: a room is taken once.
pub(crate) struct Attaching {
    hasher: std::hash::RandomState,
    places: [Mutex<()>; PLACES],
}

impl Attaching {
    pub(crate) fn new() -> Self {
        Self { hasher: std::hash::RandomState::new(), places: std::array::from_fn(|_| Mutex::new(())) }
    }

    /// Whoever makes a room takes part in this, too.
    pub(crate) async fn turn(&self, room: &RoomId) -> MutexGuard<'_, ()> {
        let places = u64::try_from(PLACES).unwrap_or(1);
        let at = usize::try_from(self.hasher.hash_one(room) % places).unwrap_or(0);
        self.places[at].lock().await
    }
}

/// The room of this name: its actor on this node, which begins now if the room lives elsewhere.
pub(crate) async fn attach(signal: &Arc<Signal>, id: &RoomId) -> Result<Addr<RoomActor>, NoRoom> {
    if let Some(room) = signal.rooms.find(id) {
        return Ok(room);
    }
    let _turn = signal.attaching.turn(id).await;
    if let Some(room) = signal.rooms.find(id) {
        return Ok(room);
    }
    if signal.rooms.is_over(id) {
        return Err(NoRoom::NotFound);
    }
    let beginning = match find_owner(signal, id, Epoch::NONE).await? {
        Found::Theirs(owner) => Beginning::Theirs { owner: owner.node, epoch: owner.epoch },
        Found::Ours(kept) => Beginning::Ours { room: kept.room, epoch: kept.epoch },
    };
    signal.rooms.open(id, beginning, signal).map_err(|refused| match refused {
        NotOpened::Full | NotOpened::Taken => NoRoom::Unavailable,
    })
}

/// Where a room lives.
pub(crate) enum Found {
    /// On another node.
    Theirs(Owner),
    /// Here, from now on.
    Ours(Kept),
}

/// A room that begins anew from what was kept of it.
pub(crate) struct Kept {
    pub(crate) room: Box<Room>,
    pub(crate) epoch: Epoch,
}

/// Who owns a room, with an epoch above `known`; if nobody does, this node does from here on.
pub(crate) async fn find_owner(signal: &Arc<Signal>, id: &RoomId, known: Epoch) -> Result<Found, NoRoom> {
    let cluster = &signal.cluster;
    let unavailable = |error: ClusterError| {
        tracing::debug!(room = %id, %error, "a room's owner is not known");
        NoRoom::Unavailable
    };
    let owner = cluster.owner(id).await.map_err(unavailable)?;
    if let Some(owner) = owner.filter(|owner| owner.node != *cluster.node()) {
        return Ok(Found::Theirs(owner));
    }
    let kept = cluster.load(id).await.map_err(unavailable)?.ok_or(NoRoom::NotFound)?;
    let record: RoomRecord = serde_json::from_slice(&kept).map_err(|error| {
        tracing::error!(room = %id, %error, "what was kept of a room cannot be read");
        NoRoom::Unavailable
    })?;
    match cluster.claim(id, known).await.map_err(unavailable)? {
        Claim::Theirs(owner) => Ok(Found::Theirs(owner)),
        Claim::Mine(epoch) => {
            // Alone, there is nobody to call.
            let alone = cluster.nodes().borrow().len() < 2 && known == Epoch::NONE;
            let roll_call = if alone { Duration::ZERO } else { Room::ROLL_CALL };
            let resume = signal.settings().resume();
            let room = Room::from_record(record, resume, epoch, roll_call, clock::now());
            let room = room.ok_or(NoRoom::NotFound)?;
            Ok(Found::Ours(Kept { room: Box::new(room), epoch }))
        }
    }
}
