//! ICE's four: PRIORITY, USE-CANDIDATE, ICE-CONTROLLED and ICE-CONTROLLING (RFC 8445 §16.1).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// The priority a candidate would have that is learned from this check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Priority(pub u32);

/// The controlling agent nominates this pair; it has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UseCandidate;

/// The sender believes to be controlled; the number breaks a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IceControlled(pub u64);

/// The sender believes to control; the number breaks a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IceControlling(pub u64);

impl Attribute<'_> for Priority {
    const TYPE: AttributeType = AttributeType::PRIORITY;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        Ok(Self(u32::from_be_bytes(*exactly(Self::TYPE, value)?)))
    }
}

impl Encode for Priority {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.u32(self.0)
    }
}

impl Attribute<'_> for UseCandidate {
    const TYPE: AttributeType = AttributeType::USE_CANDIDATE;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [] = exactly(Self::TYPE, value)?;
        Ok(Self)
    }
}

impl Encode for UseCandidate {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, _: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        Ok(())
    }
}

impl Attribute<'_> for IceControlled {
    const TYPE: AttributeType = AttributeType::ICE_CONTROLLED;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        Ok(Self(u64::from_be_bytes(*exactly(Self::TYPE, value)?)))
    }
}

impl Encode for IceControlled {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.u64(self.0)
    }
}

impl Attribute<'_> for IceControlling {
    const TYPE: AttributeType = AttributeType::ICE_CONTROLLING;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        Ok(Self(u64::from_be_bytes(*exactly(Self::TYPE, value)?)))
    }
}

impl Encode for IceControlling {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.u64(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_length_refused, check_round_trip};

    #[test]
    fn each_reads_what_it_writes() {
        check_round_trip(&Priority(0x6E00_01FF), "6e 00 01 ff");
        check_round_trip(&UseCandidate, "");
        check_round_trip(&IceControlled(0x932F_F9B1_5126_3B36), "93 2f f9 b1 51 26 3b 36");
        check_round_trip(&IceControlling(1), "00 00 00 00 00 00 00 01");
    }

    #[test]
    fn other_lengths_are_refused() {
        check_length_refused::<Priority>(&[0; 8]);
        check_length_refused::<UseCandidate>(&[0; 4]);
        check_length_refused::<IceControlled>(&[0; 4]);
        check_length_refused::<IceControlling>(&[0; 9]);
    }
}
