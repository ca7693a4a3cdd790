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
        ClientMessage::App { .. } | ClientMessage::SetState { .. } => Some(Grant::Message),
        // Of these the room decides by role as well.
        ClientMessage::Admit { .. }
        | ClientMessage::Deny { .. }
        | ClientMessage::Kick { .. }
        | ClientMessage::Lock { .. }
        | ClientMessage::ClaimHost { .. }
        | ClientMessage::Hello { .. }
        | ClientMessage::Resume { .. }
        | ClientMessage::RefreshIce {}
        | ClientMessage::Ping { .. }
        | ClientMessage::Leave {} => None,
    }
}
