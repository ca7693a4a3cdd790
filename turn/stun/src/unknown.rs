//! The list of attributes a 420 answer names, held without a heap.

use crate::attribute::{AttributeType, Encode};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// Attribute types that were not understood, without repetition; written as UNKNOWN-ATTRIBUTES (RFC 8489 §14.13).
///
/// It holds the first 16. A message with more is hostile, and a longer list would only make the answer longer.
/// [`UnknownAttributeList`](crate::attributes::UnknownAttributeList) is its counterpart on the receiving side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownAttributes {
    kinds: [AttributeType; Self::CAPACITY],
    length: usize,
}

impl UnknownAttributes {
    /// How many types it holds.
    pub const CAPACITY: usize = 16;

    /// Whether everything was understood.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The types, in the order they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[AttributeType] {
        self.kinds.get(..self.length).unwrap_or_default()
    }

    /// Adds a type unless it is there already or the list is full.
    pub fn insert(&mut self, kind: AttributeType) {
        if self.as_slice().contains(&kind) {
            return;
        }
        if let Some(free) = self.kinds.get_mut(self.length) {
            *free = kind;
            self.length = self.length.saturating_add(1);
        }
    }
}

impl Default for UnknownAttributes {
    fn default() -> Self {
        Self { kinds: [AttributeType(0); Self::CAPACITY], length: 0 }
    }
}

impl Encode for UnknownAttributes {
    fn kind(&self) -> AttributeType {
        AttributeType::UNKNOWN_ATTRIBUTES
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        self.as_slice().iter().try_for_each(|kind| value.u16(kind.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_type_is_listed_once() {
        let mut unknown = UnknownAttributes::default();
        assert!(unknown.is_empty());
        for kind in [2, 4, 2] {
            unknown.insert(AttributeType(kind));
        }
        assert_eq!(unknown.as_slice(), [AttributeType(2), AttributeType(4)]);
    }

    #[test]
    fn a_full_list_keeps_the_first_sixteen() {
        let mut unknown = UnknownAttributes::default();
        for kind in 0..100 {
            unknown.insert(AttributeType(kind));
        }
        let first: Vec<AttributeType> = (0..16).map(AttributeType).collect();
        assert_eq!(unknown.as_slice(), first);
    }
}
