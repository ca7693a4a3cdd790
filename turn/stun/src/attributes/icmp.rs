//! ICMP: an ICMP error from a peer's direction, in a Data indication (RFC 8656 §18.13).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! |           reserved            |  type (7)   |    code (9)     |
//! |                          error data                           |
//! ```

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// What an ICMP message said. The fields have the widths of the RFC's figure, 7 and 9 bits; ICMP's own are 8 and 8.
/// Every ICMP and ICMPv6 *error* fits: their types are below 128 (RFC 4443 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Icmp {
    kind: u8,
    code: u16,
    /// For "packet too big" and "fragmentation needed" the MTU in bytes; else zero.
    pub error_data: u32,
}

impl Icmp {
    /// An error of this type and code; `None` if the type is 128 or more, which no error is.
    #[must_use]
    pub fn new(kind: u8, code: u8, error_data: u32) -> Option<Self> {
        (kind < 0x80).then_some(Self { kind, code: code.into(), error_data })
    }

    /// The ICMP type: of ICMPv6 if the peer's address is IPv6.
    #[must_use]
    pub const fn icmp_type(&self) -> u8 {
        self.kind
    }

    /// The ICMP code, below 512.
    #[must_use]
    pub const fn icmp_code(&self) -> u16 {
        self.code
    }
}

impl Attribute<'_> for Icmp {
    const TYPE: AttributeType = AttributeType::ICMP;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let &[_, _, t, c, d0, d1, d2, d3] = exactly(Self::TYPE, value)?;
        Ok(Self {
            kind: t >> 1,
            code: u16::from_be_bytes([t & 1, c]),
            error_data: u32::from_be_bytes([d0, d1, d2, d3]),
        })
    }
}

impl Encode for Icmp {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.zeros(2)?;
        value.u16((u16::from(self.kind) << 9) | self.code)?;
        value.u32(self.error_data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        // "Fragmentation needed", next hop 1400.
        check_round_trip(&Icmp::new(3, 4, 1400).unwrap(), "00 00 06 04 00 00 05 78");
        // ICMPv6 "port unreachable".
        check_round_trip(&Icmp::new(1, 4, 0).unwrap(), "00 00 02 04 00 00 00 00");
    }

    #[test]
    fn the_code_has_a_ninth_bit() {
        let icmp = Icmp::decode(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0], &TRANSACTION).unwrap();
        assert_eq!((icmp.icmp_type(), icmp.icmp_code()), (127, 511));
    }

    #[test]
    fn informational_types_and_other_lengths_are_refused() {
        assert_eq!(Icmp::new(128, 0, 0), None);
        check_length_refused::<Icmp>(&[0; 4]);
    }
}
