//! What an attribute is: its type number, its borrowed bytes, and the traits that read and write it.
//!
//! ```text
//! |  type (16)  |  length of value (16)  |  value … zero padding to a multiple of 4  |
//! ```

use core::fmt;
use core::iter::FusedIterator;

use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// The number that says what an attribute means (RFC 8489 §18.3 and the registries it started).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AttributeType(pub u16);

impl AttributeType {
    /// Whether a receiver that does not know the attribute must refuse the message (RFC 8489 §14).
    #[must_use]
    pub const fn is_comprehension_required(self) -> bool {
        self.0 < 0x8000
    }
}

/// Declares the known types once, as constants and as names.
macro_rules! attribute_types {
    ($($(#[$clause:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        impl AttributeType {
            $($(#[$clause])* pub const $name: Self = Self($number);)*

            /// The attribute's name in its RFC, if the type is known here.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some($text),)*
                    Self(_) => None,
                }
            }
        }
    };
}

attribute_types! {
    /// RFC 8489 §14.1
    MAPPED_ADDRESS = 0x0001, "MAPPED-ADDRESS";
    /// RFC 5780 §7.2
    CHANGE_REQUEST = 0x0003, "CHANGE-REQUEST";
    /// RFC 8489 §14.3
    USERNAME = 0x0006, "USERNAME";
    /// RFC 8489 §14.5
    MESSAGE_INTEGRITY = 0x0008, "MESSAGE-INTEGRITY";
    /// RFC 8489 §14.8
    ERROR_CODE = 0x0009, "ERROR-CODE";
    /// RFC 8489 §14.13
    UNKNOWN_ATTRIBUTES = 0x000A, "UNKNOWN-ATTRIBUTES";
    /// RFC 8656 §18.1
    CHANNEL_NUMBER = 0x000C, "CHANNEL-NUMBER";
    /// RFC 8656 §18.2
    LIFETIME = 0x000D, "LIFETIME";
    /// RFC 8656 §18.3
    XOR_PEER_ADDRESS = 0x0012, "XOR-PEER-ADDRESS";
    /// RFC 8656 §18.4
    DATA = 0x0013, "DATA";
    /// RFC 8489 §14.9
    REALM = 0x0014, "REALM";
    /// RFC 8489 §14.10
    NONCE = 0x0015, "NONCE";
    /// RFC 8656 §18.5
    XOR_RELAYED_ADDRESS = 0x0016, "XOR-RELAYED-ADDRESS";
    /// RFC 8656 §18.6
    REQUESTED_ADDRESS_FAMILY = 0x0017, "REQUESTED-ADDRESS-FAMILY";
    /// RFC 8656 §18.7
    EVEN_PORT = 0x0018, "EVEN-PORT";
    /// RFC 8656 §18.8
    REQUESTED_TRANSPORT = 0x0019, "REQUESTED-TRANSPORT";
    /// RFC 8656 §18.9
    DONT_FRAGMENT = 0x001A, "DONT-FRAGMENT";
    /// RFC 7635 §6.2
    ACCESS_TOKEN = 0x001B, "ACCESS-TOKEN";
    /// RFC 8489 §14.6
    MESSAGE_INTEGRITY_SHA256 = 0x001C, "MESSAGE-INTEGRITY-SHA256";
    /// RFC 8489 §14.12
    PASSWORD_ALGORITHM = 0x001D, "PASSWORD-ALGORITHM";
    /// RFC 8489 §14.4
    USERHASH = 0x001E, "USERHASH";
    /// RFC 8489 §14.2
    XOR_MAPPED_ADDRESS = 0x0020, "XOR-MAPPED-ADDRESS";
    /// RFC 8656 §18.10
    RESERVATION_TOKEN = 0x0022, "RESERVATION-TOKEN";
    /// RFC 8445 §16.1
    PRIORITY = 0x0024, "PRIORITY";
    /// RFC 8445 §16.1
    USE_CANDIDATE = 0x0025, "USE-CANDIDATE";
    /// RFC 5780 §7.6
    PADDING = 0x0026, "PADDING";
    /// RFC 5780 §7.5
    RESPONSE_PORT = 0x0027, "RESPONSE-PORT";
    /// RFC 6062 §6.2.1
    CONNECTION_ID = 0x002A, "CONNECTION-ID";
    /// RFC 8656 §18.11
    ADDITIONAL_ADDRESS_FAMILY = 0x8000, "ADDITIONAL-ADDRESS-FAMILY";
    /// RFC 8656 §18.12
    ADDRESS_ERROR_CODE = 0x8001, "ADDRESS-ERROR-CODE";
    /// RFC 8489 §14.11
    PASSWORD_ALGORITHMS = 0x8002, "PASSWORD-ALGORITHMS";
    /// RFC 8489 §14.16
    ALTERNATE_DOMAIN = 0x8003, "ALTERNATE-DOMAIN";
    /// RFC 8656 §18.13
    ICMP = 0x8004, "ICMP";
    /// RFC 8489 §14.14
    SOFTWARE = 0x8022, "SOFTWARE";
    /// RFC 8489 §14.15
    ALTERNATE_SERVER = 0x8023, "ALTERNATE-SERVER";
    /// RFC 5780 §9.1; the RFC registers the number and defines no more of it
    CACHE_TIMEOUT = 0x8027, "CACHE-TIMEOUT";
    /// RFC 8489 §14.7
    FINGERPRINT = 0x8028, "FINGERPRINT";
    /// RFC 8445 §16.1
    ICE_CONTROLLED = 0x8029, "ICE-CONTROLLED";
    /// RFC 8445 §16.1
    ICE_CONTROLLING = 0x802A, "ICE-CONTROLLING";
    /// RFC 5780 §7.3
    RESPONSE_ORIGIN = 0x802B, "RESPONSE-ORIGIN";
    /// RFC 5780 §7.4
    OTHER_ADDRESS = 0x802C, "OTHER-ADDRESS";
    /// RFC 7635 §6.1
    THIRD_PARTY_AUTHORIZATION = 0x802E, "THIRD-PARTY-AUTHORIZATION";
    /// RFC 8016 §3.4
    MOBILITY_TICKET = 0x8030, "MOBILITY-TICKET";
    /// The number that ADDITIONAL-ADDRESS-FAMILY had in drafts of RFC 8656, and has in coturn's client to this day
    DRAFT_ADDITIONAL_ADDRESS_FAMILY = 0x8032, "ADDITIONAL-ADDRESS-FAMILY (draft)";
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "attribute {:#06x}", self.0),
        }
    }
}

