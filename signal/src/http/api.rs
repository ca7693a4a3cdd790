//! The handlers under `/api/v1/rooms`.

use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL};
use actix_web::{HttpRequest, HttpResponse, web};
use causeway_protocol::ids::TokenId;
use causeway_protocol::node::ShownKey;
use causeway_protocol::rest::{
    ApiError, CreateInvite, CreateRoom, InviteCreated, JoinRoom, Joined, RoomCreated, RoomFacts,
};
use causeway_protocol::token::{Grants, InviteClaims, Invites, JoinClaims, JoinTokens, TokenError};
use causeway_protocol::{ErrorCode, Now, PeerId, RoomId, UnixSeconds};
use causeway_service::clock;

use super::Refusal;
use super::create::{self, Wanted};
use crate::access::{self, Entered};
use crate::attach::attach;
use crate::client;
use crate::name;
use crate::password::MAX_PASSWORD_LEN;
use crate::room::{Admit, AskFacts, AskPassword, RoomActor};
use crate::state::Signal;
use crate::stranger::Stranger;

pub(super) type Answer = Result<HttpResponse, Refusal>;

/// Makes a room.
#[utoipa::path(post, path = "/api/v1/rooms", request_body = CreateRoom, responses(
    (status = 201, description = "The room is there.", body = RoomCreated),
    (status = "default", description = "Refused.", body = ApiError)))]
pub(crate) async fn create_room(
    request: HttpRequest,
    signal: web::Data<Signal>,
    body: web::Json<CreateRoom>,
) -> Answer {
    let now = clock::now();
    signal.count_room(stranger(&request, &signal), now).await?;
    refuse_while_draining(&signal)?;
    let CreateRoom { password, capacity, ttl_seconds, invite_only, lobby } = body.into_inner();
    let id = RoomId::random(&mut rand::rng());
    let wanted = Wanted { id, password, capacity, ttl_seconds, invite_only, lobby, app: None };
    create::room(&request, &signal, wanted, now).await
}

/// What one needs to know before joining.
#[utoipa::path(get, path = "/api/v1/rooms/{room}", params(("room" = String, Path, description = "The room's id.")), responses(
    (status = 200, description = "The room is there.", body = RoomFacts),
    (status = "default", description = "Refused.", body = ApiError)))]
pub(crate) async fn room_facts(
    request: HttpRequest,
    signal: web::Data<Signal>,
    path: web::Path<String>,
) -> Answer {
    signal.limits().joins.check(&stranger(&request, &signal), clock::now())?;
    let (_, room) = find(&signal, &path).await?;
    let facts = room.send(AskFacts).await??;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(facts))
}

/// Makes an invite for one join. Wants the host token as bearer.
#[utoipa::path(post, path = "/api/v1/rooms/{room}/invites", params(("room" = String, Path, description = "The room's id.")),
    request_body = CreateInvite, security(("host" = [])), responses(
    (status = 201, description = "The invite.", body = InviteCreated),
    (status = "default", description = "Refused.", body = ApiError)))]
pub(crate) async fn create_invite(
    request: HttpRequest,
    signal: web::Data<Signal>,
    path: web::Path<String>,
    body: web::Json<CreateInvite>,
) -> Answer {
    let now = clock::now();
    signal.limits().joins.check(&stranger(&request, &signal), now)?;
    let (id, room) = find(&signal, &path).await?;
    check_host(&signal, bearer(&request)?, &id, now)?;
    let room_ends = room.send(AskFacts).await??.expires_at;
    let ttl_seconds = body.ttl_seconds.unwrap_or(u64::MAX);
    if ttl_seconds == 0 {
        return Err(Refusal::because(ErrorCode::BadMessage, "ttlSeconds must be at least 1."));
    }
    let expires_at = now.unix.plus(ttl_seconds).min(room_ends);
    let invite = signal.invites.sign(&InviteClaims {
        aud: Invites::AUDIENCE.to_owned(),
        room: id,
        exp: expires_at,
        jti: TokenId::random(&mut rand::rng()),
    });
    Ok(HttpResponse::Created()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(InviteCreated { invite, expires_at }))
}

/// Lets a peer in: answers with a token for the WebSocket.
#[utoipa::path(post, path = "/api/v1/rooms/{room}/join", params(("room" = String, Path, description = "The room's id.")),
    request_body = JoinRoom, responses(
    (status = 200, description = "Connect with this token.", body = Joined),
    (status = "default", description = "Refused.", body = ApiError)))]
