//! What can happen to a room.

use causeway_protocol::bus::RelayUsage;
use causeway_protocol::ids::TokenId;
use causeway_protocol::message::{ClientMessage, Pass, Position};
use causeway_protocol::token::JoinClaims;
use causeway_protocol::{ErrorCode, PeerId};

use crate::effect::Ending;

/// One connection of one peer. A peer that connects again is the same peer in another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A connection showed a genuine join token for this room.
    Join(Join),
    /// A connection showed a genuine resume token for this room.
    Resume(Resume),
    /// A node says that one of its connections is in this room: to an owner that has the room from its record, or that
    /// may have missed something of that node's.
    Announce(Announce),
    /// A connection sent a message.
    Message {
        /// Which connection.
        session: SessionId,
        /// What it sent.
        message: ClientMessage,
    },
    /// A connection sent JSON that is no message. It has its place in the order of messages, and is counted.
    Unreadable {
        /// Which connection.
        session: SessionId,
        /// Its `type`, if it had one.
        kind: Option<String>,
    },
    /// The answer to [`crate::Effect::VerifyHost`].
    HostVerified {
        /// Which connection.
        session: SessionId,
        /// Whether the host token is genuine and this room's.
        verdict: Result<(), ErrorCode>,
    },
    /// A connection is no longer there.
    Gone {
        /// Which connection.
        session: SessionId,
        /// Why.
        why: Gone,
    },
    /// A connection's queue is full.
    Stalled {
        /// Which connection.
        session: SessionId,
    },
    /// The app that made the room sends a peer away.
    Dismiss(Dismissal),
    /// A relay counted something for this room.
    RelayUsage(RelayUsage),
    /// The moment of [`crate::Room::next_deadline`] has come; early or late ticks do no harm.
    Tick,
    /// The process has no memory left for what rooms keep for those who come back: forget it.
    Trim,
    /// The room ends now.
    End(Ending),
}

/// A connection that wants in.
#[derive(Clone, Debug)]
pub struct Join {
    /// The connection.
    pub session: SessionId,
    /// What its join token says.
    pub claims: JoinClaims,
    /// A name for the stay that begins, never given before. Drawing it takes luck, so the shell does it.
    pub series: TokenId,
}

/// A peer that has to go.
#[derive(Clone, Debug)]
pub struct Dismissal {
    /// Who says so, as the record of bans names it.
    pub by: PeerId,
    /// Whom it concerns.
    pub peer: PeerId,
    /// Whether it stays out.
    pub ban: bool,
    /// What it is told; `None`: a sentence of ours.
    pub reason: Option<String>,
}

/// A connection that goes on where another broke.
#[derive(Clone, Debug)]
pub struct Resume {
    /// The connection.
    pub session: SessionId,
    /// What its resume token says.
    pub pass: Pass,
    /// What the client has seen.
    pub position: Position,
}

/// A connection that is in the room by the word of the node that has it.
#[derive(Clone, Debug)]
pub struct Announce {
    /// The connection.
    pub session: SessionId,
    /// The pass that it was greeted with last.
    pub pass: Pass,
    /// The last event that it was sent, or the position of its greeting.
    pub position: Position,
    /// How many of its counting messages ([`ClientMessage::counts`]) the node has passed on in this stay, by what its
    /// greetings said and it sent since.
    pub received: u64,
}

/// Why a connection is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gone {
    /// It said goodbye with a close frame.
    Closed,
    /// It ended without a word.
    Disconnected,
    /// No sign of life.
    TimedOut,
    /// It took too long to read what it was sent.
    Stalled,
    /// The server closed it for what it sent.
    Refused,
}
