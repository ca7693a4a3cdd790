//! A borrowed message: its framing is checked once by `decode`, and what comes after is lookup.

use crate::attribute::{Attribute, AttributeError, AttributeType, Attributes, RawAttribute, split_attribute};
use crate::fingerprint::{self, FingerprintError};
use crate::header::{Class, HEADER_LENGTH, MAGIC_COOKIE, Method, TransactionId, split_type};
use crate::integrity::{self, IntegrityError};
use crate::key::IntegrityKey;
use crate::unknown::UnknownAttributes;

/// One STUN message in its datagram.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: &'a [u8; HEADER_LENGTH],
    body: &'a [u8],
    class: Class,
    method: Method,
    transaction_id: TransactionId,
    integrity: Option<Seal<'a>>,
    integrity_sha256: Option<Seal<'a>>,
    fingerprint: Option<Seal<'a>>,
}

/// An attribute that vouches for everything before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seal<'a> {
    /// The body in front of the attribute.
    pub(crate) before: &'a [u8],
    /// The attribute's value.
    pub(crate) value: &'a [u8],
}

/// Why a datagram is not one STUN message. RFC 8489 §6.3 has all of these silently discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Fewer bytes than a header.
    #[error("{length} bytes are fewer than the 20 of a header")]
    TooShort {
        /// Bytes received.
        length: usize,
    },
    /// One of the two top bits is set, so this is another protocol (RFC 8489 §5).
    #[error("the first byte {first:#04x} belongs to another protocol")]
    NotStun {
        /// The first byte.
        first: u8,
    },
    /// Not STUN, or STUN of RFC 3489, which nobody has to answer.
    #[error("the magic cookie is missing")]
    MagicCookie,
    /// The length field is no multiple of four (RFC 8489 §5).
    #[error("the length field {claimed} is not a multiple of four")]
    Unaligned {
        /// What the length field says.
        claimed: usize,
    },
    /// The length field promises more than the datagram holds.
    #[error("the length field says {claimed} and only {present} bytes follow the header")]
    Truncated {
        /// What the length field says.
        claimed: usize,
        /// Bytes behind the header.
        present: usize,
    },
    /// The datagram holds more than the length field says.
    #[error("the length field says {claimed} and {present} bytes follow the header")]
    TrailingBytes {
        /// What the length field says.
        claimed: usize,
        /// Bytes behind the header.
        present: usize,
    },
    /// An attribute's length, padding included, leads out of the message.
    #[error("the attribute at byte {offset} of the body leads out of the message")]
    AttributeOverrun {
        /// Where the attribute starts, counted behind the header.
        offset: usize,
    },
    /// Something follows FINGERPRINT, which has to be last (RFC 8489 §14.7).
    #[error("{kind} follows FINGERPRINT")]
    AfterFingerprint {
        /// The attribute that follows.
        kind: AttributeType,
    },
    /// A method that no RFC of ours defines.
    #[error("the method {number:#05x} is unknown")]
    UnknownMethod {
        /// The method's twelve bits.
        number: u16,
    },
}

impl<'a> Message<'a> {
    /// Reads a datagram that is exactly one message. Framing is checked to the end, values are not looked at.
    ///
    /// # Errors
    /// Each way not to be a message has its own variant.
    pub fn decode(datagram: &'a [u8]) -> Result<Self, DecodeError> {
        let Some((header, body)) = datagram.split_first_chunk::<HEADER_LENGTH>() else {
            return Err(DecodeError::TooShort { length: datagram.len() });
        };
        let &[t0, t1, l0, l1, c0, c1, c2, c3, ref transaction_id @ ..] = header;
        if t0 & 0b1100_0000 != 0 {
            return Err(DecodeError::NotStun { first: t0 });
        }
        if u32::from_be_bytes([c0, c1, c2, c3]) != MAGIC_COOKIE {
            return Err(DecodeError::MagicCookie);
        }
        let claimed = usize::from(u16::from_be_bytes([l0, l1]));
        let present = body.len();
        if !claimed.is_multiple_of(4) {
            return Err(DecodeError::Unaligned { claimed });
        }
        if claimed > present {
            return Err(DecodeError::Truncated { claimed, present });
        }
        if claimed < present {
            return Err(DecodeError::TrailingBytes { claimed, present });
        }
        let (class, number) = split_type(u16::from_be_bytes([t0, t1]));
        let Some(method) = Method::from_number(number) else {
            return Err(DecodeError::UnknownMethod { number });
        };
        let mut message = Self {
            bytes: datagram,
            header,
            body,
            class,
            method,
            transaction_id: TransactionId(*transaction_id),
            integrity: None,
            integrity_sha256: None,
            fingerprint: None,
        };
        message.walk()?;
        Ok(message)
    }

