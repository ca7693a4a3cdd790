//! CHANGE-REQUEST: answer from another address or port (RFC 5780 §7.2).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// The A bit of the last byte.
const CHANGE_IP: u32 = 0x04;
/// The B bit of the last byte.
const CHANGE_PORT: u32 = 0x02;

/// What the answer's source shall differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChangeRequest {
    /// From another IP address.
    pub ip: bool,
    /// From another port.
    pub port: bool,
}

impl Attribute<'_> for ChangeRequest {
    const TYPE: AttributeType = AttributeType::CHANGE_REQUEST;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let bits = u32::from_be_bytes(*exactly(Self::TYPE, value)?);
        Ok(Self { ip: bits & CHANGE_IP != 0, port: bits & CHANGE_PORT != 0 })
    }
}

impl Encode for ChangeRequest {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        let ip = if self.ip { CHANGE_IP } else { 0 };
        let port = if self.port { CHANGE_PORT } else { 0 };
        value.u32(ip | port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&ChangeRequest { ip: false, port: false }, "00 00 00 00");
        check_round_trip(&ChangeRequest { ip: false, port: true }, "00 00 00 02");
        check_round_trip(&ChangeRequest { ip: true, port: false }, "00 00 00 04");
        check_round_trip(&ChangeRequest { ip: true, port: true }, "00 00 00 06");
    }

    #[test]
    fn other_bits_are_ignored_and_other_lengths_refused() {
        let read = ChangeRequest::decode(&[0xFF, 0xFF, 0xFF, 0xF9], &TRANSACTION);
        assert_eq!(read, Ok(ChangeRequest { ip: false, port: false }));
        check_length_refused::<ChangeRequest>(&[0; 1]);
    }
}
