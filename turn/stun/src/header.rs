//! The fixed 20 bytes every STUN message starts with: class, method and transaction id.
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |0 0|     message type          |  length of what follows       |
//! |                  magic cookie 0x2112A442                      |
//! |                  transaction id (96 bits)                     |
//! ```

/// Bytes of a header (RFC 8489 §5).
pub const HEADER_LENGTH: usize = 20;

/// The constant in bytes 4..8 of every message (RFC 8489 §5).
pub const MAGIC_COOKIE: u32 = 0x2112_A442;

/// What a message is to its transaction (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Asks and expects an answer.
    Request,
    /// Says something and expects no answer.
    Indication,
    /// Answers a request that was carried out.
    Success,
    /// Answers a request that was refused.
    Error,
}

/// What a message is about. A method that is not listed makes [`Message::decode`](crate::Message::decode) fail with
/// [`DecodeError::UnknownMethod`](crate::DecodeError::UnknownMethod), since RFC 8489 §6.3 has it discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 8489 §3: which address do you see me at?
    Binding,
    /// RFC 8656 §7: give me a relayed address.
    Allocate,
    /// RFC 8656 §8: keep or end my allocation.
    Refresh,
    /// RFC 8656 §11: an indication that carries data from client to peer.
    Send,
    /// RFC 8656 §11: an indication that carries data from peer to client.
    Data,
    /// RFC 8656 §10: let these peers reach me.
    CreatePermission,
    /// RFC 8656 §12: name this peer by a channel number.
    ChannelBind,
    /// RFC 6062 §4.3: open a TCP connection to a peer.
    Connect,
    /// RFC 6062 §4.3: this TCP connection carries the data of that one.
    ConnectionBind,
    /// RFC 6062 §4.4: an indication that a peer has connected.
    ConnectionAttempt,
}

impl Method {
    /// Every method, in the order of their numbers.
    pub const ALL: [Self; 10] = [
        Self::Binding,
        Self::Allocate,
        Self::Refresh,
        Self::Send,
        Self::Data,
        Self::CreatePermission,
        Self::ChannelBind,
        Self::Connect,
        Self::ConnectionBind,
        Self::ConnectionAttempt,
    ];

    /// The method's number in the IANA registry (RFC 8489 §18.2, RFC 8656 §17, RFC 6062 §6.1).
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Binding => 0x001,
            Self::Allocate => 0x003,
            Self::Refresh => 0x004,
            Self::Send => 0x006,
            Self::Data => 0x007,
            Self::CreatePermission => 0x008,
            Self::ChannelBind => 0x009,
            Self::Connect => 0x00A,
            Self::ConnectionBind => 0x00B,
            Self::ConnectionAttempt => 0x00C,
        }
    }

    /// The method with this number, if it is one of ours.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            0x001 => Self::Binding,
            0x003 => Self::Allocate,
            0x004 => Self::Refresh,
            0x006 => Self::Send,
            0x007 => Self::Data,
            0x008 => Self::CreatePermission,
            0x009 => Self::ChannelBind,
            0x00A => Self::Connect,
            0x00B => Self::ConnectionBind,
            0x00C => Self::ConnectionAttempt,
            _ => return None,
        })
    }
}

/// 96 bits that join an answer to its request, chosen by the client (RFC 8489 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TransactionId(pub [u8; 12]);

/// Class and method number of a message type whose two top bits are zero.
///
/// ```text
/// bit  13        9   8  7      5   4  3      0     RFC 8489 §5: M is the method, C the class
///     | M11..M7    | C1 | M6..M4 | C0 | M3..M0 |
/// ```
pub(crate) const fn split_type(message_type: u16) -> (Class, u16) {
    let class = match (message_type & 0x0100 != 0, message_type & 0x0010 != 0) {
        (false, false) => Class::Request,
        (false, true) => Class::Indication,
        (true, false) => Class::Success,
        (true, true) => Class::Error,
    };
    let method = (message_type & 0x000F) | ((message_type & 0x00E0) >> 1) | ((message_type & 0x3E00) >> 2);
    (class, method)
}

/// The message type of a class and a method: the inverse of [`split_type`].
pub(crate) const fn join_type(class: Class, method: Method) -> u16 {
    let class = match class {
        Class::Request => 0x0000,
        Class::Indication => 0x0010,
        Class::Success => 0x0100,
        Class::Error => 0x0110,
    };
    let method = method.number();
    class | (method & 0x000F) | ((method & 0x0070) << 1) | ((method & 0x0F80) << 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_and_method_survives_the_message_type() {
        for method in Method::ALL {
            assert_eq!(Method::from_number(method.number()), Some(method));
            for class in [Class::Request, Class::Indication, Class::Success, Class::Error] {
                assert_eq!(split_type(join_type(class, method)), (class, method.number()));
            }
        }
    }

    #[test]
    fn message_types_are_those_of_the_rfcs() {
        assert_eq!(join_type(Class::Request, Method::Binding), 0x0001);
        assert_eq!(join_type(Class::Success, Method::Binding), 0x0101);
        assert_eq!(join_type(Class::Error, Method::Allocate), 0x0113);
        assert_eq!(join_type(Class::Indication, Method::Send), 0x0016);
        assert_eq!(join_type(Class::Indication, Method::Data), 0x0017);
        assert_eq!(join_type(Class::Indication, Method::ConnectionAttempt), 0x001C);
    }

    #[test]
    fn every_message_type_splits_into_twelve_method_bits() {
        assert_eq!(split_type(0x3FFF), (Class::Error, 0x0FFF));
        assert_eq!(split_type(0x3EEF), (Class::Request, 0x0FFF));
    }
}
