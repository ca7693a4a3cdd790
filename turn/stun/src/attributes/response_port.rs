//! RESPONSE-PORT: send the answer to another port of mine (RFC 5780 §7.5).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// A port of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ResponsePort(pub u16);

impl Attribute<'_> for ResponsePort {
    const TYPE: AttributeType = AttributeType::RESPONSE_PORT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        // RFC 5780 §7.5: two bytes that the attribute's padding brings to four. Some senders count the padding.
        match value {
            [p0, p1] | [p0, p1, _, _] => Ok(Self(u16::from_be_bytes([*p0, *p1]))),
            _ => exactly::<2>(Self::TYPE, value).map(|port| Self(u16::from_be_bytes(*port))),
        }
    }
}

impl Encode for ResponsePort {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.u16(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&ResponsePort(3479), "0d 97");
    }

    #[test]
    fn padding_that_is_counted_as_value_is_ignored() {
        assert_eq!(ResponsePort::decode(&[0x0D, 0x97, 0, 0], &TRANSACTION), Ok(ResponsePort(3479)));
        check_length_refused::<ResponsePort>(&[0; 3]);
    }
}
