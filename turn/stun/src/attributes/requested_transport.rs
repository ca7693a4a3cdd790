//! REQUESTED-TRANSPORT: what the relay shall speak with peers (RFC 8656 §18.8, RFC 6062 §6.2).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// A number of IANA's protocol numbers; a server answers 442 to those it does not relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestedTransport(pub u8);

impl RequestedTransport {
    /// RFC 6062 §6.2: a TCP allocation.
    pub const TCP: Self = Self(6);
    /// RFC 8656 §18.8: a UDP allocation.
    pub const UDP: Self = Self(17);
}

impl Attribute<'_> for RequestedTransport {
    const TYPE: AttributeType = AttributeType::REQUESTED_TRANSPORT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        // RFC 8656 §18.8: the three bytes behind the protocol are reserved and ignored.
        let &[protocol, _, _, _] = exactly(Self::TYPE, value)?;
        Ok(Self(protocol))
    }
}

impl Encode for RequestedTransport {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.bytes(&[self.0, 0, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&RequestedTransport::UDP, "11 00 00 00");
        check_round_trip(&RequestedTransport::TCP, "06 00 00 00");
    }

    #[test]
    fn reserved_bytes_are_ignored_and_must_be_there() {
        assert_eq!(RequestedTransport::decode(&[17, 1, 2, 3], &TRANSACTION), Ok(RequestedTransport::UDP));
        check_length_refused::<RequestedTransport>(&[17]);
    }
}
