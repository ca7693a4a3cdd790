//! What a member says on the wire, and what it hears there: one vocabulary for servers that are told it in different words.

mod causeway;
mod peerjs;
mod socketio;

use std::borrow::Cow;

use crate::signal::body::Kind;

/// The words of one kind of server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// docs/protocol.md.
    Causeway,
    /// peerjs-server: no rooms, and nobody is told who comes.
    PeerJs,
    /// Engine.IO 4 and Socket.IO 5 over WebSocket, with the events of `competitors/socketio.mjs`.
    SocketIo,
}

/// Where and as whom a member connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    /// What the others call the member.
    pub(crate) peer: String,
    /// Path and query of the WebSocket.
    pub(crate) path: String,
    /// What is offered as subprotocol.
    pub(crate) subprotocol: Option<&'static str>,
    /// The first message; `None`: the path says it all.
    pub(crate) hello: Option<String>,
}

/// When a member introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// As soon as the WebSocket is open.
    AtOnce,
    /// When the server has said [`Heard::Open`].
    WhenAsked,
}

/// Where a member is among the events of its room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// The owner's.
    pub(crate) epoch: u64,
    /// Of the latest event.
    pub(crate) seq: u64,
}

/// What a member is told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Heard<'t> {
    /// The server is ready for a hello.
    Open,
    /// You are in; others reach you at this address, if it is not your name.
    Inside {
        address: Option<Cow<'t, str>>,
        position: Option<Position>,
        /// For a later resume.
        token: Option<Cow<'t, str>>,
    },
    /// Back in, with what was missed to come.
    Resumed {
        position: Position,
        token: Cow<'t, str>,
        /// How many messages of the member's the room has taken.
        received: u64,
    },
    /// Back in, from a snapshot.
    Resync { position: Position, token: Cow<'t, str>, received: Option<u64> },
    /// Somebody came.
    Joined { peer: Cow<'t, str>, seq: Option<u64> },
    /// Somebody went.
    Left { peer: Cow<'t, str>, seq: Option<u64> },
    /// Somebody said something.
    Said { from: Cow<'t, str>, body: Cow<'t, str>, seq: Option<u64> },
    /// An event of the room that no load expects.
    Other { seq: u64 },
    /// A sign of life that wants this answer.
    Alive(&'static str),
    /// A message was refused, or the server says farewell: its reason.
    Refused(Cow<'t, str>),
    /// Nothing that matters here.
    Nothing,
    /// Not a message of this dialect.
    Garbage,
}

impl Heard<'_> {
    /// The number of an event.
    pub(crate) const fn seq(&self) -> Option<u64> {
        match self {
            Self::Joined { seq, .. } | Self::Left { seq, .. } | Self::Said { seq, .. } => *seq,
            Self::Other { seq } => Some(*seq),
            Self::Open
            | Self::Inside { .. }
            | Self::Resumed { .. }
            | Self::Resync { .. }
            | Self::Alive(_)
            | Self::Refused(_)
            | Self::Nothing
            | Self::Garbage => None,
        }
    }
}

impl Dialect {
    /// When the hello is due.
    pub(crate) const fn opening(self) -> Opening {
        match self {
            Self::Causeway | Self::PeerJs => Opening::AtOnce,
            Self::SocketIo => Opening::WhenAsked,
        }
    }

    /// Whether there are rooms: their members are told who comes and goes, and one message can reach all others.
    pub(crate) const fn has_rooms(self) -> bool {
        match self {
            Self::Causeway | Self::SocketIo => true,
            Self::PeerJs => false,
        }
    }

    /// The ticket of a member of a room, for a server that sells none.
    pub(crate) fn ticket(self, peer: &str, room: &str, join_token: &str) -> Ticket {
        match self {
            Self::Causeway => causeway::ticket(peer, join_token),
            Self::PeerJs => peerjs::ticket(peer),
            Self::SocketIo => socketio::ticket(peer, room),
        }
    }

    /// Says `body` to one member at its address, or to all others.
    pub(crate) fn say(self, kind: Kind, to: Option<&str>, body: &str) -> String {
        match self {
            Self::Causeway => causeway::say(kind, to, body),
            Self::PeerJs => peerjs::say(kind, to.unwrap_or_default(), body),
            Self::SocketIo => socketio::say(kind, to, body),
        }
    }

    /// Goes for good; `None`: by closing the WebSocket.
    pub(crate) const fn leave(self) -> Option<&'static str> {
        match self {
            Self::Causeway => Some(r#"{"type":"leave"}"#),
            Self::PeerJs | Self::SocketIo => None,
        }
    }

    /// Comes back after a lost connection; `None`: this server cannot.
    pub(crate) fn resume(self, token: &str, position: Position) -> Option<String> {
        match self {
            Self::Causeway => Some(causeway::resume(token, position)),
            Self::PeerJs | Self::SocketIo => None,
        }
    }

    /// What a text message of the server means.
    pub(crate) fn hear(self, text: &str) -> Heard<'_> {
        match self {
            Self::Causeway => causeway::hear(text),
            Self::PeerJs => peerjs::hear(text),
            Self::SocketIo => socketio::hear(text),
        }
    }
}
