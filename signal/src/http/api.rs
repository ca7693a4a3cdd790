//! The handlers under `/api/v1/rooms`.

use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use causeway_protocol::ids::TokenId;
use causeway_protocol::rest::{
    ApiError, CreateInvite, CreateRoom, InviteCreated, JoinRoom, Joined, RoomCreated, RoomFacts,
};
use causeway_protocol::token::{
    Grants, HostClaims, HostTokens, InviteClaims, Invites, JoinClaims, JoinTokens, TokenError,
};
use causeway_protocol::{ErrorCode, Now, PeerId, RoomId};
use causeway_service::clock;
use causeway_signal_core::{Door, Key, Room, RoomSettings};

use super::Refusal;
use crate::client;
use crate::password::MAX_PASSWORD_LEN;
use crate::registry::NotOpened;
use crate::room::{Admit, AskFacts, AskPassword, RoomActor};
use crate::state::Signal;
use crate::stranger::Stranger;

/// The longest name of a peer, in characters.
const MAX_NAME_LEN: usize = 64;

/// The first owner of a room; a later owner counts on.
const FIRST_EPOCH: u64 = 1;

type Answer = Result<HttpResponse, Refusal>;

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
    signal.limits().rooms.check(&stranger(&request, &signal), now)?;
    refuse_while_draining(&signal)?;
    let CreateRoom { password, capacity, ttl_seconds, invite_only } = body.into_inner();
    let settings = signal.settings();
    let capacity = capacity.unwrap_or(settings.default_capacity);
    within("capacity", u64::from(capacity), u64::from(settings.max_capacity))?;
    let ttl_seconds = ttl_seconds.unwrap_or(settings.default_ttl_seconds);
    within("ttlSeconds", ttl_seconds, settings.max_ttl_seconds)?;
    let password = match password {
        Some(password) if password.is_empty() || password.len() > MAX_PASSWORD_LEN => {
            let message = format!("password must have 1 to {MAX_PASSWORD_LEN} bytes; leave it out for none.");
            return Err(Refusal::because(ErrorCode::BadMessage, message));
        }
        Some(password) => Some(signal.passwords.hash(password).await?),
        None => None,
    };
    let id = RoomId::random(&mut rand::rng());
    let door = Door { password: password.is_some(), invite_only };
    let ttl = std::time::Duration::from_secs(ttl_seconds);
    let room = Room::new(RoomSettings { id: id.clone(), epoch: FIRST_EPOCH, capacity, ttl, door }, now);
    let expires_at = room.expires_at();
    signal.rooms.open(room, password, &signal.clone().into_inner()).map_err(|refused| match refused {
        // Sixty random bits: the same name twice is as unlikely as a broken generator.
        NotOpened::Full | NotOpened::Taken => Refusal::new(ErrorCode::Unavailable),
    })?;
    tracing::info!(room = %id, capacity, ttl_seconds, "room created");
    let created = RoomCreated {
        link: format!("{}/r/{id}", base_url(&request, &signal)),
        host_token: signal.hosts.sign(&HostClaims {
            aud: HostTokens::AUDIENCE.to_owned(),
            room: id.clone(),
            exp: expires_at,
            jti: TokenId::random(&mut rand::rng()),
        }),
        room: id,
        expires_at,
        capacity,
    };
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, format!("/api/v1/rooms/{}", created.room)))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(created))
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
    let (_, room) = find(&signal, &path)?;
    let facts = room.send(AskFacts).await?;
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
    let (id, room) = find(&signal, &path)?;
    let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // RFC 9110 §11.1: the scheme's name has no case.
    let token = bearer
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Refusal::new(ErrorCode::TokenInvalid))?;
    check_host(&signal, token, &id, now)?;
    let room_ends = room.send(AskFacts).await?.expires_at;
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
    let (id, room) = find(&signal, &path)?;
    let JoinRoom { password, invite, host_token, name } = body.into_inner();
    let name = check_name(name)?;
    let shown = Shown { password, invite, host_token };
    let key = shown.check(&signal, &stranger, &id, &room, now).await?;
    let role = room.send(Admit(key)).await??;
    let peer = PeerId::random(&mut rand::rng());
    let expires_at = now.unix.plus(signal.settings().timing.join_token_seconds);
    let token = signal.joins.sign(&JoinClaims {
        aud: JoinTokens::AUDIENCE.to_owned(),
        sub: peer.clone(),
        room: id,
        role,
        name,
        grants: Grants::default(),
        exp: expires_at,
        jti: TokenId::random(&mut rand::rng()),
    });
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(Joined {
        token,
        peer,
        role,
        expires_at,
    }))
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
    ) -> Result<Key, Refusal> {
        if let Some(token) = self.host_token {
            check_host(signal, &token, id, now)?;
            return Ok(Key::Host);
        }
        if let Some(invite) = self.invite {
            let claims = signal.invites.check(&invite, now.unix);
            return match claims {
                Ok(claims) if claims.room == *id => {
                    Ok(Key::Invite { id: claims.jti, expires_at: claims.exp })
                }
                Ok(_) | Err(TokenError::Invalid | TokenError::Expired) => {
                    Err(Refusal::new(ErrorCode::InviteInvalid))
                }
            };
        }
        let (Some(password), Some(hash)) = (self.password, room.send(AskPassword).await?) else {
            return Ok(Key::None);
        };
        signal.limits().passwords.check(stranger, now)?;
        signal.limits().room_passwords.check(id, now)?;
        if password.len() <= MAX_PASSWORD_LEN && signal.passwords.verify(password, hash).await? {
            Ok(Key::Password)
        } else {
            Err(Refusal::new(ErrorCode::PasswordWrong))
        }
    }
}

