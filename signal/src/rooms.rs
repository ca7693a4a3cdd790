//! Making rooms: for people, for the server API of apps, and with the first token of an app that opens one.

use std::sync::Arc;
use std::time::Duration;

use causeway_cluster::{Claim, SaveError};
use causeway_protocol::record::Made;
use causeway_protocol::{Epoch, Now, RoomId, UnixSeconds};
use causeway_service::clock;
use causeway_signal_core::{Door, Room, RoomSettings};

use crate::access::ApiKey;
use crate::limits::TooMany;
use crate::password::PasswordHash;
use crate::registry::NotOpened;
use crate::room::Beginning;
use crate::room::desk::save;
use crate::settings::SignalSettings;
use crate::state::Signal;

/// What a room is made with.
pub(crate) struct NewRoom {
    pub(crate) id: RoomId,
    pub(crate) capacity: u16,
    pub(crate) ttl_seconds: u64,
    pub(crate) door: Door,
    pub(crate) password: Option<PasswordHash>,
    /// The key that makes it; `None`: people do.
    pub(crate) app: Option<Arc<ApiKey>>,
}

/// Why no room was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotMade {
    /// The key makes none.
    NotAllowed,
    /// The key makes too many in a short time.
    TooMany(TooMany),
    /// The key has as many as it may.
    AppFull,
    /// The server has as many as it may.
    Full,
    /// One of this name is open.
    Taken,
    /// Whether one of this name is open on another node cannot be found out now.
    Unreachable,
}

/// How many peers and seconds a room may have, and has if nobody says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) capacity: u16,
    pub(crate) max_capacity: u16,
    pub(crate) ttl_seconds: u64,
    pub(crate) max_ttl_seconds: u64,
}

impl Bounds {
    /// Those of the server, within those of a key if one makes the room.
    pub(crate) fn new(settings: &SignalSettings, app: Option<&ApiKey>) -> Self {
        let max_peers = app.and_then(|key| key.settings.max_peers);
        let ttl_seconds = app.and_then(|key| key.settings.ttl_seconds);
        let max_capacity = max_peers.unwrap_or(u16::MAX).min(settings.max_capacity);
        let max_ttl_seconds = ttl_seconds.unwrap_or(u64::MAX).min(settings.max_ttl_seconds);
        Self {
            capacity: max_peers.unwrap_or(settings.default_capacity).min(max_capacity),
            max_capacity,
            ttl_seconds: ttl_seconds.unwrap_or(settings.default_ttl_seconds).min(max_ttl_seconds),
            max_ttl_seconds,
        }
    }
}

/// Makes a room; when it ends.
pub(crate) async fn make(signal: &Arc<Signal>, new: NewRoom, now: Now) -> Result<UnixSeconds, NotMade> {
    let NewRoom { id, capacity, ttl_seconds, door, password, app } = new;
    if let Some(key) = &app {
        allowed(signal, key).await?;
    }
    let _turn = signal.attaching.turn(&id).await;
    if signal.rooms.find(&id).is_some() || signal.rooms.is_over(&id) {
        return Err(NotMade::Taken);
    }
    let epoch = own(signal, &id, app.is_some()).await?;
    let settings = RoomSettings {
        id: id.clone(),
        epoch,
        capacity,
        ttl: Duration::from_secs(ttl_seconds),
        door,
        made: Made {
            password: password.as_ref().map(|hash| hash.as_phc().to_owned()),
            app: app.as_ref().map(|key| key.id.clone()),
        },
        resume: signal.settings().resume(),
    };
    let room = Room::new(settings, now);
    let expires_at = room.expires_at();
    keep(signal, &room, epoch, now).await?;
    let beginning = Beginning::Ours { room: Box::new(room), epoch };
    if let Err(refused) = signal.rooms.open(&id, beginning, signal) {
        give_up(signal, &id, epoch).await;
        return Err(match refused {
            NotOpened::Full => NotMade::Full,
            NotOpened::Taken => NotMade::Taken,
        });
    }
    let app = app.as_ref().map(|key| key.id.as_str());
    tracing::info!(room = %id, capacity, ttl_seconds, app, "room created");
    Ok(expires_at)
}

/// Whether a key may make one more.
async fn allowed(signal: &Signal, key: &ApiKey) -> Result<(), NotMade> {
    if !key.settings.may_create_rooms {
        return Err(NotMade::NotAllowed);
    }
    signal.count_room_of(key).await.map_err(NotMade::TooMany)?;
    // Requests at the same moment may exceed it by their number.
    if signal.rooms.apps().count(&key.id) >= key.settings.max_rooms {
        return Err(NotMade::AppFull);
    }
    Ok(())
}

/// Takes a new room for this node. While the cluster is away a room with a name that we drew is this node's alone; that
/// is settled when the cluster is back. A name that an app `chose` may be in use on another node, so it waits for that.
async fn own(signal: &Signal, id: &RoomId, chose: bool) -> Result<Epoch, NotMade> {
    match signal.cluster.claim(id, Epoch::NONE).await {
        Ok(Claim::Mine(epoch)) => Ok(epoch),
        Ok(Claim::Theirs(_)) if chose => Err(NotMade::Taken),
        Err(_) if chose => Err(NotMade::Unreachable),
        // Sixty random bits: another node has the same name only if the generator is broken.
        Ok(Claim::Theirs(_)) | Err(_) => {
            signal.note_unasked_room();
            Ok(Epoch(clock::now().unix.0.saturating_mul(1000)))
        }
    }
}

/// A room that was promised outlives the process; unless the cluster is away, then it is kept when that is back.
async fn keep(signal: &Signal, room: &Room, epoch: Epoch, now: Now) -> Result<(), NotMade> {
    let record = room.record(now);
    match save(Arc::clone(&signal.cluster), &record, epoch).await {
        Ok(()) => Ok(()),
        Err(SaveError::Cluster(error)) => {
            tracing::warn!(room = %room.id(), %error, "what a room is made of was not kept");
            Ok(())
        }
        Err(SaveError::Fenced(_)) => Err(NotMade::Taken),
    }
}

/// Nothing stays of a room that was not opened after all.
async fn give_up(signal: &Signal, id: &RoomId, epoch: Epoch) {
    if let Err(error) = signal.cluster.remove(id, epoch).await {
        tracing::debug!(room = %id, %error, "what was kept of a room that was not opened stays until it expires");
    }
    if let Err(error) = signal.cluster.release(id, epoch).await {
        tracing::debug!(room = %id, %error, "a room that was not opened keeps its owner");
    }
}
