//! Which messages take which grant.

use causeway_protocol::message::ClientMessage;
use causeway_protocol::token::Grant;

/// What a member's token must grant for this message; `None`: whoever is in the room may send it.
pub(crate) const fn needed(message: &ClientMessage) -> Option<Grant> {
    match message {
        ClientMessage::Offer { .. }
        | ClientMessage::Answer { .. }
        | ClientMessage::Candidate { .. }
        | ClientMessage::EndOfCandidates { .. } => Some(Grant::Signal),
        ClientMessage::App { .. } => Some(Grant::Message),
        ClientMessage::Hello { .. }
        | ClientMessage::RefreshIce {}
        | ClientMessage::Ping { .. }
        | ClientMessage::Leave {} => None,
    }
}
