//! ADDRESS-ERROR-CODE: why one family of a dual allocation failed (RFC 8656 §18.12).
//!
//! ```text
//! |  family (8)  |  reserved (13)  |  class (3)  |  number (8)  |  reason phrase, UTF-8  |
//! ```

use super::AddressFamily;
use super::error_code::{Code, class_and_number, code_number};
use super::text::{MAX_RECEIVED, sendable};
use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, text};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// A family and the reason there is no relayed address of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressErrorCode<'a> {
    family: AddressFamily,
    number: u16,
    reason: &'a str,
}

impl<'a> AddressErrorCode<'a> {
    /// A family and a code without a phrase.
    #[must_use]
    pub const fn new(family: AddressFamily, code: Code) -> Self {
        Self { family, number: code.number(), reason: "" }
    }

    /// A family and a code with a phrase of your own.
    ///
    /// # Errors
    /// The phrase is longer than 127 characters or 509 bytes.
    pub fn with_reason(family: AddressFamily, code: Code, reason: &'a str) -> Result<Self, AttributeError> {
        let reason = sendable(AttributeType::ADDRESS_ERROR_CODE, reason)?;
        Ok(Self { family, number: code.number(), reason })
    }

    /// The family that failed.
    #[must_use]
    pub const fn family(&self) -> AddressFamily {
        self.family
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

impl<'a> Attribute<'a> for AddressErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ADDRESS_ERROR_CODE;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let kind = Self::TYPE;
        let Some((&[family, _, class, number], reason)) = value.split_first_chunk() else {
            return Err(AttributeError::Length { kind, length: value.len() });
        };
        let Some(family) = AddressFamily::from_number(family) else {
            return Err(AttributeError::AddressFamily { kind, family });
        };
        let number = code_number(kind, class, number)?;
        Ok(Self { family, number, reason: text(kind, reason, MAX_RECEIVED)? })
    }
}

impl Encode for AddressErrorCode<'_> {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.u8(self.family.number())?;
        value.u8(0)?;
        value.bytes(&class_and_number(self.number))?;
        value.bytes(self.reason.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        let bare = AddressErrorCode::new(AddressFamily::Ipv6, Code::AddressFamilyNotSupported);
        check_round_trip(&bare, "02 00 04 28");
        let worded =
            AddressErrorCode::with_reason(AddressFamily::Ipv4, Code::InsufficientCapacity, "no").unwrap();
        check_round_trip(&worded, "01 00 05 08 6e 6f");
    }

    #[test]
    fn stubs_families_and_codes_out_of_range_are_refused() {
        let kind = AttributeType::ADDRESS_ERROR_CODE;
        check_length_refused::<AddressErrorCode<'_>>(&[1, 0, 4]);
        assert_eq!(
            AddressErrorCode::decode(&[3, 0, 4, 40], &TRANSACTION),
            Err(AttributeError::AddressFamily { kind, family: 3 })
        );
        assert_eq!(
            AddressErrorCode::decode(&[1, 0, 1, 40], &TRANSACTION),
            Err(AttributeError::Range { kind, value: 140 })
        );
    }
}
