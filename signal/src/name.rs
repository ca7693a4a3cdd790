//! The name that a peer gives itself.

use causeway_protocol::ErrorCode;

use crate::http::Refusal;

/// The longest name of a peer, in characters.
const MAX_NAME_LEN: usize = 64;

/// The name without space around it; `None` if nothing is left. It is shown to others, so it has no line breaks and
/// nothing else that is no text.
///
/// # Errors
/// What a name has to be.
pub(crate) fn check(name: Option<String>) -> Result<Option<String>, Refusal> {
    let Some(name) = name else { return Ok(None) };
    let name = name.trim();
    if name.chars().count() > MAX_NAME_LEN || name.chars().any(char::is_control) {
        let message = format!("name must have at most {MAX_NAME_LEN} characters and no control characters.");
        return Err(Refusal::because(ErrorCode::BadMessage, message));
    }
    Ok(Some(name).filter(|name| !name.is_empty()).map(str::to_owned))
}