pub(crate) async fn join_room(
    request: HttpRequest,
    signal: web::Data<Signal>,
    path: web::Path<String>,
    body: web::Json<JoinRoom>,
) -> Answer {
    let now = clock::now();
    let stranger = stranger(&request, &signal);
    signal.limits().joins.check(&stranger, now)?;
    refuse_while_draining(&signal)?;
    let JoinRoom { password, invite, app_token, host_token, name } = body.into_inner();
    let name = name::check(name)?;
    if let Some(token) = app_token {
        let wanted = path.parse().map_err(|_no_id| Refusal::new(ErrorCode::RoomNotFound))?;
        let Entered { claims, room: _, once } = access::enter(&signal, &token, Some(&wanted)).await?;
        let name = claims.name.clone().or(name);
        // A kick revokes the token by its name until it expires, and the app's token has the same name: they expire
        // together. One that is used up opens nothing more, and neither does what it was changed for, for long.
        let exp = if once { soon(&signal, now) } else { claims.exp };
        return Ok(joined(&signal, &JoinClaims { name, exp, ..claims }));
    }
    let (id, room) = find(&signal, &path).await?;
    let shown = Shown { password, invite, host_token };
    let key = shown.check(&signal, &stranger, &id, &room, now).await?;
    let role = room.send(Admit(key)).await??;
    let claims = JoinClaims {
        aud: JoinTokens::AUDIENCE.to_owned(),
        sub: PeerId::random(&mut rand::rng()),
        room: id,
        role,
        name,
        grants: Grants::default(),
        exp: soon(&signal, now),
        jti: TokenId::random(&mut rand::rng()),
    };
    Ok(joined(&signal, &claims))
}

/// When a token expires that opens the WebSocket after the join.
fn soon(signal: &Signal, now: Now) -> UnixSeconds {
    now.unix.plus(signal.settings().timing.join_token_seconds)
}

/// The answer with these claims as a token.
fn joined(signal: &Signal, claims: &JoinClaims) -> HttpResponse {
    HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Joined {
        token: signal.joins.sign(claims),
        peer: claims.sub.clone(),
        role: claims.role,
        expires_at: claims.exp,
    })
}

/// What a guest shows at the door; the strongest counts.
struct Shown {
    password: Option<String>,
    invite: Option<String>,
    host_token: Option<String>,
}

impl Shown {
    async fn check(
        self,
        signal: &Signal,
        stranger: &Stranger,
        id: &RoomId,
        room: &actix::Addr<RoomActor>,
        now: Now,
    ) -> Result<ShownKey, Refusal> {
        if let Some(token) = self.host_token {
            check_host(signal, &token, id, now)?;
            return Ok(ShownKey::Host);
        }
        if let Some(invite) = self.invite {
            let claims = signal.invites.check(&invite, now.unix);
            return match claims {
                Ok(claims) if claims.room == *id => {
                    Ok(ShownKey::Invite { id: claims.jti, expires_at: claims.exp })
                }
                Ok(_) | Err(TokenError::Invalid | TokenError::Expired) => {
                    Err(Refusal::new(ErrorCode::InviteInvalid))
                }
            };
        }
        let (Some(password), Some(hash)) = (self.password, room.send(AskPassword).await??) else {
            return Ok(ShownKey::None);
        };
        signal.count_password(*stranger, id, now).await?;
        if password.len() <= MAX_PASSWORD_LEN && signal.passwords.verify(password, hash).await? {
            Ok(ShownKey::Password)
        } else {
            Err(Refusal::new(ErrorCode::PasswordWrong))
        }
    }
}

/// The token of `Authorization: Bearer`.
pub(super) fn bearer(request: &HttpRequest) -> Result<&str, Refusal> {
    let value = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // RFC 9110 §11.1: the scheme's name has no case.
    value
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Refusal::new(ErrorCode::TokenInvalid))
}

fn check_host(signal: &Signal, token: &str, room: &RoomId, now: Now) -> Result<(), Refusal> {
    match signal.hosts.check(token, now.unix) {
        Ok(claims) if claims.room == *room => Ok(()),
        Ok(_) => Err(Refusal::new(ErrorCode::NotAllowed)),
        Err(error) => Err(Refusal::new(error.code())),
    }
}

pub(super) fn refuse_while_draining(signal: &Signal) -> Result<(), Refusal> {
    if signal.is_draining() { Err(Refusal::new(ErrorCode::Unavailable)) } else { Ok(()) }
}

pub(super) async fn find(
    signal: &web::Data<Signal>,
    path: &str,
) -> Result<(RoomId, actix::Addr<RoomActor>), Refusal> {
    let id: RoomId = path.parse().map_err(|_no_id| Refusal::new(ErrorCode::RoomNotFound))?;
    let room = attach(signal, &id).await.map_err(|no_room| Refusal::new(no_room.code()))?;
    Ok((id, room))
}

pub(super) fn stranger(request: &HttpRequest, signal: &Signal) -> Stranger {
    client::stranger(request, &signal.settings().trusted_proxies)
}
