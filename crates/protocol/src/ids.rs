//! Names of rooms, peers and nodes.

use std::fmt;
use std::str::FromStr;

use rand_core::Rng;
use serde::{Deserialize, Serialize};

/// The longest id that is accepted, in bytes. A guess that leaves room for ids that apps choose themselves
/// while keeping a TURN username under its 508 bytes (RFC 8489 §14.3).
pub const MAX_ID_LEN: usize = 64;

/// Crockford's base 32 in lower case: no `i`, `l`, `o`, `u`, so that a link can be read aloud.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Why a string is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing there.
    #[error("an id must not be empty")]
    Empty,
    /// Longer than [`MAX_ID_LEN`].
    #[error("an id must not be longer than {MAX_ID_LEN} characters")]
    TooLong,
    /// Something other than letters, digits, `-` and `_`.
    #[error("an id consists of letters, digits, '-' and '_'")]
    BadCharacter,
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > MAX_ID_LEN {
        return Err(IdError::TooLong);
    }
    if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
        return Err(IdError::BadCharacter);
    }
    Ok(())
}

/// Draws `length` characters of 5 random bits each.
fn draw(length: usize, random: &mut impl Rng) -> String {
    let mut bytes = vec![0u8; length];
    random.fill_bytes(&mut bytes);
    bytes.iter().map(|b| char::from(ALPHABET[usize::from(b & 31)])).collect()
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $length:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(value_type = String))]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Draws a fresh id.
            #[must_use]
            pub fn random(random: &mut impl Rng) -> Self {
                Self(draw($length, random).into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                check(text)?;
                Ok(Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

id!(
    /// A room. Fresh ones carry 60 random bits: knowing the link is the first key to the room.
    RoomId, 12);
id!(
    /// A peer in a room. Fresh ones carry 80 random bits, so that no one can guess another's.
    PeerId, 16);
id!(
    /// A running process of ours; a restart is another node.
    NodeId, 8);
id!(
    /// The key of an app that mints its own tokens; the operator gives the name.
    ApiKeyId, 16);
id!(
    /// One issued token (`jti`, RFC 7519 §4.1.7), the unit of revocation.
    TokenId, 16);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fresh_id_is_accepted_back() {
        let id = RoomId::random(&mut rand::rng());
        assert_eq!(id.as_str().len(), 12);
        assert_eq!(id.as_str().parse(), Ok(id));
    }

    #[test]
    fn fresh_ids_differ() {
        assert_ne!(PeerId::random(&mut rand::rng()), PeerId::random(&mut rand::rng()));
    }

    #[test]
    fn what_could_break_a_path_or_a_log_line_is_refused() {
        for (text, error) in [
            ("", IdError::Empty),
            ("a/b", IdError::BadCharacter),
            ("a\nb", IdError::BadCharacter),
            ("ä", IdError::BadCharacter),
            ("..", IdError::BadCharacter),
        ] {
            assert_eq!(text.parse::<RoomId>(), Err(error), "{text:?}");
        }
        assert_eq!("x".repeat(65).parse::<RoomId>(), Err(IdError::TooLong));
    }

    #[test]
    fn json_ids_are_checked_too() {
        assert!(serde_json::from_str::<PeerId>("\"a b\"").is_err());
        assert_eq!(serde_json::from_str::<PeerId>("\"ab\"").unwrap().as_str(), "ab");
    }
}
