//! A key that tokens of an app are checked with, and the one algorithm that it takes.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use jsonwebtoken::{Algorithm, DecodingKey};

use super::super::room_key::{self, RoomKey};

/// The shortest secret in bytes: as long as the hash (RFC 7518 §3.2).
const SHORTEST_SECRET: usize = 32;

/// What stands in front of the 65 bytes of a point in a public key on P-256 (RFC 5480 §2).
const P256_KEY_INFO: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01, 0x06, 0x08, 0x2A, 0x86,
    0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// RSA moduli in bytes: 2048 to 8192 bits (RFC 7518 §3.3).
const RSA_MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;

/// Checks signatures of one algorithm. `Debug` does not show the key.
pub struct AppKey {
    algorithm: AppAlgorithm,
    key: DecodingKey,
}

/// How apps sign (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AppAlgorithm {
    /// HMAC with SHA-256, under a secret that both sides have.
    Hs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256; in JWK sets alone, because identity providers still use it.
    Rs256,
}

impl AppAlgorithm {
    /// As tokens name it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
        }
    }

    pub(super) const fn of_jwt(self) -> Algorithm {
        match self {
            Self::Hs256 => Algorithm::HS256,
            Self::Es256 => Algorithm::ES256,
            Self::EdDsa => Algorithm::EdDSA,
            Self::Rs256 => Algorithm::RS256,
        }
    }
}

/// The text is no key for tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppKeyError {
    /// Too short to resist guessing.
    #[error(
        "a secret has at least {SHORTEST_SECRET} bytes, as `openssl rand -hex 32` prints; this one has {length}"
    )]
    ShortSecret {
        /// Bytes given.
        length: usize,
    },
    /// Not a public key on P-256 or Ed25519.
    #[error(
        "write the public key that `openssl pkey -pubout` prints for a key on P-256 (ES256) or Ed25519 (EdDSA)"
    )]
    NotAPublicKey,
}

impl AppKey {
    /// A secret that the app shares; its tokens are signed with HS256.
    ///
    /// # Errors
    /// [`AppKeyError::ShortSecret`]
    pub fn secret(secret: &[u8]) -> Result<Self, AppKeyError> {
        if secret.len() < SHORTEST_SECRET {
            return Err(AppKeyError::ShortSecret { length: secret.len() });
        }
        Ok(Self { algorithm: AppAlgorithm::Hs256, key: DecodingKey::from_secret(secret) })
    }

    /// A public key in PEM, or the base64 of one: ES256 if it is on P-256, EdDSA if it is on Ed25519.
    ///
    /// # Errors
    /// [`AppKeyError::NotAPublicKey`]
    pub fn public(text: &str) -> Result<Self, AppKeyError> {
        if let Ok(key) = RoomKey::parse(text) {
            return Ok(Self::ed25519(key.bytes()));
        }
        let der = room_key::decode(text).ok_or(AppKeyError::NotAPublicKey)?;
        let point = der.strip_prefix(&P256_KEY_INFO).ok_or(AppKeyError::NotAPublicKey)?;
        Self::p256(point).ok_or(AppKeyError::NotAPublicKey)
    }

    /// A point on P-256, uncompressed.
    pub(super) fn p256(point: &[u8]) -> Option<Self> {
        // A point that is not on the curve would be found out only by the first token.
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).ok()?;
        Some(Self { algorithm: AppAlgorithm::Es256, key: DecodingKey::from_ec_der(point) })
    }

    pub(super) fn ed25519(key: &[u8; 32]) -> Self {
        Self { algorithm: AppAlgorithm::EdDsa, key: DecodingKey::from_ed_der(key) }
    }

    /// Modulus and exponent, big-endian.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Self> {
        RSA_MODULUS.contains(&modulus.len()).then(|| Self {
            algorithm: AppAlgorithm::Rs256,
            key: DecodingKey::from_rsa_raw_components(modulus, exponent),
        })
    }

    /// The one algorithm that it takes.
    #[must_use]
    pub const fn algorithm(&self) -> AppAlgorithm {
        self.algorithm
    }

    pub(super) const fn decoding_key(&self) -> &DecodingKey {
        &self.key
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AppKey({})", self.algorithm.as_str())
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    /// `openssl genpkey -algorithm ed25519 | openssl pkey -pubout`
    const ED25519: &str = "-----BEGIN PUBLIC KEY-----\n\
                           MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                           -----END PUBLIC KEY-----\n";

    /// `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 | openssl pkey -pubout`
    const P256: &str = "-----BEGIN PUBLIC KEY-----\n\
                        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ0v/+s5jOoFlxfUKkUJBKCgSn86r\n\
                        MQTOn95Z8S8LMmz+kuregetSepYO2lNE1i/xXCRKLiFz3h/lKFBclGPx2g==\n\
                        -----END PUBLIC KEY-----\n";

    #[test]
    fn a_public_key_says_which_algorithm_it_takes() {
        assert_eq!(AppKey::public(ED25519).unwrap().algorithm(), AppAlgorithm::EdDsa);
        assert_eq!(AppKey::public(P256).unwrap().algorithm(), AppAlgorithm::Es256);
        assert_eq!(AppKey::secret(&[b'x'; 32]).unwrap().algorithm(), AppAlgorithm::Hs256);
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_would_be_one() {
        let off_the_curve = STANDARD.encode([&P256_KEY_INFO[..], &[4], &[1; 64]].concat());
        for text in ["", "swordfish", &off_the_curve] {
            assert_eq!(AppKey::public(text).unwrap_err(), AppKeyError::NotAPublicKey, "{text}");
        }
        assert_eq!(AppKey::secret(&[b'x'; 31]).unwrap_err(), AppKeyError::ShortSecret { length: 31 });
    }

    #[test]
    fn a_key_does_not_show_itself() {
        assert_eq!(format!("{:?}", AppKey::secret(&[b'x'; 32]).unwrap()), "AppKey(HS256)");
    }
}
