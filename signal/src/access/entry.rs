//! What a token of an app opens: its room, which is made if it is not there, and a place in it.

use std::sync::Arc;

use actix::Addr;
use causeway_protocol::node::{ShownKey, ShownOnce};
use causeway_protocol::token::{AppTokenError, Grant, JoinClaims, JoinTokens};
use causeway_protocol::{Now, PeerId, RoomId};
use causeway_service::clock;
use causeway_signal_core::Door;

use super::{ApiKey, Verified};
use crate::attach::{NoRoom, attach};
use crate::http::Refusal;
use crate::name;
use crate::room::{Admit, RoomActor};
use crate::rooms::{self, Bounds, NewRoom, NotMade};
use crate::state::Signal;

/// Somebody whom a token of an app lets in.
pub(crate) struct Entered {
    /// What a join token of ours would say. They expire with the app's token.
    pub(crate) claims: JoinClaims,
    pub(crate) room: Addr<RoomActor>,
    /// Whether the token was used up by this.
    pub(crate) once: bool,
}

/// Lets the holder of an app's token into its room, past password and invite: the app has decided. `wanted` is the room
/// that the holder asks for, if it says so.
///
/// # Errors
/// Why not, as it is told.
pub(crate) async fn enter(
    signal: &Arc<Signal>,
    token: &str,
    wanted: Option<&RoomId>,
) -> Result<Entered, Refusal> {
    let now = clock::now();
    let Verified { key, token, grants } = signal.access.verify(token, now).await?;
    key.calls.check()?;
    if !grants.can.contains(Grant::Join) {
        return Err(AppTokenError::Lacks(Grant::Join).into());
    }
    let id = token.room.ok_or(AppTokenError::OtherRoom)?;
    if wanted.is_some_and(|wanted| *wanted != id) {
        return Err(AppTokenError::OtherRoom.into());
    }
    let name = name::check(token.name)?;
    let room = room(signal, &key, &id, now).await?;
    let peer = token.peer.unwrap_or_else(|| PeerId::random(&mut rand::rng()));
    let once = token.once.then(|| ShownOnce { id: token.id.clone(), expires_at: token.refused_from });
    let role = grants.role();
    room.send(Admit(ShownKey::App { key: key.id.clone(), peer: peer.clone(), role, once })).await??;
    let claims = JoinClaims {
        aud: JoinTokens::AUDIENCE.to_owned(),
        sub: peer,
        room: id,
        role,
        name,
        grants,
        exp: token.refused_from,
        jti: token.id,
    };
    Ok(Entered { claims, room, once: token.once })
}

/// The room of this name, made if it is not there.
async fn room(
    signal: &Arc<Signal>,
    key: &Arc<ApiKey>,
    id: &RoomId,
    now: Now,
) -> Result<Addr<RoomActor>, Refusal> {
    match attach(signal, id).await {
        Ok(room) => return Ok(room),
        Err(NoRoom::Unavailable) => return Err(Refusal::new(NoRoom::Unavailable.code())),
        Err(NoRoom::NotFound) => {}
    }
    let bounds = Bounds::new(&signal.settings(), Some(key));
    let new = NewRoom {
        id: id.clone(),
        capacity: bounds.capacity,
        ttl_seconds: bounds.ttl_seconds,
        // An id that an app chose can be guessed; its tokens and invites open the room, the link does not.
        door: Door { password: false, invite_only: true, lobby: false },
        password: None,
        app: Some(Arc::clone(key)),
    };
    match rooms::make(signal, new, now).await {
        // Of two who come first at once, here or on two nodes, one makes it.
        Ok(_) | Err(NotMade::Taken) => {}
        Err(refused) => return Err(refused.into()),
    }
    attach(signal, id).await.map_err(|no_room| Refusal::new(no_room.code()))
}
