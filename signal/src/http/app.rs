//! The server API: what an app does with its rooms, with a token of its own that grants `admin`.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, web};
use causeway_protocol::node::AppOrder;
use causeway_protocol::rest::{ApiError, AppRooms, CreateAppRoom, KickPeer, RoomCreated};
use causeway_protocol::token::{AppTokenError, Grant};
use causeway_protocol::{ErrorCode, RoomId};
use causeway_service::clock;
use tokio::time::timeout;

use super::Refusal;
use super::api::{Answer, bearer, refuse_while_draining, stranger};
use super::create::{self, Wanted};
use crate::access::ApiKey;
use crate::attach::attach;
use crate::room::{AskFacts, Order};
use crate::state::Signal;

/// How long whoever ends a room waits until nothing is kept of it. A guess: a Redis that is there takes milliseconds.
const FORGOTTEN_WITHIN: Duration = Duration::from_secs(1);

/// Whoever calls: a key, and the one room that the token is for if it says so.
struct Caller {
    key: Arc<ApiKey>,
    room: Option<RoomId>,
}

impl Caller {
    /// Checks the token. It is the app's own, signed and short-lived: a key's secret never travels.
    async fn of(request: &HttpRequest, signal: &Signal) -> Result<Self, Refusal> {
        let now = clock::now();
        signal.limits().joins.check(&stranger(request, signal), now)?;
        let verified = signal.access.verify(bearer(request)?, now).await?;
        if !verified.grants.can.contains(Grant::Admin) {
            return Err(AppTokenError::Lacks(Grant::Admin).into());
        }
        verified.key.calls.check()?;
        Ok(Self { key: verified.key, room: verified.token.room })
    }

    /// Refuses what the token is not for.
    fn may(&self, room: &RoomId) -> Result<(), Refusal> {
        match &self.room {
            Some(only) if only != room => Err(AppTokenError::OtherRoom.into()),
            Some(_) | None => Ok(()),
        }
    }
}

/// Makes a room with an id of the app's choice.
#[utoipa::path(post, path = "/api/v1/app/rooms", request_body = CreateAppRoom, security(("app" = [])), responses(
    (status = 201, description = "The room is there.", body = RoomCreated),
    (status = "default", description = "Refused.", body = ApiError)))]
pub(crate) async fn create_room(
    request: HttpRequest,
    signal: web::Data<Signal>,
    body: web::Json<CreateAppRoom>,
) -> Answer {
    let caller = Caller::of(&request, &signal).await?;
    refuse_while_draining(&signal)?;
    let CreateAppRoom { room, password, capacity, ttl_seconds, open_to_link, lobby } = body.into_inner();
    let id = room.or_else(|| caller.room.clone()).unwrap_or_else(|| RoomId::random(&mut rand::rng()));
    caller.may(&id)?;
    // A password is for people who come by the link.
    let invite_only = !open_to_link && password.is_none();
    let wanted = Wanted { id, password, capacity, ttl_seconds, invite_only, lobby, app: Some(caller.key) };
    create::room(&request, &signal, wanted, clock::now()).await
}

/// The app's rooms on this node.
#[utoipa::path(get, path = "/api/v1/app/rooms", security(("app" = [])), responses(
    (status = 200, description = "By their ids.", body = AppRooms),
    (status = "default", description = "Refused.", body = ApiError)))]
pub(crate) async fn list_rooms(request: HttpRequest, signal: web::Data<Signal>) -> Answer {
    let caller = Caller::of(&request, &signal).await?;
    let mut rooms = Vec::new();
    for id in signal.rooms.apps().of(&caller.key.id) {
        let room = signal.rooms.find(&id).filter(|_| caller.may(&id).is_ok());
        // One that ends meanwhile is not among them.
        if let Some(room) = room
            && let Ok(Ok(facts)) = room.send(AskFacts).await
        {
            rooms.push(facts);
        }
    }
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(AppRooms { rooms }))
}

/// Ends a room: everybody is sent out, and relay credentials stop working.
#[utoipa::path(delete, path = "/api/v1/app/rooms/{room}", params(("room" = String, Path, description = "The room's id.")),
    security(("app" = [])), responses(
    (status = 204, description = "It is over."),
    (status = "default", description = "Refused.", body = ApiError)))]
pub(crate) async fn end_room(
    request: HttpRequest,
    signal: web::Data<Signal>,
    path: web::Path<String>,
) -> Answer {
    let caller = Caller::of(&request, &signal).await?;
    let ended = order(&signal, &caller, &path, AppOrder::End {}).await?;
    if let Ok(id) = path.parse() {
        // So that the name is free for whoever makes the next room of it. The room is over in any case.
        let _still_kept = timeout(FORGOTTEN_WITHIN, signal.rooms.until_gone(&id)).await;
    }
    Ok(ended)
}

/// Sends a peer out of a room: its session, its tokens and its relay credential end. With `ban` it stays out, also if it is
/// not there.
#[utoipa::path(post, path = "/api/v1/app/rooms/{room}/kick", params(("room" = String, Path, description = "The room's id.")),
    request_body = KickPeer, security(("app" = [])), responses(
    (status = 204, description = "It is done."),
    (status = "default", description = "Refused.", body = ApiError)))]
pub(crate) async fn kick(
    request: HttpRequest,
    signal: web::Data<Signal>,
    path: web::Path<String>,
    body: web::Json<KickPeer>,
) -> Answer {
    let caller = Caller::of(&request, &signal).await?;
    let KickPeer { peer, ban, reason } = body.into_inner();
    order(&signal, &caller, &path, AppOrder::Kick { peer, ban, reason }).await
}

/// Has an order carried out where the room lives.
async fn order(signal: &web::Data<Signal>, caller: &Caller, path: &str, order: AppOrder) -> Answer {
    let id: RoomId = path.parse().map_err(|_no_id| Refusal::new(ErrorCode::RoomNotFound))?;
    caller.may(&id)?;
    let room = attach(signal, &id).await.map_err(|no_room| Refusal::new(no_room.code()))?;
    let app = caller.key.id.clone();
    tracing::info!(room = %id, key = %app, order = order.as_str(), "an app gives an order");
    room.send(Order { app, order }).await??;
    Ok(HttpResponse::NoContent().finish())
}
