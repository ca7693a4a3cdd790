//! LIFETIME: how long an allocation lives without a refresh (RFC 8656 §18.2).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// A time in seconds; zero in a Refresh ends the allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lifetime {
    /// Whole seconds.
    pub seconds: u32,
}

impl Attribute<'_> for Lifetime {
    const TYPE: AttributeType = AttributeType::LIFETIME;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        Ok(Self { seconds: u32::from_be_bytes(*exactly(Self::TYPE, value)?) })
    }
}

impl Encode for Lifetime {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.u32(self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&Lifetime { seconds: 600 }, "00 00 02 58");
    }

    #[test]
    fn other_lengths_are_refused() {
        check_length_refused::<Lifetime>(&[0; 3]);
        check_length_refused::<Lifetime>(&[0; 5]);
    }
}
