//! What can happen to a room.

use causeway_protocol::bus::RelayUsage;
use causeway_protocol::ids::TokenId;
use causeway_protocol::message::ClientMessage;
use causeway_protocol::token::JoinClaims;

use crate::effect::Ending;

/// One connection of one peer. A peer that connects again is the same peer in another session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// A connection showed a genuine join token for this room.
    Join(Join),
    /// A connection sent a message.
    Message {
        /// Which connection.
        session: SessionId,
        /// What it sent.
        message: ClientMessage,
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
    /// A relay counted something for this room.
    RelayUsage(RelayUsage),
    /// The moment of [`crate::Room::next_deadline`] has come; early or late ticks do no harm.
    Tick,
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

/// Why a connection is no longer there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Gone {
    /// It ended without a word.
    Disconnected,
    /// No sign of life.
    TimedOut,
    /// It took too long to read what it was sent.
    Stalled,
    /// The server closed it for what it sent.
    Refused,
}
