//! NONCE: the server's proof that a request is fresh (RFC 8489 §14.10).

use super::text::MAX_RECEIVED;
use crate::attribute::{Attribute, AttributeError, AttributeType, Encode};
use crate::header::TransactionId;
use crate::nonce_cookie::SecurityFeatures;
use crate::writer::{EncodeError, ValueWriter};

/// A nonce. It is bytes, not text: a server compares it with what it sent, and answers 438 to anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce<'a>(&'a [u8]);

impl<'a> Nonce<'a> {
    /// RFC 8489 §14.10: "fewer than 128 characters".
    pub const MAX_SENT: usize = 127;

    /// Takes a nonce for sending, which is to be of characters that a quoted string allows (RFC 3261 §25.1).
    ///
    /// # Errors
    /// It is longer than [`Self::MAX_SENT`].
    pub const fn new(nonce: &'a [u8]) -> Result<Self, AttributeError> {
        if nonce.len() > Self::MAX_SENT {
            return Err(AttributeError::Length { kind: AttributeType::NONCE, length: nonce.len() });
        }
        Ok(Self(nonce))
    }

    /// The bytes: at most 763 if they were received.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.0
    }

    /// What the nonce's cookie announces, or `None` if it has no cookie (RFC 8489 §9.2).
    #[must_use]
    pub fn security_features(&self) -> Option<SecurityFeatures> {
        SecurityFeatures::of_nonce(self.0)
    }
}

impl<'a> Attribute<'a> for Nonce<'a> {
    const TYPE: AttributeType = AttributeType::NONCE;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        if value.len() > MAX_RECEIVED {
            return Err(AttributeError::Length { kind: Self::TYPE, length: value.len() });
        }
        Ok(Self(value))
    }
}

impl Encode for Nonce<'_> {
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
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&Nonce::new(b"f//49").unwrap(), "66 2f 2f 34 39");
    }

    #[test]
    fn a_nonce_need_not_be_text() {
        assert_eq!(Nonce::decode(&[0xFF, 0], &TRANSACTION).map(|nonce| nonce.as_bytes().len()), Ok(2));
    }

    #[test]
    fn lengths_are_bounded_both_ways() {
        Nonce::new(&[b'x'; 128]).unwrap_err();
        check_length_refused::<Nonce<'_>>(&[b'x'; 764]);
    }

    #[test]
    fn the_cookie_is_found() {
        let nonce = Nonce::new(b"obMatJos2gAAAabc").unwrap();
        assert_eq!(nonce.security_features(), Some(SecurityFeatures::PASSWORD_ALGORITHMS));
        assert_eq!(Nonce::new(b"abc").unwrap().security_features(), None);
    }
}
