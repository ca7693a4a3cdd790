//! The Ed25519 keys of room credentials, as `openssl` writes them.
//!
//! ```text
//! openssl genpkey -algorithm ed25519            the signing key, for where rooms live
//! openssl pkey -in signing.pem -pubout          the key that relays check with
//! ```
//! Both are PEM; its one line of base64 alone will do, so that a key fits into an environment variable.

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// What stands in front of the 32 bytes of a public key (RFC 8410 §4).
const PUBLIC_KEY_INFO: [u8; 12] = [0x30, 0x2A, 0x30, 0x05, 0x06, 0x03, 0x2B, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Signs room credentials. `Debug` does not show it.
#[derive(Clone)]
pub struct RoomSigningKey {
    pkcs8: Vec<u8>,
    public: RoomKey,
}

/// Checks room credentials, and cannot sign any.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RoomKey([u8; 32]);

/// The text is no such key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomKeyError {
    /// No private key.
    #[error("write the Ed25519 key that `openssl genpkey -algorithm ed25519` prints")]
    NotASigningKey,
    /// No public key.
    #[error("write the Ed25519 key that `openssl pkey -pubout` prints")]
    NotAPublicKey,
}

impl RoomSigningKey {
    /// Reads a PKCS #8 document in PEM or base64.
    ///
    /// # Errors
    /// [`RoomKeyError::NotASigningKey`] for anything else.
    pub fn parse(text: &str) -> Result<Self, RoomKeyError> {
        let pkcs8 = decode(text).ok_or(RoomKeyError::NotASigningKey)?;
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8)
            .map_err(|_rejected| RoomKeyError::NotASigningKey)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_length| RoomKeyError::NotASigningKey)?;
        Ok(Self { pkcs8, public: RoomKey(public) })
    }

    /// The key for the relays.
    #[must_use]
    pub const fn public(&self) -> RoomKey {
        self.public
    }

    pub(super) fn pkcs8(&self) -> &[u8] {
        &self.pkcs8
    }
}

impl RoomKey {
    /// Reads a SubjectPublicKeyInfo in PEM or base64.
    ///
    /// # Errors
    /// [`RoomKeyError::NotAPublicKey`] for anything else.
    pub fn parse(text: &str) -> Result<Self, RoomKeyError> {
        let der = decode(text).ok_or(RoomKeyError::NotAPublicKey)?;
        let key = der.strip_prefix(&PUBLIC_KEY_INFO).and_then(|key| key.try_into().ok());
        key.map(Self).ok_or(RoomKeyError::NotAPublicKey)
    }

    pub(super) const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The bytes of PEM with its first and last line, or without.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    STANDARD.decode(lines.collect::<String>()).ok()
}

/// One line of base64, as [`RoomKey::parse`] reads it.
impl fmt::Display for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode([&PUBLIC_KEY_INFO[..], &self.0].concat()))
    }
}

impl fmt::Debug for RoomKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RoomKey({self})")
    }
}

impl fmt::Debug for RoomSigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomSigningKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // The key pair of RFC 8410 §10.
    const SIGNING: &str = "-----BEGIN PRIVATE KEY-----\n\
                           MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                           -----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\n\
                          MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                          -----END PUBLIC KEY-----\n";

    #[test]
    fn a_signing_key_knows_its_public_key() {
        let signing = RoomSigningKey::parse(SIGNING).unwrap();
        assert_eq!(Ok(signing.public()), RoomKey::parse(PUBLIC));
        assert_eq!(Ok(signing.public()), RoomKey::parse(&signing.public().to_string()));
    }

    #[test]
    fn one_line_of_base64_is_enough() {
        assert!(RoomSigningKey::parse(SIGNING.lines().nth(1).unwrap()).is_ok());
        assert!(RoomKey::parse(PUBLIC.lines().nth(1).unwrap()).is_ok());
    }

    #[test]
    fn neither_key_is_taken_for_the_other() {
        assert_eq!(RoomKey::parse(SIGNING).err(), Some(RoomKeyError::NotAPublicKey));
        for text in [PUBLIC, "", "AAAA", "not base64"] {
            assert_eq!(RoomSigningKey::parse(text).err(), Some(RoomKeyError::NotASigningKey), "{text}");
        }
    }

    #[test]
    fn a_signing_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", RoomSigningKey::parse(SIGNING).unwrap()), "RoomSigningKey(…)");
    }
}
