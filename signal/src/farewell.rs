//! How a connection ends.

use causeway_protocol::CloseCode;
use causeway_protocol::message::ServerMessage;

/// The first one that somebody says to an outbox wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// We end it: `closing`, then a close frame with the same code.
    Say(CloseCode),
    /// The client sent a close frame; it gets one back (RFC 6455 §5.5.1).
    Reply,
    /// The connection is gone; there is nobody to tell.
    Nobody,
}

impl Farewell {
    /// The label of `causeway_signal_closed_total`.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Say(code) => code.as_str(),
            Self::Reply => "client",
            Self::Nobody => "gone",
        }
    }

    /// Whether what still waits in the outbox is thrown away.
    pub(crate) const fn drops_queue(self) -> bool {
        match self {
            Self::Say(CloseCode::Stalled) | Self::Nobody => true,
            Self::Say(_) | Self::Reply => false,
        }
    }
}

/// The last message before the close frame.
pub(crate) fn closing(code: CloseCode) -> ServerMessage {
    ServerMessage::Closing {
        code: code.number(),
        reason: code.as_str().to_owned(),
        reconnect: code.reconnect(),
    }
}
