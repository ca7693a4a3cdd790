//! Making a room over HTTP, for people and for apps.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use causeway_protocol::ids::TokenId;
use causeway_protocol::rest::RoomCreated;
use causeway_protocol::token::{HostClaims, HostTokens};
use causeway_protocol::{ErrorCode, Now, RoomId};
use causeway_signal_core::Door;

use super::Refusal;
use super::api::Answer;
use crate::access::ApiKey;
use crate::client;
use crate::password::MAX_PASSWORD_LEN;
use crate::rooms::{self, Bounds, NewRoom};
use crate::state::Signal;

/// What somebody wants of a room; `None` is the default.
pub(super) struct Wanted {
    pub(super) id: RoomId,
    pub(super) password: Option<String>,
    pub(super) capacity: Option<u16>,
    pub(super) ttl_seconds: Option<u64>,
    pub(super) invite_only: bool,
    pub(super) lobby: bool,
    /// The key that makes it.
    pub(super) app: Option<Arc<ApiKey>>,
}

/// Makes it and answers with link and host token.
pub(super) async fn room(
    request: &HttpRequest,
    signal: &web::Data<Signal>,
    wanted: Wanted,
    now: Now,
) -> Answer {
    let Wanted { id, password, capacity, ttl_seconds, invite_only, lobby, app } = wanted;
    let bounds = Bounds::new(&signal.settings(), app.as_deref());
    let capacity = capacity.unwrap_or(bounds.capacity);
    within("capacity", u64::from(capacity), u64::from(bounds.max_capacity))?;
    let ttl_seconds = ttl_seconds.unwrap_or(bounds.ttl_seconds);
    within("ttlSeconds", ttl_seconds, bounds.max_ttl_seconds)?;
    let password = match password {
        Some(password) if password.is_empty() || password.len() > MAX_PASSWORD_LEN => {
            let message = format!("password must have 1 to {MAX_PASSWORD_LEN} bytes; leave it out for none.");
            return Err(Refusal::because(ErrorCode::BadMessage, message));
        }
        Some(password) => Some(signal.passwords.hash(password).await?),
        None => None,
    };
    let door = Door { password: password.is_some(), invite_only, lobby };
    let new = NewRoom { id: id.clone(), capacity, ttl_seconds, door, password, app };
    let expires_at = rooms::make(signal, new, now).await?;
    let created = RoomCreated {
        link: format!("{}/r/{id}", base_url(request, signal)),
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

fn within(field: &str, value: u64, most: u64) -> Result<(), Refusal> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Refusal::because(ErrorCode::BadMessage, format!("{field} must be 1 to {most} on this server.")))
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
