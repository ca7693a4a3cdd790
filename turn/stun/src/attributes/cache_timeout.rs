//! CACHE-TIMEOUT: a number that RFC 5780 §9.1 registers and does not define.

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// The time in seconds for which a result may be remembered, as the drafts before RFC 5780 had it: 32 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CacheTimeout {
    /// Whole seconds.
    pub seconds: u32,
}

impl Attribute<'_> for CacheTimeout {
    const TYPE: AttributeType = AttributeType::CACHE_TIMEOUT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        Ok(Self { seconds: u32::from_be_bytes(*exactly(Self::TYPE, value)?) })
    }
}

impl Encode for CacheTimeout {
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
        check_round_trip(&CacheTimeout { seconds: 60 }, "00 00 00 3c");
        check_length_refused::<CacheTimeout>(&[0; 2]);
    }
}
