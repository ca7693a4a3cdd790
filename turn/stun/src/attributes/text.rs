//! The attributes that are nothing but text: REALM, SOFTWARE, ALTERNATE-DOMAIN and THIRD-PARTY-AUTHORIZATION.

use crate::attribute::{Attribute, AttributeError, AttributeType, Encode, text};
use crate::header::TransactionId;
use crate::writer::{EncodeError, ValueWriter};

/// RFC 8489 §14.8–14.10, §14.14: text is sent in "fewer than 128 characters".
pub(super) const MAX_CHARACTERS: usize = 127;
/// RFC 8489 §14.8–14.10, §14.14: text "can be as long as 509 bytes when encoding […] or 763 bytes when decoding".
pub(super) const MAX_SENT: usize = 509;
/// See [`MAX_SENT`].
pub(super) const MAX_RECEIVED: usize = 763;

/// Text for sending.
pub(super) fn sendable(kind: AttributeType, value: &str) -> Result<&str, AttributeError> {
    if value.len() > MAX_SENT || value.chars().count() > MAX_CHARACTERS {
        return Err(AttributeError::Length { kind, length: value.len() });
    }
    Ok(value)
}

macro_rules! text_attribute {
    ($(#[$meta:meta])* $name:ident, $kind:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name<'a>(&'a str);

        impl<'a> $name<'a> {
            /// Takes text for sending.
            ///
            /// # Errors
            /// It is longer than 127 characters or 509 bytes.
            pub fn new(text: &'a str) -> Result<Self, AttributeError> {
                sendable(AttributeType::$kind, text).map(Self)
            }

            /// The text: at most 763 bytes if it was received.
            #[must_use]
            pub const fn as_str(&self) -> &'a str {
                self.0
            }
        }

        impl<'a> Attribute<'a> for $name<'a> {
            const TYPE: AttributeType = AttributeType::$kind;

            fn decode(value: &'a [u8], _: &TransactionId) -> Result<Self, AttributeError> {
                text(Self::TYPE, value, MAX_RECEIVED).map(Self)
            }
        }

        impl Encode for $name<'_> {
            fn kind(&self) -> AttributeType {
                Self::TYPE
            }

            fn encode(&self, _: &TransactionId, value: &mut ValueWriter<'_>) -> Result<(), EncodeError> {
                value.bytes(self.0.as_bytes())
            }
        }
    };
}

text_attribute! {
    /// The realm in which a user name means something, without quotes (RFC 8489 §14.9).
    Realm, REALM
}
text_attribute! {
    /// What program sends the message (RFC 8489 §14.14).
    Software, SOFTWARE
}
text_attribute! {
    /// The domain name to check an ALTERNATE-SERVER's certificate against (RFC 8489 §14.16).
    AlternateDomain, ALTERNATE_DOMAIN
}
text_attribute! {
    /// The name by which an authorization server knows this STUN server (RFC 7635 §6.1).
    ThirdPartyAuthorization, THIRD_PARTY_AUTHORIZATION
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{TRANSACTION, check_length_refused, check_round_trip};

    #[test]
    fn each_reads_what_it_writes() {
        check_round_trip(&Realm::new("north.gov").unwrap(), "6e 6f 72 74 68 2e 67 6f 76");
        check_round_trip(&Software::new("é").unwrap(), "c3 a9");
        check_round_trip(&AlternateDomain::new("a.b").unwrap(), "61 2e 62");
        check_round_trip(&ThirdPartyAuthorization::new("").unwrap(), "");
    }

    #[test]
    fn sending_is_stricter_than_receiving() {
        let characters = "x".repeat(128);
        Realm::new(&characters).unwrap_err();
        assert_eq!(
            Realm::decode(characters.as_bytes(), &TRANSACTION).map(|realm| realm.as_str().len()),
            Ok(128)
        );
        Realm::new(&"€".repeat(127)).unwrap();
    }

    #[test]
    fn seven_hundred_and_sixty_four_bytes_are_too_many() {
        check_length_refused::<Realm<'_>>(&[b'x'; 764]);
        assert!(Software::decode(&[b'x'; 763], &TRANSACTION).is_ok());
    }

    #[test]
    fn text_that_is_not_utf8_is_refused() {
        assert_eq!(
            Realm::decode(&[0xFF], &TRANSACTION),
            Err(AttributeError::NotUtf8 { kind: AttributeType::REALM })
        );
    }
}
