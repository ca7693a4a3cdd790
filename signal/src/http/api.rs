//! The handlers under `/api/v1/rooms`.

use std::sync::Arc;

use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use causeway_cluster::{Claim, SaveError};
use causeway_protocol::ids::TokenId;
use causeway_protocol::node::ShownKey;
use causeway_protocol::rest::{
    ApiError, CreateInvite, CreateRoom, InviteCreated, JoinRoom, Joined, RoomCreated, RoomFacts,
};
use causeway_protocol::token::{
    Grants, HostClaims, HostTokens, InviteClaims, Invites, JoinClaims, JoinTokens, TokenError,
};
use causeway_protocol::{Epoch, ErrorCode, Now, PeerId, RoomId};
use causeway_service::clock;
use causeway_signal_core::{Door, Room, RoomSettings};

use super::Refusal;
use crate::attach::attach;
use crate::client;
use crate::password::{MAX_PASSWORD_LEN, PasswordHash};
use crate::registry::NotOpened;
use crate::room::desk::save;
use crate::room::{Admit, AskFacts, AskPassword, Beginning, RoomActor};
use crate::state::Signal;
use crate::stranger::Stranger;

/// The longest name of a peer, in characters.
const MAX_NAME_LEN: usize = 64;

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
    let epoch = own(&signal, &id).await;
    let room = Room::new(RoomSettings { id: id.clone(), epoch: epoch.0, capacity, ttl, door }, now);
    let expires_at = room.expires_at();
    keep(&signal, &room, password.as_ref(), epoch, now).await?;
    let beginning = Beginning::Ours { room: Box::new(room), epoch, password };
    signal.rooms.open(&id, beginning, &signal).map_err(|refused| match refused {
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
    let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    // RFC 9110 §11.1: the scheme's name has no case.
    let token = bearer
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim())
        .ok_or_else(|| Refusal::new(ErrorCode::TokenInvalid))?;
    check_host(&signal, token, &id, now)?;
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
    let (id, room) = find(&signal, &path).await?;
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
        signal.limits().passwords.check(stranger, now)?;
        signal.limits().room_passwords.check(id, now)?;
        if password.len() <= MAX_PASSWORD_LEN && signal.passwords.verify(password, hash).await? {
            Ok(ShownKey::Password)
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

async fn find(signal: &web::Data<Signal>, path: &str) -> Result<(RoomId, actix::Addr<RoomActor>), Refusal> {
    let id: RoomId = path.parse().map_err(|_no_id| Refusal::new(ErrorCode::RoomNotFound))?;
    let room = attach(signal, &id).await.map_err(|no_room| Refusal::new(no_room.code()))?;
    Ok((id, room))
}

/// A room that was promised outlives the process; unless the cluster is away, then it is kept when that is back.
async fn keep(
    signal: &Signal,
    room: &Room,
    password: Option<&PasswordHash>,
    epoch: Epoch,
    now: Now,
) -> Result<(), Refusal> {
    let record = room.record(password.map(|hash| hash.as_phc().to_owned()), now);
    match save(Arc::clone(&signal.cluster), &record, epoch).await {
        Ok(()) => Ok(()),
        Err(SaveError::Cluster(error)) => {
            tracing::warn!(room = %room.id(), %error, "what a room is made of was not kept");
            Ok(())
        }
        Err(SaveError::Fenced(_)) => Err(Refusal::new(ErrorCode::Unavailable)),
    }
}

/// Takes a new room for this node. While the cluster is away the room is this node's alone; that is settled when the cluster
/// is back.
async fn own(signal: &Signal, id: &RoomId) -> Epoch {
    match signal.cluster.claim(id, Epoch(0)).await {
        Ok(Claim::Mine(epoch)) => epoch,
        // Sixty random bits: another node has the same name only if the generator is broken.
        Ok(Claim::Theirs(_)) | Err(_) => Epoch(clock::now().unix.0.saturating_mul(1000)),
    }
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
