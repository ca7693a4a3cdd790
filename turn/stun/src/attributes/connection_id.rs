//! CONNECTION-ID: which peer connection a ConnectionBind takes over (RFC 6062 §6.2.1).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// 32 bits that name one connection of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u32);

impl Attribute<'_> for ConnectionId {
    const TYPE: AttributeType = AttributeType::CONNECTION_ID;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        Ok(Self(u32::from_be_bytes(*exactly(Self::TYPE, value)?)))
    }
}

impl Encode for ConnectionId {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.u32(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&ConnectionId(0x0102_0304), "01 02 03 04");
        check_length_refused::<ConnectionId>(&[0; 8]);
    }
}
