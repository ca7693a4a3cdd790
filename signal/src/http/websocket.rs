//! `GET /api/v1/ws`: the HTTP upgrade.

use actix_http::ws;
use actix_web::body::MessageBody;
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::{HttpRequest, HttpResponse, web};
use causeway_protocol::rest::ApiError;
use causeway_protocol::{ErrorCode, SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX};
use causeway_service::clock;

use super::Refusal;
use crate::client;
use crate::connection::Opening;
use crate::ice::IceUrls;
use crate::slots::NoSlot;
use crate::state::Signal;

/// When to try again where there is no place. Sockets come and go; a guess.
const RETRY_AFTER_SECONDS: u64 = 10;

/// Opens the signaling WebSocket.
///
/// The join token comes as a second subprotocol `causeway.token.<token>` beside `causeway.v1`, or in the first
/// message `hello`. A refused token is told over the WebSocket, because browsers hide why an upgrade failed.
#[utoipa::path(get, path = "/api/v1/ws", responses(
    (status = 101, description = "The WebSocket is open; messages are documented in docs/protocol.md."),
    (status = "default", description = "Refused.", body = ApiError)))]
pub(crate) async fn open(request: HttpRequest, signal: web::Data<Signal>) -> Result<HttpResponse, Refusal> {
    let stranger = client::stranger(&request, &signal.settings().trusted_proxies);
    signal.limits().sockets.check(&stranger, clock::now())?;
    if signal.is_draining() {
        return Err(Refusal::new(ErrorCode::Unavailable));
    }
    let slot = signal.slots.take(stranger).map_err(|refused| match refused {
        NoSlot::Server => Refusal::until(ErrorCode::Unavailable, RETRY_AFTER_SECONDS),
        NoSlot::Stranger => Refusal::until(ErrorCode::RateLimited, RETRY_AFTER_SECONDS),
    })?;
    let mut handshake = ws::handshake(request.head()).map_err(|error| {
        Refusal::because(ErrorCode::BadMessage, format!("Open a WebSocket here: {error}."))
    })?;
    if offered(&request).any(|protocol| protocol == SUBPROTOCOL) {
        handshake.insert_header((SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL));
    }
    let settings = signal.settings();
    let authority = client::public_authority(&request, settings.public_url.as_deref());
    let opening = Opening {
        ice_urls: IceUrls::new(&settings, authority, &signal.relay),
        seen_at: client::address(&request, &settings.trusted_proxies),
        token: offered(&request)
            .find_map(|protocol| protocol.strip_prefix(TOKEN_SUBPROTOCOL_PREFIX).map(str::to_owned)),
        signal: signal.into_inner(),
        slot,
    };
    let mut response = HttpResponse::from(handshake.finish().map_body(|_, body| body.boxed()));
    response.extensions_mut().insert(opening);
    Ok(response)
}

/// The subprotocols that the client offers.
fn offered(request: &HttpRequest) -> impl Iterator<Item = &str> {
    let lines = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}