impl fmt::Debug for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One attribute as it stands in a message: its type, and its value without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// What the value means.
    pub kind: AttributeType,
    /// The value, as long as the attribute's length field says.
    pub value: &'a [u8],
}

/// An attribute that can be read out of a message.
pub trait Attribute<'a>: Sized {
    /// The type this reads.
    const TYPE: AttributeType;

    /// Reads the value, which is without padding.
    ///
    /// # Errors
    /// The value does not follow the clause that defines the attribute.
    fn decode(value: &'a [u8], transaction: &TransactionId) -> Result<Self, AttributeError>;
}

/// An attribute that can be written into a message.
pub trait Encode {
    /// The type this writes.
    fn kind(&self) -> AttributeType;

    /// Writes the value; header and padding are the [`MessageWriter`](crate::MessageWriter)'s.
    ///
    /// # Errors
    /// The buffer is full.
    fn encode(&self, transaction: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError>;
}

impl Encode for RawAttribute<'_> {
    fn kind(&self) -> AttributeType {
        self.kind
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.bytes(self.value)
    }
}

/// A value that does not follow the clause that defines it; a server answers 400, or 440 for a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttributeError {
    /// The value is longer or shorter than the attribute allows.
    #[error("{kind} cannot be {length} bytes long")]
    Length {
        /// The attribute.
        kind: AttributeType,
        /// Bytes found.
        length: usize,
    },
    /// An address family that is neither IPv4 (1) nor IPv6 (2).
    #[error("{kind} names the unknown address family {family}")]
    AddressFamily {
        /// The attribute.
        kind: AttributeType,
        /// The family's number.
        family: u8,
    },
    /// Text that is not UTF-8.
    #[error("{kind} is not UTF-8")]
    NotUtf8 {
        /// The attribute.
        kind: AttributeType,
    },
    /// A number outside the range its clause gives.
    #[error("{kind} cannot have the value {value}")]
    Range {
        /// The attribute.
        kind: AttributeType,
        /// The number found.
        value: u32,
    },
}

