//! Every way in which we refuse, by name: error codes for requests, close codes for sockets.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal, $status:literal, $sentence:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub enum $name {
            $($(#[$vdoc])* #[serde(rename = $text)] $variant,)*
        }

        impl $name {
            /// Every code, for documents and tests.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable text that programs compare.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status of an answer with this code.
            #[must_use]
            pub const fn http_status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// One sentence for a person: what happened and what to do.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }
        }
    };
}

codes! {
    /// Why a request or a message was refused. The text is stable; the sentence is not.
    ErrorCode {
        /// Not JSON at all.
        BadJson = "bad-json", 400, "The body is not valid JSON; send one JSON object.";
        /// JSON, but not one of our messages, or a field out of range.
        BadMessage = "bad-message", 400, "The message does not have the documented form; compare it with docs/protocol.md.";
        /// A protocol version that this server does not speak.
        VersionUnsupported = "version-unsupported", 400, "This server speaks another protocol version; update the client.";
        /// The join token is forged, for another purpose, or for another room.
        TokenInvalid = "token-invalid", 401, "The token is not valid here; join the room again.";
        /// The join token has expired.
        TokenExpired = "token-expired", 401, "The token has expired; join the room again.";
        /// The room wants a password.
        PasswordRequired = "password-required", 401, "The room has a password; ask the person who sent the link.";
        /// The password is wrong.
        PasswordWrong = "password-wrong", 403, "The password is wrong; check it and try again.";
        /// The room wants an invite, or this one was used or has expired.
        InviteInvalid = "invite-invalid", 403, "The invite was already used or has expired; ask for a new one.";
        /// The page's origin may not use this server.
        OriginRefused = "origin-refused", 403, "This web origin is not allowed; add it to signal.allowed_origins.";
        /// A host or an app sent this peer away.
        Kicked = "kicked", 403, "You were sent out of the room.";
        /// A host or an app sent this peer away for good.
        Banned = "banned", 403, "You were sent out of the room and cannot come back.";
        /// A host did not let this peer in from the lobby.
        EntryDenied = "entry-denied", 403, "A host of the room did not let you in.";
        /// Neither the role nor the token permits this.
        NotAllowed = "not-allowed", 403, "Neither your role in the room nor your token permits this.";
        /// No such room, or it has ended.
        RoomNotFound = "room-not-found", 404, "There is no such room; it may have expired. Ask for a new link.";
        /// No such address on this server.
        NotFound = "not-found", 404, "There is nothing at this address.";
        /// The address exists, the method does not.
        MethodNotAllowed = "method-not-allowed", 405, "This address does not support that method.";
        /// The peer that the message is for is not in the room.
        PeerNotFound = "peer-not-found", 404, "That peer is not in the room any more.";
        /// A room of the name that was asked for is open.
        RoomTaken = "room-taken", 409, "A room of this name is open; choose another name.";
        /// The room is full.
        RoomFull = "room-full", 409, "The room is full; wait until somebody leaves or ask for another link.";
        /// The room's state, or its list of bans, has no place for more.
        StateFull = "state-full", 409, "The room keeps no more of this; delete something first.";
        /// The resume token is of a stay that is over, or was used since.
        ResumeRefused = "resume-refused", 410, "The stay in the room is over; join it again.";
        /// The body or message is larger than allowed.
        TooLarge = "too-large", 413, "The message is larger than this server accepts.";
        /// The body is not declared as JSON.
        UnsupportedMediaType = "unsupported-media-type", 415, "Send the body as application/json.";
        /// A host closed the room to newcomers.
        RoomLocked = "room-locked", 423, "The room is closed to newcomers; ask a host to open it.";
        /// Too many requests or messages from this address, connection or room.
        RateLimited = "rate-limited", 429, "Too many requests; wait a little and try again.";
        /// A defect or an exhausted resource of ours.
        Internal = "internal", 500, "Something went wrong on the server; its log says what.";
        /// The server is full or shutting down.
        Unavailable = "unavailable", 503, "The server cannot take this now; try again in a moment.";
        /// The nodes that the room needs cannot reach one another.
        Degraded = "degraded", 503, "The room is cut off from some of its members now; try again when it has recovered.";
    }
}