fn check_host(signal: &Signal, token: &str, room: &RoomId, now: Now) -> Result<(), Refusal> {
    match signal.hosts.check(token, now.unix) {
        Ok(claims) if claims.room == *room => Ok(()),
        Ok(_) => Err(Refusal::new(ErrorCode::NotAllowed)),
        Err(TokenError::Invalid) => Err(Refusal::new(ErrorCode::TokenInvalid)),
        Err(TokenError::Expired) => Err(Refusal::new(ErrorCode::TokenExpired)),
    }
}

/// A name is shown to others, so it has no line breaks and nothing else that is no text.
fn check_name(name: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(name) = name else { return Ok(None) };
    let name = name.trim();
    if name.chars().count() > MAX_NAME_LEN || name.chars().any(char::is_control) {
        let message = format!("name must have at most {MAX_NAME_LEN} characters and no control characters.");
        return Err(Refusal::because(ErrorCode::BadMessage, message));
    }
    Ok(Some(name).filter(|name| !name.is_empty()).map(str::to_owned))
}

fn within(field: &str, value: u64, most: u64) -> Result<(), Refusal> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Refusal::because(ErrorCode::BadMessage, format!("{field} must be 1 to {most} on this server.")))
}

fn refuse_while_draining(signal: &Signal) -> Result<(), Refusal> {
    if signal.is_draining() { Err(Refusal::new(ErrorCode::Unavailable)) } else { Ok(()) }
}

fn find(signal: &Signal, path: &str) -> Result<(RoomId, actix::Addr<RoomActor>), Refusal> {
    let not_found = || Refusal::new(ErrorCode::RoomNotFound);
    let id: RoomId = path.parse().map_err(|_no_id| not_found())?;
    let room = signal.rooms.find(&id).ok_or_else(not_found)?;
    Ok((id, room))
}

fn stranger(request: &HttpRequest, signal: &Signal) -> Stranger {
    client::stranger(request, &signal.settings().trusted_proxies)
}

/// Where people find this server: as the operator says, else as this client does.
fn base_url(request: &HttpRequest, signal: &Signal) -> String {
    if let Some(url) = &signal.settings().public_url {
        return url.clone();
    }
    let scheme =
        if client::is_secure(request, &signal.settings().trusted_proxies) { "https" } else { "http" };
    format!("{scheme}://{}", client::authority(request).unwrap_or("localhost"))
}
