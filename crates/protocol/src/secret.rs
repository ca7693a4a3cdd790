//! The one secret of an installation, and the keys derived from it.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What a derived key is for. Keys of different purposes tell nothing about each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Signs join tokens (HS256).
    JoinToken,
    /// Signs resume tokens (HS256).
    ResumeToken,
    /// Signs host tokens (HS256).
    HostToken,
    /// Signs one-time invites (HS256).
    Invite,
    /// Signs TURN usernames (HS256).
    TurnToken,
    /// Derives TURN passwords from usernames.
    TurnPassword,
    /// Seals letters between signaling nodes.
    NodeMail,
    /// Seals what goes over the Bus.
    Bus,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::JoinToken => b"causeway v1 join token",
            Self::ResumeToken => b"causeway v1 resume token",
            Self::HostToken => b"causeway v1 host token",
            Self::Invite => b"causeway v1 invite",
            Self::TurnToken => b"causeway v1 turn token",
            Self::TurnPassword => b"causeway v1 turn password",
            Self::NodeMail => b"causeway v1 node mail",
            Self::Bus => b"causeway v1 bus",
        }
    }
}

/// 32 secret bytes. `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret([u8; 32]);

/// The text is not a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not 64 hexadecimal digits.
    #[error("a secret is 64 hexadecimal digits (32 bytes), as `openssl rand -hex 32` prints")]
    NotHex,
}

impl Secret {
    /// Takes bytes that are already uniformly random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits; white space around them is ignored.
    ///
    /// # Errors
    /// [`SecretError::NotHex`] for anything else.
    pub fn from_hex(text: &str) -> Result<Self, SecretError> {
        let digits = text.trim().as_bytes();
        if digits.len() != 64 {
            return Err(SecretError::NotHex);
        }
        let mut bytes = [0u8; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_not_ascii| SecretError::NotHex)?;
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(SecretError::NotHex);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_not_hex| SecretError::NotHex)?;
        }
        Ok(Self(bytes))
    }

    /// The secret as 64 hexadecimal digits, for the one file that keeps it.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// The key for one purpose: HMAC-SHA256(secret, label), a single step of HKDF-Expand (RFC 5869 §2.3)
    /// with a secret that is uniform already.
    #[must_use]
    pub fn derive(&self, purpose: Purpose) -> Secret {
        Secret(hmac_sha256(&self.0, purpose.label()))
    }

    /// The bytes, for the crate that signs with them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

pub(crate) fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length (RFC 2104 §2)");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_both_ways() {
        let secret = Secret::from_bytes(std::array::from_fn(|i| u8::try_from(i * 7).unwrap()));
        assert_eq!(Secret::from_hex(&format!(" {}\n", secret.to_hex())), Ok(secret));
    }

    #[test]
    fn what_is_not_hex_is_refused() {
        for text in ["", "00", &"g".repeat(64), &"+1".repeat(32), &"é".repeat(32)] {
            assert_eq!(Secret::from_hex(text), Err(SecretError::NotHex), "{text:?}");
        }
    }

    #[test]
    fn keys_of_two_purposes_differ() {
        let secret = Secret::from_bytes([7; 32]);
        assert_ne!(secret.derive(Purpose::TurnToken), secret.derive(Purpose::TurnPassword));
    }

    #[test]
    fn debug_output_keeps_the_secret() {
        assert_eq!(format!("{:?}", Secret::from_bytes([0xab; 32])), "Secret(…)");
    }
}
