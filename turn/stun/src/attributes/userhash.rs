//! USERHASH: a user name that bystanders cannot read (RFC 8489 §14.4).

use sha2::Sha256;

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, exactly};
use crate::header::TransactionId;
use crate::key::joined;
use crate::writer::{EncodeError, ValueWriter};

/// `SHA-256(username ":" realm)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Userhash(pub [u8; 32]);

impl Userhash {
    /// The hash of a name in a realm, both already processed as
    /// [`IntegrityKey`](crate::IntegrityKey#text-that-is-not-ascii) says.
    #[must_use]
    pub fn of(username: &str, realm: &str) -> Self {
        Self(joined::<Sha256>(&[username, realm]).into())
    }
}

impl Attribute<'_> for Userhash {
    const TYPE: AttributeType = AttributeType::USERHASH;

    fn decode(value: &[u8], _: &TransactionId) -> Result<Self, AttributeError> {
        exactly(Self::TYPE, value).copied().map(Self)
    }
}

impl Encode for Userhash {
    fn kind(&self) -> AttributeType {
        Self::TYPE
    }

    fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
        value.bytes(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_length_refused, check_round_trip};

    #[test]
    fn the_hash_is_that_of_the_rfc() {
        // RFC 8489 appendix B.1.
        check_round_trip(
            &Userhash::of("マトリックス", "example.org"),
            "4a 3c f3 8f ef 69 92 bd a9 52 c6 78 04 17 da 0f \
             24 81 94 15 56 9e 60 b2 05 c4 6e 41 40 7f 17 04",
        );
    }

    #[test]
    fn other_lengths_are_refused() {
        check_length_refused::<Userhash>(&[0; 31]);
    }
}
