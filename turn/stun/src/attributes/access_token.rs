//! ACCESS-TOKEN: a session key that an authorization server sealed for this server (RFC 7635 §6.2).
//!
//! ```text
//! |  length of nonce (16)  |  nonce  |  encrypted block: key length (16), key, timestamp (64), lifetime (32)  |
//! ```

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// A token in its two parts. Opening it takes the AEAD key that server and authorization server share (RFC 7635 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AccessToken<'a> {
    nonce: &'a [u8],
    encrypted: &'a [u8],
}

impl<'a> AccessToken<'a> {
    /// A token for sending.
    ///
    /// # Errors
    /// The nonce is longer than its 16-bit length can say.
    pub fn new(nonce: &'a [u8], encrypted: &'a [u8]) -> Result<Self, AttributeError> {
        if u16::try_from(nonce.len()).is_err() {
            return Err(AttributeError::Length { kind: AttributeType::ACCESS_TOKEN, length: nonce.len() });
        }
        Ok(Self { nonce, encrypted })
    }

    /// The AEAD's nonce.
    #[must_use]
    pub const fn nonce(&self) -> &'a [u8] {
        self.nonce
    }

    /// The encrypted block with its authentication tag.
    #[must_use]
    pub const fn encrypted(&self) -> &'a [u8] {
        self.encrypted
    }
}

impl<'a> Attribute<'a> for AccessToken<'a> {
    const TYPE: AttributeType = AttributeType::ACCESS_TOKEN;

    fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
        let parts = value
            .split_first_chunk()
            .and_then(|(length, rest)| rest.split_at_checked(usize::from(u16::from_be_bytes(*length))));
        match parts {
            Some((nonce, encrypted)) => Ok(Self { nonce, encrypted }),
            None => Err(AttributeError::Length { kind: Self::TYPE, length: value.len() }),
        }
    }
}

impl Encode for AccessToken<'_> {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.length(self.nonce.len())?;
        value.bytes(self.nonce)?;
        value.bytes(self.encrypted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_length_refused, check_round_trip};

    #[test]
    fn it_reads_what_it_writes() {
        check_round_trip(&AccessToken::new(&[1, 2], &[3, 4, 5]).unwrap(), "00 02 01 02 03 04 05");
    }

    #[test]
    fn a_nonce_that_leads_out_of_the_value_is_refused() {
        check_length_refused::<AccessToken<'_>>(&[0, 3, 1, 2]);
        check_length_refused::<AccessToken<'_>>(&[0]);
        AccessToken::new(&[0; 65_536], &[]).unwrap_err();
    }
}
