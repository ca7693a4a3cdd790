//! DONT-FRAGMENT: set the DF bit towards the peer (RFC 8656 §18.9).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// The wish; it has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DontFragment;

impl Attribute<'_> for DontFragment {
    const TYPE: AttributeType = AttributeType::DONT_FRAGMENT;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let [] = exactly(Self::TYPE, value)?;
        Ok(Self)
    }
}

impl Encode for DontFragment {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, _: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_length_refused, check_round_trip};

    #[test]
    fn it_has_no_value() {
        check_round_trip(&DontFragment, "");
        check_length_refused::<DontFragment>(&[0]);
    }
}
