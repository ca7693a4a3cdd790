//! MOBILITY-TICKET: the right to move an allocation to another 5-tuple (RFC 8016 §3.4).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// A ticket that means something to its server only. In an Allocate request it is empty: the client asks for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MobilityTicket<'a>(pub &'a [u8]);

impl<'a> Attribute<'a> for MobilityTicket<'a> {
    const TYPE: AttributeType = AttributeType::MOBILITY_TICKET;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        Ok(Self(value))
    }
}

impl Encode for MobilityTicket<'_> {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.bytes(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::check_round_trip;

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&MobilityTicket(&[]), "");
        check_round_trip(&MobilityTicket(&[9, 8, 7]), "09 08 07");
    }
}
