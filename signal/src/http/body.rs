//! How JSON bodies and paths are read, and what is wrong with those that are none.

use actix_web::HttpRequest;
use actix_web::error::JsonPayloadError;
use actix_web::web::{JsonConfig, PathConfig};
use causeway_protocol::ErrorCode;

use super::Refusal;

/// The largest body in bytes. The largest genuine one is a join with an invite, well under 2 kB.
const MAX_BODY_LEN: usize = 16 * 1024;

/// How bodies are read on every route.
pub(crate) fn json() -> JsonConfig {
    JsonConfig::default().limit(MAX_BODY_LEN).error_handler(|error, _: &HttpRequest| refusal(&error).into())
}

/// What a path that cannot be decoded leads to.
pub(crate) fn path() -> PathConfig {
    PathConfig::default().error_handler(|_, _| Refusal::new(ErrorCode::RoomNotFound).into())
}

fn refusal(error: &JsonPayloadError) -> Refusal {
    match error {
        JsonPayloadError::Overflow { .. } | JsonPayloadError::OverflowKnownLength { .. } => {
            Refusal::new(ErrorCode::TooLarge)
        }
        JsonPayloadError::ContentType => Refusal::new(ErrorCode::UnsupportedMediaType),
        JsonPayloadError::Deserialize(error) if error.is_data() => Refusal::because(
            ErrorCode::BadMessage,
            format!("The body does not have the documented form: {error}."),
        ),
        // The body is not JSON, or ended before it was complete; `JsonPayloadError` may grow.
        _ => Refusal::new(ErrorCode::BadJson),
    }
}
