//! Messages as text frames.

use bytestring::ByteString;
use causeway_protocol::message::ServerMessage;

/// The message as JSON. Clones share the bytes, so a message for many is serialized once.
pub(crate) fn of(message: &ServerMessage) -> ByteString {
    serde_json::to_string(message).expect("our messages have string keys and no failing serializer").into()
}
