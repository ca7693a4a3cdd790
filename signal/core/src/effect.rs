//! What a room wants done.

use bytestring::ByteString;
use causeway_protocol::message::{Greeting, Pass, ServerMessage};
use causeway_protocol::{CloseCode, PeerId};

use crate::input::SessionId;

/// One of the room's numbered events, serialized once for everybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number in the room.
    pub seq: u64,
    /// The [`ServerMessage`] as it travels. Clones share the bytes.
    pub text: ByteString,
}

/// Something to do, in the order of the list.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send an event to each of these connections.
    Event {
        /// To whom; never empty.
        to: Vec<SessionId>,
        /// What.
        event: Event,
    },
    /// Send one message that is no event to each of these connections.
    Send {
        /// To whom; never empty.
        to: Vec<SessionId>,
        /// What. Everybody gets the same bytes.
        message: ServerMessage,
    },
    /// Mint ICE servers and sign a resume token of this pass for the connection, and send both with the greeting
    /// ([`Greeting::with`]).
    Greet {
        /// To whom.
        to: SessionId,
        /// What the token says.
        pass: Pass,
        /// How the room stands.
        greeting: Greeting,
    },
    /// Mint ICE servers for this peer and send them to it as `ice-servers`.
    GrantIce {
        /// To whom.
        to: SessionId,
        /// For whom.
        peer: PeerId,
    },
    /// Check that this is the room's host token, and say so with [`crate::Input::HostVerified`] before the connection's next
    /// message. Keys are the shell's.
    VerifyHost {
        /// Whose.
        session: SessionId,
        /// What it showed.
        token: String,
    },
    /// Close this connection after what was sent to it; the room has forgotten it.
    Close {
        /// Which.
        session: SessionId,
        /// With which code.
        code: CloseCode,
    },
    /// Tell the relays that this peer's credentials for the room are void.
    Revoke {
        /// Whose.
        peer: PeerId,
    },
    /// [`crate::Room::record`] is another than it was: write it where it survives.
    Save,
    /// The room is over; nothing follows, and every further join is refused.
    Ended(Ending),
}

/// Why a room ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its time is over.
    Expired,
    /// Somebody who may ended it.
    Closed,
    /// The server is shutting down. Relayed traffic goes on.
    Draining,
}

impl Ending {
    /// How the members' connections are closed.
    #[must_use]
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Expired | Self::Closed => CloseCode::RoomClosed,
            Self::Draining => CloseCode::Draining,
        }
    }

    /// Whether relay credentials of the room must stop working.
    #[must_use]
    pub const fn revokes(self) -> bool {
        match self {
            Self::Expired | Self::Closed => true,
            Self::Draining => false,
        }
    }

    /// For logs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Closed => "closed",
            Self::Draining => "draining",
        }
    }
}
