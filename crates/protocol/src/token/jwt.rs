//! Signing and checking of compact JWTs with one fixed algorithm, audience and key.

use std::collections::HashSet;

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::secret::Secret;
use crate::{ErrorCode, UnixSeconds};

/// Why a token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Forged, damaged, of another audience or algorithm, or claims that are missing or out of form.
    #[error("the token is not valid")]
    Invalid,
    /// Genuine, but its time is over.
    #[error("the token has expired")]
    Expired,
}

impl TokenError {
    /// What whoever showed the token is told.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::Invalid => ErrorCode::TokenInvalid,
            Self::Expired => ErrorCode::TokenExpired,
        }
    }
}

/// Claims that name the moment from which the token is refused.
pub(super) trait Expires {
    fn expires_at(&self) -> UnixSeconds;
}

pub(super) struct Signer {
    header: Header,
    key: EncodingKey,
}

pub(super) struct Checker {
    validation: Validation,
    key: DecodingKey,
}

impl Signer {
    pub(super) fn hs256(secret: &Secret) -> Self {
        Self { header: Header::new(Algorithm::HS256), key: EncodingKey::from_secret(secret.expose()) }
    }

    pub(super) fn eddsa(pkcs8_der: &[u8]) -> Self {
        Self { header: Header::new(Algorithm::EdDSA), key: EncodingKey::from_ed_der(pkcs8_der) }
    }

    /// `None` if the key is not one (an EdDSA key that is no PKCS #8 document).
    pub(super) fn sign(&self, claims: &impl Serialize) -> Option<String> {
        jsonwebtoken::encode(&self.header, claims, &self.key).ok()
    }
}

impl Checker {
    pub(super) fn hs256(secret: &Secret, audience: &str) -> Self {
        Self::new(Algorithm::HS256, DecodingKey::from_secret(secret.expose()), audience)
    }

    pub(super) fn eddsa(public_key: &[u8; 32], audience: &str) -> Self {
        Self::new(Algorithm::EdDSA, DecodingKey::from_ed_der(public_key), audience)
    }

    fn new(algorithm: Algorithm, key: DecodingKey, audience: &str) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&[audience]);
        validation.required_spec_claims = HashSet::from(["aud".to_owned(), "exp".to_owned()]);
        // The library would read the system's clock; `check` compares with the caller's.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { validation, key }
    }

    pub(super) fn check<C: DeserializeOwned + Expires>(
        &self,
        token: &str,
        now: UnixSeconds,
    ) -> Result<C, TokenError> {
        let claims = jsonwebtoken::decode::<C>(token, &self.key, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => TokenError::Expired,
                _ => TokenError::Invalid,
            })?
            .claims;
        // RFC 7519 §4.1.4: the time must be before `exp`.
        if now >= claims.expires_at() { Err(TokenError::Expired) } else { Ok(claims) }
    }
}
