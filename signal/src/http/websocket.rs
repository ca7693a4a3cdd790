//! `GET /api/v1/ws`: from the HTTP upgrade to the session's actor.

use std::time::Duration;

use actix::{Actor, AsyncContext};
use actix_web::dev::Payload;
use actix_web::http::header::SEC_WEBSOCKET_PROTOCOL;
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use causeway_protocol::message::MAX_MESSAGE_LEN;
use causeway_protocol::rest::ApiError;
use causeway_protocol::{ErrorCode, SUBPROTOCOL, TOKEN_SUBPROTOCOL_PREFIX};
use causeway_service::clock;

use super::Refusal;
use crate::client;
use crate::farewell::Farewell;
use crate::frame_gate::FrameGate;
use crate::ice::IceUrls;
use crate::metrics;
use crate::outbox::{Writer, outbox};
use crate::session::{Session, Written};
use crate::slots::NoSlot;
use crate::socket::Cut;
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
pub(crate) async fn open(
    request: HttpRequest,
    signal: web::Data<Signal>,
    payload: web::Payload,
) -> Result<HttpResponse, Refusal> {
    let stranger = client::stranger(&request, &signal.settings().trusted_proxies);
    signal.limits().sockets.check(&stranger, clock::now())?;
    if signal.is_draining() {
        return Err(Refusal::new(ErrorCode::Unavailable));
    }
    let slot = signal.slots.take(stranger).map_err(|refused| match refused {
        NoSlot::Server => Refusal::until(ErrorCode::Unavailable, RETRY_AFTER_SECONDS),
        NoSlot::Stranger => Refusal::until(ErrorCode::RateLimited, RETRY_AFTER_SECONDS),
    })?;
    let limit = u64::try_from(MAX_MESSAGE_LEN).unwrap_or(u64::MAX);
    let gated = gate(&request, payload, limit).await?;
    let (response, socket, frames) = actix_ws::handle_with_protocols(&request, gated, &[SUBPROTOCOL])
        .map_err(|error| {
            Refusal::because(ErrorCode::BadMessage, format!("Open a WebSocket here: {error}."))
        })?;
    let frames = frames
        .max_frame_size(MAX_MESSAGE_LEN)
        .aggregate_continuations()
        .max_continuation_size(MAX_MESSAGE_LEN);
    let settings = signal.settings();
    let (outbox, writer) = outbox(&settings.limits, &settings.timing);
    let authority = client::public_authority(&request, settings.public_url.as_deref());
    let ice_urls = IceUrls::new(&settings, authority, &signal.relay);
    let seen_at = client::address(&request, &settings.trusted_proxies);
    let token = token_of(&request);
    let linger = Duration::from_millis(settings.timing.linger_ms);
    let session = Session::create(|ctx| {
        ctx.add_stream(frames);
        let mut session = Session::new(signal.into_inner(), outbox, ice_urls, seen_at, slot);
        if let Some(token) = token {
            session.enter(&token, ctx);
        }
        session
    });
    let cut = request.extensions().get::<Cut>().cloned();
    actix_web::rt::spawn(write(writer, socket, session, cut, linger));
    Ok(response)
}

/// The payload behind a gate that reads frame headers.
async fn gate(request: &HttpRequest, payload: web::Payload, limit: u64) -> Result<web::Payload, Refusal> {
    let gate = FrameGate::new(payload.into_inner(), limit);
    web::Payload::from_request(request, &mut Payload::Stream { payload: Box::pin(gate) })
        .await
        .map_err(|_infallible| Refusal::new(ErrorCode::Internal))
}

/// The task that owns the socket's sending side. It outlives the actor by the closing handshake.
async fn write(
    writer: Writer,
    socket: actix_ws::Session,
    session: actix::Addr<Session>,
    cut: Option<Cut>,
    linger: Duration,
) {
    let farewell: Farewell = writer.run(socket).await;
    metrics::closed(farewell.label());
    tracing::debug!(reason = farewell.label(), "session ended");
    if let Some(cut) = cut {
        cut.after(linger);
    }
    let _session_over = session.send(Written(farewell)).await;
}

/// The join token among the subprotocols that the client offers.
fn token_of(request: &HttpRequest) -> Option<String> {
    let lines = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    let offered = lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(','));
    offered
        .filter_map(|protocol| protocol.trim().strip_prefix(TOKEN_SUBPROTOCOL_PREFIX))
        .map(str::to_owned)
        .next()
}
