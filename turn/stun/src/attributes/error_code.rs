//! ERROR-CODE: why a request was refused (RFC 8489 §14.8).
//!
//! ```text
//! |  reserved (21)  |  class (3)  |  number (8)  |  reason phrase, UTF-8  |
//! ```

use super::text::{MAX_RECEIVED, sendable};
use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, text};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// Declares every code with its number and the phrase its RFC gives it.
macro_rules! codes {
    ($($(#[$clause:meta])* $name:ident = $number:literal, $phrase:literal;)*) => {
        /// The codes that our RFCs define.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $($(#[$clause])* $name,)*
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code's number, 300 to 699.
            #[must_use]
            pub const fn number(self) -> u16 {
                match self {
                    $(Self::$name => $number,)*
                }
            }

            /// The code with this number, if our RFCs define it.
            #[must_use]
            pub const fn from_number(number: u16) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            /// The phrase the RFC gives, for logs and for clients that are known.
            #[must_use]
            pub const fn phrase(self) -> &'static str {
                match self {
                    $(Self::$name => $phrase,)*
                }
            }
        }
    };
}

codes! {
    /// RFC 8489 §14.8: ask ALTERNATE-SERVER.
    TryAlternate = 300, "Try Alternate";
    /// RFC 8489 §14.8: the request is malformed.
    BadRequest = 400, "Bad Request";
    /// RFC 8489 §14.8: the request lacks a credential that fits.
    Unauthenticated = 401, "Unauthenticated";
    /// RFC 8656 §19: the request is valid and not allowed.
    Forbidden = 403, "Forbidden";
    /// RFC 8016 §3.5: no mobility here.
    MobilityForbidden = 405, "Mobility Forbidden";
    /// RFC 8489 §14.8: see UNKNOWN-ATTRIBUTES.
    UnknownAttribute = 420, "Unknown Attribute";
    /// RFC 8656 §19: the 5-tuple has no allocation, or has one already.
    AllocationMismatch = 437, "Allocation Mismatch";
    /// RFC 8489 §14.8: try again with the nonce of this answer.
    StaleNonce = 438, "Stale Nonce";
    /// RFC 8656 §19: no relayed addresses of this family.
    AddressFamilyNotSupported = 440, "Address Family not Supported";
    /// RFC 8656 §19: the allocation belongs to another user.
    WrongCredentials = 441, "Wrong Credentials";
    /// RFC 8656 §19: no relaying over this transport.
    UnsupportedTransportProtocol = 442, "Unsupported Transport Protocol";
    /// RFC 8656 §19: a peer of this family cannot be reached from the relayed address.
    PeerAddressFamilyMismatch = 443, "Peer Address Family Mismatch";
    /// RFC 6062 §6.3: there is a connection to this peer already.
    ConnectionAlreadyExists = 446, "Connection Already Exists";
    /// RFC 6062 §6.3: the peer could not be reached.
    ConnectionTimeoutOrFailure = 447, "Connection Timeout or Failure";
    /// RFC 8656 §19: the user has all the allocations there are for them.
    AllocationQuotaReached = 486, "Allocation Quota Reached";
    /// RFC 8445 §16.2: both ICE agents took the same role.
    RoleConflict = 487, "Role Conflict";
    /// RFC 8489 §14.8: try again later.
    ServerError = 500, "Server Error";
    /// RFC 8656 §19: no relayed address is free.
    InsufficientCapacity = 508, "Insufficient Capacity";
}

/// An error code and its reason phrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode<'a> {
    number: u16,
    reason: &'a str,
}

impl From<Code> for ErrorCode<'_> {
    /// A code without a phrase: the smallest answer.
    fn from(code: Code) -> Self {
        Self { number: code.number(), reason: "" }
    }
}

impl<'a> ErrorCode<'a> {
    /// A code with a phrase of your own.
    ///
    /// # Errors
    /// The phrase is longer than 127 characters or 509 bytes.
    pub fn with_reason(code: Code, reason: &'a str) -> Result<Self, AttributeError> {
        Ok(Self { number: code.number(), reason: sendable(AttributeType::ERROR_CODE, reason)? })
    }

