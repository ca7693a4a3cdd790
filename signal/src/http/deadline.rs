//! How long a request may take. The HTTP server itself limits only how long the head does.

use std::time::Duration;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use causeway_protocol::ErrorCode;
use tokio::time::timeout;

use super::Refusal;
use crate::state::Signal;

const TOO_SLOW: &str = "The request did not arrive in time; send it again.";

/// Gives up on a request whose body comes too slowly, so that it cannot hold a connection for ever. An open
/// WebSocket is past its request.
pub(crate) async fn limit(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let milliseconds = request
        .app_data::<web::Data<Signal>>()
        .map_or(u64::MAX, |signal| signal.settings().timing.request_ms);
    let answered = timeout(Duration::from_millis(milliseconds), next.call(request)).await;
    let too_slow = |_elapsed| Refusal::because(ErrorCode::Unavailable, TOO_SLOW);
    Ok(answered.map_err(too_slow)??.map_into_boxed_body())
}
