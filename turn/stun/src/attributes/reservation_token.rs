//! RESERVATION-TOKEN: the claim to a port that EVEN-PORT kept (RFC 8656 §18.10).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// Eight bytes that mean something to their server only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReservationToken(pub [u8; 8]);

impl Attribute<'_> for ReservationToken {
    const TYPE: AttributeType = AttributeType::RESERVATION_TOKEN;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        exactly(Self::TYPE, value).copied().map(Self)
    }
}

impl Encode for ReservationToken {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.bytes(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&ReservationToken([1, 2, 3, 4, 5, 6, 7, 8]), "01 02 03 04 05 06 07 08");
    }

    #[test]
    fn other_lengths_are_refused() {
        check_length_refused::<ReservationToken>(&[0; 7]);
        check_length_refused::<ReservationToken>(&[0; 12]);
    }
}
