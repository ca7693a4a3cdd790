//! EVEN-PORT: the relayed port shall be even, and perhaps the next one reserved (RFC 8656 §18.7).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// The top bit of the only byte.
const RESERVE_NEXT: u8 = 0x80;

/// The wish for an even port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EvenPort {
    /// The R bit: keep the next higher port for a RESERVATION-TOKEN.
    pub reserve_next: bool,
}

impl Attribute<'_> for EvenPort {
    const TYPE: AttributeType = AttributeType::EVEN_PORT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let &[bits] = exactly(Self::TYPE, value)?;
        Ok(Self { reserve_next: bits & RESERVE_NEXT != 0 })
    }
}

impl Encode for EvenPort {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.u8(if self.reserve_next { RESERVE_NEXT } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&EvenPort { reserve_next: true }, "80");
        check_round_trip(&EvenPort { reserve_next: false }, "00");
    }

    #[test]
    fn the_other_seven_bits_are_ignored_and_other_lengths_refused() {
        assert_eq!(EvenPort::decode(&[0x7F], &TRANSACTION), Ok(EvenPort { reserve_next: false }));
        check_length_refused::<EvenPort>(&[]);
        check_length_refused::<EvenPort>(&[0x80, 0]);
    }
}
