//! What a client says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::IceCandidate;
use crate::{Epoch, PeerId};

/// What a client says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum ClientMessage {
    /// The first message, unless the token came as a subprotocol.
    Hello {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// The join token.
        token: String,
    },
    /// The first message of a connection that goes on where another broke.
    Resume {
        /// [`crate::PROTOCOL_VERSION`].
        version: u16,
        /// The latest resume token that the client was given.
        token: String,
        /// The epoch that it was greeted with last.
        epoch: Epoch,
        /// The highest number that it has seen, in a greeting or an event.
        seq: u64,
    },
    /// An SDP offer for one peer (RFC 8829).
    Offer {
        /// Whom it is for.
        to: PeerId,
        /// The session description, unchanged.
        sdp: String,
    },
    /// An SDP answer for one peer.
    Answer {
        /// Whom it is for.
        to: PeerId,
        /// The session description, unchanged.
        sdp: String,
    },
    /// A trickled ICE candidate for one peer (RFC 8838).
    Candidate {
        /// Whom it is for.
        to: PeerId,
        /// The candidate as the browser gave it.
        candidate: IceCandidate,
    },
    /// No more candidates for this generation (RFC 8838 §13).
    EndOfCandidates {
        /// Whom it is for.
        to: PeerId,
    },
    /// The application's own data for one peer, or for all others.
    App {
        /// Whom it is for; absent: every other peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<PeerId>,
        /// Any JSON; passed on with the same meaning (the order of members and the spelling of numbers may change).
        data: Value,
    },
    /// Sets one key of the room's state, or deletes it.
    SetState {
        /// Which; 1 to [`super::MAX_STATE_KEY_LEN`] bytes.
        key: String,
        /// Any JSON up to [`super::MAX_STATE_VALUE_LEN`]; absent or null: the key is deleted.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
        /// After how many seconds the key goes by itself; absent: with the room.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl_seconds: Option<u64>,
    },
    /// Lets somebody in who waits in the lobby. Of hosts.
    Admit {
        /// Whom.
        peer: PeerId,
    },
    /// Sends somebody away who waits in the lobby. Of hosts.
    Deny {
        /// Whom.
        peer: PeerId,
    },
    /// Sends a member away. Of hosts, and of others with the grant `kick`.
    Kick {
        /// Whom.
        peer: PeerId,
        /// Whether it may not come back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        ban: bool,
        /// A sentence for the one who has to go; [`super::MAX_REASON_LEN`] bytes at most.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Closes the room to newcomers, or opens it again. Of hosts.
    Lock {
        /// Which of the two.
        locked: bool,
    },
    /// Becomes a host of the room.
    ClaimHost {
        /// The room's host token.
        token: String,
    },
    /// Asks for fresh ICE servers, because credentials run out or the network changed.
    RefreshIce {},
    /// A sign of life; browsers cannot send WebSocket pings.
    Ping {
        /// Comes back in `pong`.
        nonce: u32,
    },
    /// Goes for good; the room forgets the peer at once.
    Leave {},
}

impl ClientMessage {
    /// The message's `type` on the wire.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "hello",
            Self::Resume { .. } => "resume",
            Self::Offer { .. } => "offer",
            Self::Answer { .. } => "answer",
            Self::Candidate { .. } => "candidate",
            Self::EndOfCandidates { .. } => "end-of-candidates",
            Self::App { .. } => "app",
            Self::SetState { .. } => "set-state",
            Self::Admit { .. } => "admit",
            Self::Deny { .. } => "deny",
            Self::Kick { .. } => "kick",
            Self::Lock { .. } => "lock",
            Self::ClaimHost { .. } => "claim-host",
            Self::RefreshIce {} => "refresh-ice",
            Self::Ping { .. } => "ping",
            Self::Leave {} => "leave",
        }
    }

    /// Whether it is one of those that `received` counts and that a client sends again after a resume: all but the
    /// messages about the connection itself.
    #[must_use]
    pub const fn counts(&self) -> bool {
        match self {
            Self::Hello { .. } | Self::Resume { .. } | Self::Ping { .. } => false,
            Self::Offer { .. }
            | Self::Answer { .. }
            | Self::Candidate { .. }
            | Self::EndOfCandidates { .. }
            | Self::App { .. }
            | Self::SetState { .. }
            | Self::Admit { .. }
            | Self::Deny { .. }
            | Self::Kick { .. }
            | Self::Lock { .. }
            | Self::ClaimHost { .. }
            | Self::RefreshIce {}
            | Self::Leave {} => true,
        }
    }
}