/// Why the server closed a WebSocket (RFC 6455 §7.4.2: 4000–4999 are ours to define).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// 1000: the peer said `leave`.
    Left,
    /// 1009: a message or frame above the size limit (RFC 6455 §7.4.1).
    TooLarge,
    /// 4400: not a message of ours.
    BadMessage,
    /// 4401: the token is invalid or has expired.
    TokenRefused,
    /// 4403: sent out of the room, or not let in from the lobby.
    Kicked,
    /// 4404: the room does not exist or has ended before the join.
    RoomNotFound,
    /// 4408: no `hello` in time, or no sign of life.
    TimedOut,
    /// 4409: the same peer connected again; this older socket gives way.
    Displaced,
    /// 4410: the room has ended.
    RoomClosed,
    /// 4411: the stay went on over another connection. Whoever is still here was taken for gone, and resumes with its latest token.
    ResumedElsewhere,
    /// 4412: the stay that the resume token speaks of is over.
    ResumeRefused,
    /// 4413: the room is full.
    RoomFull,
    /// 4423: the room is closed to newcomers.
    RoomLocked,
    /// 4429: too many messages.
    RateLimited,
    /// 4500: a defect of ours.
    Internal,
    /// 4503: the server is shutting down; connect again, elsewhere or later.
    Draining,
    /// 4508: the peer reads too slowly; its queue is full.
    Stalled,
}

impl CloseCode {
    /// Every code, for documents and tests.
    pub const ALL: &[Self] = &[
        Self::Left,
        Self::TooLarge,
        Self::BadMessage,
        Self::TokenRefused,
        Self::Kicked,
        Self::RoomNotFound,
        Self::TimedOut,
        Self::Displaced,
        Self::RoomClosed,
        Self::ResumedElsewhere,
        Self::ResumeRefused,
        Self::RoomFull,
        Self::RoomLocked,
        Self::RateLimited,
        Self::Internal,
        Self::Draining,
        Self::Stalled,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Left => 1000,
            Self::TooLarge => 1009,
            Self::BadMessage => 4400,
            Self::TokenRefused => 4401,
            Self::Kicked => 4403,
            Self::RoomNotFound => 4404,
            Self::TimedOut => 4408,
            Self::Displaced => 4409,
            Self::RoomClosed => 4410,
            Self::ResumedElsewhere => 4411,
            Self::ResumeRefused => 4412,
            Self::RoomFull => 4413,
            Self::RoomLocked => 4423,
            Self::RateLimited => 4429,
            Self::Internal => 4500,
            Self::Draining => 4503,
            Self::Stalled => 4508,
        }
    }

    /// The code with this number.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.number() == number)
    }

    /// The stable text, also the close frame's reason.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Left => "left",
            Self::TooLarge => "too-large",
            Self::BadMessage => "bad-message",
            Self::TokenRefused => "token-refused",
            Self::Kicked => "kicked",
            Self::RoomNotFound => "room-not-found",
            Self::TimedOut => "timed-out",
            Self::Displaced => "displaced",
            Self::RoomClosed => "room-closed",
            Self::ResumedElsewhere => "resumed-elsewhere",
            Self::ResumeRefused => "resume-refused",
            Self::RoomFull => "room-full",
            Self::RoomLocked => "room-locked",
            Self::RateLimited => "rate-limited",
            Self::Internal => "internal",
            Self::Draining => "draining",
            Self::Stalled => "stalled",
        }
    }

    /// Whether a client should connect again by itself.
    #[must_use]
    pub const fn reconnect(self) -> bool {
        match self {
            Self::TimedOut | Self::ResumedElsewhere | Self::Internal | Self::Draining | Self::Stalled => true,
            Self::Left
            | Self::TooLarge
            | Self::BadMessage
            | Self::TokenRefused
            | Self::Kicked
            | Self::RoomNotFound
            | Self::Displaced
            | Self::RoomClosed
            | Self::ResumeRefused
            | Self::RoomFull
            | Self::RoomLocked
            | Self::RateLimited => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_name_in_json_is_the_name_in_documents() {
        for code in ErrorCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn no_two_codes_are_the_same() {
        let texts: HashSet<_> = ErrorCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
        let numbers: HashSet<_> = CloseCode::ALL.iter().map(|c| c.number()).collect();
        assert_eq!(numbers.len(), CloseCode::ALL.len());
    }

    #[test]
    fn a_sentence_says_what_to_do() {
        for code in ErrorCode::ALL {
            assert!(code.sentence().ends_with('.'), "{code:?}");
        }
    }
}
