//! What signaling nodes write to one another about a room: the edge, which has sockets of members, to the owner, which
//! numbers the room's events, and back.

use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, TokenId};
use crate::message::{ClientMessage, Greeting, Pass, Position};
use crate::record::RoomState;
use crate::rest::RoomFacts;
use crate::token::{JoinClaims, RoomRole};
use crate::{Epoch, ErrorCode, NodeId, PeerId, RoomId, UnixSeconds};

/// A letter from node to node. The link between the two delivers each once and in order, or says that it could not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomLetter {
    /// Which room it is about.
    pub room: RoomId,
    /// Which ownership of the room the sender knows. What an owner of a lower epoch says is refused.
    pub epoch: Epoch,
    /// What it says.
    #[serde(flatten)]
    pub say: Say,
}

/// The number by which an edge knows one of its own sockets.
pub type EdgeSession = u64;

/// What a letter says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "say", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Say {
    /// To the owner: a socket showed a genuine join token.
    Enter {
        /// Which socket.
        session: EdgeSession,
        /// What the token says.
        claims: Box<JoinClaims>,
    },
    /// To the owner: a socket showed a genuine resume token.
    Resume {
        /// Which socket.
        session: EdgeSession,
        /// What the token says.
        pass: Box<Pass>,
        /// What the client has seen.
        position: Position,
    },
    /// To a new owner, or to one that may have missed something: this socket is in the room.
    Announce {
        /// Which socket.
        session: EdgeSession,
        /// Whose, as it was greeted.
        pass: Box<Pass>,
        /// The last event that it was sent.
        position: Position,
        /// How many of its counting messages the edge has passed on in this stay.
        received: u64,
    },
    /// To the owner: a socket said something.
    Said {
        /// Which socket.
        session: EdgeSession,
        /// What.
        message: Box<ClientMessage>,
    },
    /// To the owner: a socket said something that is no message.
    Unreadable {
        /// Which socket.
        session: EdgeSession,
        /// Its `type`, if it had one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<String>,
    },
    /// To the owner: a socket is no longer there.
    Gone {
        /// Which socket.
        session: EdgeSession,
        /// Why.
        why: Departure,
    },
    /// To the owner: somebody at the edge's HTTP API asks.
    Ask {
        /// Comes back in the answer.
        question: u64,
        /// What.
        ask: Question,
    },
    /// To the edge: an answer.
    Answer {
        /// Which question.
        question: u64,
        /// What.
        answer: Answer,
    },
    /// To the edge: these sockets get this text.
    Tell {
        /// Which sockets.
        to: Vec<EdgeSession>,
        /// The event's number, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        /// A serialized [`ServerMessage`](crate::message::ServerMessage), the same for all.
        text: String,
    },
    /// To the edge: greet this socket, with ICE servers and a resume token of the edge's.
    Greet {
        /// Which socket.
        to: EdgeSession,
        /// What the resume token says.
        pass: Box<Pass>,
        /// How the room stands.
        greeting: Box<Greeting>,
        /// When the room ends, and with it all credentials.
        room_ends: UnixSeconds,
    },
    /// To the edge: give this socket fresh ICE servers.
    Ice {
        /// Which socket.
        to: EdgeSession,
        /// When the room ends, and with it all credentials.
        room_ends: UnixSeconds,
    },
    /// To the edge: the room has forgotten this socket; close it after what it was sent.
    Close {
        /// Which socket.
        session: EdgeSession,
        /// [`crate::CloseCode::number`].
        code: u16,
    },
    /// To the edge: hold what your sockets say until somebody else says [`Say::Moved`].
    Pause {},
    /// To the owner, after the last thing said before the pause.
    Paused {},
    /// From the old owner to the new: the room as it stands.
    HandOver {
        /// The room's state.
        state: Box<RoomState>,
        /// Which socket of which node a session of the state is.
        sockets: Vec<HandedSocket>,
    },
    /// To the edge, from the new owner: the room is mine, and nothing was lost.
    Moved {},
    /// To the edge: this node does not own the room, or does not know the socket.
    NotMine {},
    /// To the edge: the room is over, with this close code.
    Ended {
        /// [`crate::CloseCode::number`].
        code: u16,
    },
}