    /// The code, if it is one of ours.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        Code::from_number(self.number)
    }

    /// The number, 300 to 699.
    #[must_use]
    pub const fn number(&self) -> u16 {
        self.number
    }

    /// The phrase, which is for humans only.
    #[must_use]
    pub const fn reason(&self) -> &'a str {
        self.reason
    }
}

impl<'a> Attribute<'a> for ErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ERROR_CODE;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let Some((&[_, _, class, number], reason)) = value.split_first_chunk() else {
            return Err(AttributeError::Length { kind: Self::TYPE, length: value.len() });
        };
        let number = code_number(Self::TYPE, class, number)?;
        Ok(Self { number, reason: text(Self::TYPE, reason, MAX_RECEIVED)? })
    }
}

impl Encode for ErrorCode<'_> {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.zeros(2)?;
        value.bytes(&class_and_number(self.number))?;
        value.bytes(self.reason.as_bytes())
    }
}

/// The code of a class, whose upper five bits are reserved, and a number (RFC 8489 §14.8: 3 to 6 and 0 to 99).
pub(super) fn code_number(kind: AttributeType, class: u8, number: u8) -> Result<u16, AttributeError> {
    let code = u16::from(class & 0b111).saturating_mul(100).saturating_add(u16::from(number));
    if !(300..=699).contains(&code) || number > 99 {
        return Err(AttributeError::Range { kind, value: code.into() });
    }
    Ok(code)
}

/// The two bytes of a code below 25,600.
pub(super) fn class_and_number(code: u16) -> [u8; 2] {
    [code / 100, code % 100].map(|part| u8::try_from(part).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_encodes, check_length_refused, check_round_trip};

    #[test]
    fn a_code_alone_takes_four_bytes() {
        check_round_trip(&ErrorCode::from(Code::Unauthenticated), "00 00 04 01");
        check_round_trip(&ErrorCode::from(Code::InsufficientCapacity), "00 00 05 08");
    }

    #[test]
    fn a_reason_follows_its_code() {
        check_round_trip(&ErrorCode::with_reason(Code::StaleNonce, "old").unwrap(), "00 00 04 26 6f 6c 64");
        ErrorCode::with_reason(Code::StaleNonce, &"x".repeat(128)).unwrap_err();
    }

    #[test]
    fn every_code_survives_its_number() {
        for code in Code::ALL {
            assert_eq!(Code::from_number(code.number()), Some(*code));
            assert!(!code.phrase().is_empty());
            check_encodes(
                &ErrorCode::from(*code),
                &format!("00 00 {:02x} {:02x}", code.number() / 100, code.number() % 100),
            );
        }
        assert!(Code::ALL.is_sorted_by_key(|code| code.number()));
    }

    #[test]
    fn a_code_of_others_keeps_its_number() {
        let error = ErrorCode::decode(&[0, 0, 6, 99], &TRANSACTION).unwrap();
        assert_eq!((error.number(), error.code()), (699, None));
    }

    #[test]
    fn reserved_bits_are_ignored() {
        let error = ErrorCode::decode(&[0xFF, 0xFF, 0b1111_1100, 3], &TRANSACTION).unwrap();
        assert_eq!(error.code(), Some(Code::Forbidden));
    }

    #[test]
    fn classes_and_numbers_out_of_range_are_refused() {
        let kind = AttributeType::ERROR_CODE;
        for (value, code) in [([0, 0, 2, 99], 299), ([0, 0, 7, 0], 700), ([0, 0, 4, 100], 500)] {
            assert_eq!(
                ErrorCode::decode(&value, &TRANSACTION),
                Err(AttributeError::Range { kind, value: code })
            );
        }
        check_length_refused::<ErrorCode<'_>>(&[0, 0, 4]);
    }
}
