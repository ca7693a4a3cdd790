//! USERNAME: whose credential seals the message (RFC 8489 §14.3).

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, text};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// A user name of at most 508 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Username<'a>(&'a str);

impl<'a> Username<'a> {
    /// RFC 8489 §14.3: "fewer than 509 bytes".
    pub const MAX_LENGTH: usize = 508;

    /// Takes a name for sending.
    ///
    /// # Errors
    /// It is longer than [`Self::MAX_LENGTH`].
    pub fn new(name: &'a str) -> Result<Self, AttributeError> {
        text(AttributeType::USERNAME, name.as_bytes(), Self::MAX_LENGTH).map(Self)
    }

    /// The name, which an application may give any form: a JWT, or `expiry:user`.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }
}

impl<'a> Attribute<'a> for Username<'a> {
    const TYPE: AttributeType = AttributeType::USERNAME;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        text(Self::TYPE, value, Self::MAX_LENGTH).map(Self)
    }
}

impl Encode for Username<'_> {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.bytes(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&Username::new("evtj:h6vY").unwrap(), "65 76 74 6a 3a 68 36 76 59");
    }

    #[test]
    fn five_hundred_and_nine_bytes_are_too_many() {
        let longest = "x".repeat(508);
        assert_eq!(Username::new(&longest).map(|name| name.as_str().len()), Ok(508));
        check_length_refused::<Username<'_>>(&[b'x'; 509]);
        Username::new(&"x".repeat(509)).unwrap_err();
    }

    #[test]
    fn a_name_that_is_not_utf8_is_refused() {
        assert_eq!(
            Username::decode(&[0xC0, 0x80], &TRANSACTION),
            Err(AttributeError::NotUtf8 { kind: AttributeType::USERNAME })
        );
    }
}
