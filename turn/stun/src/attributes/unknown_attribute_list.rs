//! UNKNOWN-ATTRIBUTES as it is received (RFC 8489 §14.13).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// The attribute types that a server did not understand, borrowed from its answer.
/// [`UnknownAttributes`](crate::UnknownAttributes) is its counterpart on the sending side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UnknownAttributeList<'a>(&'a [[u8; 2]]);

impl UnknownAttributeList<'_> {
    /// The types, in order.
    pub fn iter(&self) -> impl Iterator<Item = AttributeType> {
        self.0.iter().map(|kind| AttributeType(u16::from_be_bytes(*kind)))
    }
}

impl<'a> Attribute<'a> for UnknownAttributeList<'a> {
    const TYPE: AttributeType = AttributeType::UNKNOWN_ATTRIBUTES;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        match value.as_chunks() {
            (kinds, []) => Ok(Self(kinds)),
            (_, _) => Err(AttributeError::Length { kind: Self::TYPE, length: value.len() }),
        }
    }
}

impl Encode for UnknownAttributeList<'_> {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.bytes(self.0.as_flattened())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::UnknownAttributes;
    use crate::testing::{TRANSACTION, bytes, check_encodes, check_length_refused};

    #[test]
    fn it_reads_what_the_other_side_writes() {
        let mut unknown = UnknownAttributes::default();
        unknown.insert(AttributeType(0x7FFF));
        unknown.insert(AttributeType::DATA);
        check_encodes(&unknown, "7f ff 00 13");

        let value = bytes("7f ff 00 13");
        let list = UnknownAttributeList::decode(&value, &TRANSACTION).unwrap();
        assert_eq!(list.iter().collect::<Vec<_>>(), unknown.as_slice());
        check_encodes(&list, "7f ff 00 13");
    }

    #[test]
    fn half_a_type_is_refused() {
        check_length_refused::<UnknownAttributeList<'_>>(&[0, 1, 0]);
    }
}