    /// Checks the framing of every attribute and remembers where the seals are.
    fn walk(&mut self) -> Result<(), DecodeError> {
        let mut rest = self.body;
        while !rest.is_empty() {
            let (before, _) = self.body.split_at(self.body.len().saturating_sub(rest.len()));
            let Some((attribute, next)) = split_attribute(rest) else {
                return Err(DecodeError::AttributeOverrun { offset: before.len() });
            };
            if self.fingerprint.is_some() {
                return Err(DecodeError::AfterFingerprint { kind: attribute.kind });
            }
            let seal = Some(Seal { before, value: attribute.value });
            match attribute.kind {
                AttributeType::FINGERPRINT => self.fingerprint = seal,
                // RFC 8489 §14.5, §14.6: what follows a seal is ignored, a second or weaker seal too.
                AttributeType::MESSAGE_INTEGRITY_SHA256 if self.integrity_sha256.is_none() => {
                    self.integrity_sha256 = seal;
                }
                AttributeType::MESSAGE_INTEGRITY
                    if self.integrity.is_none() && self.integrity_sha256.is_none() =>
                {
                    self.integrity = seal;
                }
                AttributeType(_) => {}
            }
            rest = next;
        }
        Ok(())
    }

    /// What the message is to its transaction.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// What the message is about.
    #[must_use]
    pub const fn method(&self) -> Method {
        self.method
    }

    /// The id that joins request and answer.
    #[must_use]
    pub const fn transaction_id(&self) -> TransactionId {
        self.transaction_id
    }

    /// The whole message, header included, as it was received.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The attributes that count, in order. Behind MESSAGE-INTEGRITY only MESSAGE-INTEGRITY-SHA256 and FINGERPRINT
    /// count, behind MESSAGE-INTEGRITY-SHA256 only FINGERPRINT (RFC 8489 §14.5, §14.6): nothing vouches for the rest.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.body)
    }

    /// Whether an attribute of this type counts in the message.
    #[must_use]
    pub fn has(&self, kind: AttributeType) -> bool {
        self.attributes().any(|attribute| attribute.kind == kind)
    }

    /// The first attribute of a type; RFC 8489 §14 allows to ignore repetitions.
    ///
    /// # Errors
    /// The attribute is there and its value is malformed.
    pub fn get<A: Attribute<'a>>(&self) -> Result<Option<A>, AttributeError> {
        self.get_all().next().transpose()
    }

    /// Every attribute of a type, in order: CreatePermission may carry several XOR-PEER-ADDRESSes.
    pub fn get_all<A: Attribute<'a>>(&self) -> impl Iterator<Item = Result<A, AttributeError>> + use<'a, A> {
        let transaction_id = self.transaction_id;
        self.attributes()
            .filter(|attribute| attribute.kind == A::TYPE)
            .map(move |RawAttribute { value, .. }| A::decode(value, &transaction_id))
    }

    /// The comprehension-required attributes that are not in `understood`: what a 420 answer lists (RFC 8489 §6.3.1).
    /// MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 are always understood.
    #[must_use]
    pub fn unknown_required(&self, understood: &[AttributeType]) -> UnknownAttributes {
        let mut unknown = UnknownAttributes::default();
        for RawAttribute { kind, .. } in self.attributes() {
            let known =
                matches!(kind, AttributeType::MESSAGE_INTEGRITY | AttributeType::MESSAGE_INTEGRITY_SHA256)
                    || understood.contains(&kind);
            if kind.is_comprehension_required() && !known {
                unknown.insert(kind);
            }
        }
        unknown
    }

    /// Checks MESSAGE-INTEGRITY in place and in constant time (RFC 8489 §14.5).
    ///
    /// # Errors
    /// The attribute is missing, or it does not vouch for this message under this key.
    pub fn verify_integrity(&self, key: &IntegrityKey) -> Result<(), IntegrityError> {
        integrity::verify_sha1(self.header, self.integrity, key)
    }

    /// Checks MESSAGE-INTEGRITY-SHA256 in place and in constant time (RFC 8489 §14.6). Truncated values of 16 bytes
    /// and more are accepted.
    ///
    /// # Errors
    /// The attribute is missing, or it does not vouch for this message under this key.
    pub fn verify_integrity_sha256(&self, key: &IntegrityKey) -> Result<(), IntegrityError> {
        integrity::verify_sha256(self.header, self.integrity_sha256, key)
    }

    /// Checks FINGERPRINT (RFC 8489 §14.7).
    ///
    /// # Errors
    /// The attribute is missing, or its checksum is another.
    pub fn fingerprint(&self) -> Result<(), FingerprintError> {
        fingerprint::verify(self.header, self.fingerprint)
    }
}
