//! PADDING: makes a message long enough to be fragmented (RFC 5780 §7.6).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// This many bytes of nothing; written as zeros, read without looking at them. RFC 5780 §7.6 has them a multiple of
/// four.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Padding {
    /// Bytes of the value.
    pub length: u16,
}

impl Attribute<'_> for Padding {
    const TYPE: AttributeType = AttributeType::PADDING;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        match u16::try_from(value.len()) {
            Ok(length) => Ok(Self { length }),
            Err(_) => Err(AttributeError::Length { kind: Self::TYPE, length: value.len() }),
        }
    }
}

impl Encode for Padding {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.zeros(self.length.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_round_trip;

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&Padding { length: 8 }, "00 00 00 00 00 00 00 00");
    }
}