/// The value as exactly `N` bytes.
pub(crate) fn exactly<const N: usize>(kind: AttributeType, value: &[u8]) -> Result<&[u8; N], AttributeError> {
    match value.as_array() {
        Some(bytes) => Ok(bytes),
        None => Err(AttributeError::Length { kind, length: value.len() }),
    }
}

/// The value as text of at most `limit` bytes.
pub(crate) fn text(kind: AttributeType, value: &[u8], limit: usize) -> Result<&str, AttributeError> {
    if value.len() > limit {
        return Err(AttributeError::Length { kind, length: value.len() });
    }
    let Ok(text) = core::str::from_utf8(value) else {
        return Err(AttributeError::NotUtf8 { kind });
    };
    Ok(text)
}

/// The attributes of a message that its receiver is to look at, in order: see
/// [`Message::attributes`](crate::Message::attributes).
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    visible: Visible,
}

/// Which attributes still count.
#[derive(Clone, Copy, Debug)]
enum Visible {
    All,
    /// RFC 8489 §14.5: after MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT count.
    AfterIntegrity,
    /// RFC 8489 §14.6: after MESSAGE-INTEGRITY-SHA256 only FINGERPRINT counts.
    AfterIntegritySha256,
}

impl<'a> Attributes<'a> {
    /// `body` is what follows a header, its framing checked by [`Message::decode`](crate::Message::decode).
    pub(crate) const fn new(body: &'a [u8]) -> Self {
        Self { rest: body, visible: Visible::All }
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = RawAttribute<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (attribute, rest) = split_attribute(self.rest)?;
            self.rest = rest;
            match (self.visible, attribute.kind) {
                (Visible::All, AttributeType::MESSAGE_INTEGRITY) => self.visible = Visible::AfterIntegrity,
                (Visible::All | Visible::AfterIntegrity, AttributeType::MESSAGE_INTEGRITY_SHA256) => {
                    self.visible = Visible::AfterIntegritySha256;
                }
                (Visible::All, _) | (_, AttributeType::FINGERPRINT) => {}
                (Visible::AfterIntegrity | Visible::AfterIntegritySha256, _) => continue,
            }
            return Some(attribute);
        }
    }
}

impl FusedIterator for Attributes<'_> {}

/// The first attribute of a body and what follows its padding; `None` at the end or if its length lies.
pub(crate) fn split_attribute(body: &[u8]) -> Option<(RawAttribute<'_>, &[u8])> {
    let (&[kind_high, kind_low, length_high, length_low], rest) = body.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([length_high, length_low]));
    let (padded, rest) = rest.split_at_checked(length.next_multiple_of(4))?;
    let value = padded.get(..length)?;
    Some((RawAttribute { kind: AttributeType(u16::from_be_bytes([kind_high, kind_low])), value }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_shows_its_name_or_its_number() {
        assert_eq!(AttributeType::XOR_PEER_ADDRESS.to_string(), "XOR-PEER-ADDRESS");
        assert_eq!(AttributeType(0x7ABC).to_string(), "attribute 0x7abc");
    }

    #[test]
    fn the_upper_half_of_the_types_may_be_ignored() {
        assert!(AttributeType(0x7FFF).is_comprehension_required());
        assert!(!AttributeType(0x8000).is_comprehension_required());
    }

    #[test]
    fn after_message_integrity_only_the_other_checks_are_seen() {
        check(&[0x0006, 0x0008, 0x0006, 0x001C, 0x8022, 0x8028], &[0x0006, 0x0008, 0x001C, 0x8028]);
    }

    #[test]
    fn after_message_integrity_sha256_only_the_fingerprint_is_seen() {
        check(&[0x001C, 0x0008, 0x001C, 0x0006, 0x8028], &[0x001C, 0x8028]);
    }

    #[test]
    fn a_second_message_integrity_is_not_seen() {
        check(&[0x0008, 0x0008, 0x8028], &[0x0008, 0x8028]);
    }

    fn check(sent: &[u16], seen: &[u16]) {
        let body: Vec<u8> = sent.iter().flat_map(|kind| [kind.to_be_bytes(), [0, 0]].concat()).collect();
        let kinds: Vec<u16> = Attributes::new(&body).map(|attribute| attribute.kind.0).collect();
        assert_eq!(kinds, seen);
    }
}