impl Say {
    /// The socket that says it to the owner, if one does.
    #[must_use]
    pub const fn session(&self) -> Option<EdgeSession> {
        match self {
            Self::Enter { session, .. }
            | Self::Resume { session, .. }
            | Self::Announce { session, .. }
            | Self::Said { session, .. }
            | Self::Unreadable { session, .. }
            | Self::Gone { session, .. } => Some(*session),
            Self::Ask { .. }
            | Self::Paused {}
            | Self::Answer { .. }
            | Self::Tell { .. }
            | Self::Greet { .. }
            | Self::Ice { .. }
            | Self::Close { .. }
            | Self::Pause {}
            | Self::HandOver { .. }
            | Self::Moved {}
            | Self::NotMine {}
            | Self::Ended { .. } => None,
        }
    }

    /// The latest ownership of the room that a member is known to have heard of, if this tells.
    #[must_use]
    pub const fn shows_epoch(&self) -> Option<Epoch> {
        match self {
            Self::Resume { pass, .. } | Self::Announce { pass, .. } => Some(pass.epoch),
            _ => None,
        }
    }

    /// Whether an edge says it to the owner.
    #[must_use]
    pub const fn is_for_an_owner(&self) -> bool {
        match self {
            Self::Enter { .. }
            | Self::Resume { .. }
            | Self::Announce { .. }
            | Self::Said { .. }
            | Self::Unreadable { .. }
            | Self::Gone { .. }
            | Self::Ask { .. }
            | Self::Paused {} => true,
            Self::Answer { .. }
            | Self::Tell { .. }
            | Self::Greet { .. }
            | Self::Ice { .. }
            | Self::Close { .. }
            | Self::Pause {}
            | Self::HandOver { .. }
            | Self::Moved {}
            | Self::NotMine {}
            | Self::Ended { .. } => false,
        }
    }
}

/// Why a socket is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Departure {
    /// It said goodbye with a close frame.
    Closed,
    /// It broke.
    Disconnected,
    /// No sign of life.
    TimedOut,
    /// It read too slowly.
    Stalled,
    /// The server closed it for what it sent.
    Refused,
}

/// A socket in a hand-over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HandedSocket {
    /// The session's number in the state.
    pub number: u64,
    /// The node that has it.
    pub node: NodeId,
    /// Its number there.
    pub session: EdgeSession,
}

/// What an edge asks on behalf of its HTTP API.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Question {
    /// What one needs to know before joining.
    Facts {},
    /// The hash that a password has to fit.
    Password {},
    /// The app that made the room wants something done.
    App {
        /// The key that the edge has verified.
        app: ApiKeyId,
        /// What.
        order: AppOrder,
    },
    /// Somebody shows a key that the edge has verified.
    Admit {
        /// Which.
        key: ShownKey,
    },
}

/// What somebody shows at a room's door; the edge has verified signature or password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum ShownKey {
    /// Nothing.
    None,
    /// The right password.
    Password,
    /// A genuine invite for the room.
    Invite {
        /// Which.
        id: TokenId,
        /// Until when the room must remember that it was used.
        expires_at: UnixSeconds,
    },
    /// The room's host token.
    Host,
    /// A genuine token of an app.
    App {
        /// The key that the token is of.
        key: ApiKeyId,
        /// Whom it names.
        peer: PeerId,
        /// What it makes of the peer.
        role: RoomRole,
        /// If it opens once.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        once: Option<ShownOnce>,
    },
}

/// What an app wants done with a room of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "kebab-case")]
pub enum AppOrder {
    /// The room ends.
    End {},
    /// A peer has to go.
    Kick {
        /// Which.
        peer: PeerId,
        /// Whether it stays out.
        ban: bool,
        /// What it is told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

impl AppOrder {
    /// For logs.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::End {} => "end",
            Self::Kick { ban: true, .. } => "ban",
            Self::Kick { ban: false, .. } => "kick",
        }
    }
}

/// What opens a room once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownOnce {
    /// Which.
    pub id: TokenId,
    /// Until when the room must remember that it was used.
    pub expires_at: UnixSeconds,
}

impl ShownKey {
    /// Whether a room that takes it has to remember that.
    #[must_use]
    pub const fn is_used_up(&self) -> bool {
        match self {
            Self::Invite { .. } | Self::App { once: Some(_), .. } => true,
            Self::None | Self::Password | Self::Host | Self::App { once: None, .. } => false,
        }
    }
}

/// What an owner answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Question::Facts`].
    Facts {
        /// What one needs to know.
        facts: Box<RoomFacts>,
    },
    /// To [`Question::Password`]: a PHC string, if the room has a password.
    Password {
        /// The hash.
        hash: Option<String>,
    },
    /// To [`Question::Admit`]: come in as this.
    Admitted {
        /// What the guest is.
        role: RoomRole,
    },
    /// To [`Question::App`]: it is done.
    Done {},
    /// No.
    Refused {
        /// Why.
        code: ErrorCode,
    },
}
