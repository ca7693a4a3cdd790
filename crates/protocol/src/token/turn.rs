//! The relay's credential: a TURN username that is a signed JWT, and the password that goes with it.
//!
//! ```text
//! username = compact JWT                                    ≤ 508 bytes (RFC 8489 §14.3)
//! password = base64url(HMAC-SHA256(password key, username))
//! ```
//! Any WebRTC client sends these as it sends any other TURN credential. The relay checks the signature offline.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::jwt::{Checker, Expires, Signer, TokenError};
use super::room_key::{RoomKey, RoomSigningKey};
use crate::ids::TokenId;
use crate::secret::{Purpose, Secret, hmac_sha256};
use crate::{PeerId, RoomId, UnixSeconds};

/// RFC 8489 §14.3: a username is shorter than 509 bytes.
pub const MAX_USERNAME_LEN: usize = 508;

/// Whom a credential may exchange data with through the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PeerPolicy {
    /// Only addresses that provably belong to the room.
    Room,
    /// Everything except special-purpose networks and our own hosts.
    #[default]
    Public,
}

/// What a TURN username says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TurnClaims {
    /// `turn`. Short, because the whole username has to fit 508 bytes.
    pub aud: String,
    /// The peer.
    pub sub: PeerId,
    /// The room whose limits apply.
    pub room: RoomId,
    /// From when on the credential is refused.
    pub exp: UnixSeconds,
    /// The unit of revocation.
    pub jti: TokenId,
    /// Bytes per second of one allocation, each way; absent: the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bps: Option<u64>,
    /// Bytes in total, both ways; absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Allocations at a time; absent: the server's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocs: Option<u32>,
    /// Whom the peer may reach.
    #[serde(default)]
    pub peers: PeerPolicy,
}

impl TurnClaims {
    /// The audience of every TURN username.
    pub const AUDIENCE: &str = "turn";
}

impl Expires for TurnClaims {
    fn expires_at(&self) -> UnixSeconds {
        self.exp
    }
}

/// What a client is given to use the relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnCredential {
    /// The signed JWT.
    pub username: String,
    /// Derived from the username.
    pub password: String,
    /// When the relay stops accepting it.
    pub expires_at: UnixSeconds,
}

/// Mints relay credentials. Lives where rooms live, never in the relay.
pub struct TurnIssuer {
    signer: Signer,
    password_key: Secret,
}

/// Checks relay credentials, offline. Lives in the relay.
pub struct TurnVerifier {
    checker: Checker,
    password_key: Secret,
}

impl TurnIssuer {
    /// Signs with HS256 under a key derived from the installation's secret.
    #[must_use]
    pub fn hs256(secret: &Secret) -> Self {
        Self {
            signer: Signer::hs256(&secret.derive(Purpose::TurnToken)),
            password_key: secret.derive(Purpose::TurnPassword),
        }
    }

    /// Signs with EdDSA, so that a stolen relay cannot mint. `relay_secret` is what issuer and relay share for
    /// passwords.
    #[must_use]
    pub fn eddsa(key: &RoomSigningKey, relay_secret: &Secret) -> Self {
        Self { signer: Signer::eddsa(key.pkcs8()), password_key: relay_secret.derive(Purpose::TurnPassword) }
    }

    /// A credential for these claims.
    ///
    /// # Errors
    /// [`IssueError`] if the username would not fit or the key is unusable.
    pub fn issue(&self, claims: &TurnClaims) -> Result<TurnCredential, IssueError> {
        let username = self.signer.sign(claims).ok_or(IssueError::Key)?;
        if username.len() > MAX_USERNAME_LEN {
            return Err(IssueError::TooLong);
        }
        let password = turn_password(&self.password_key, &username);
        Ok(TurnCredential { username, password, expires_at: claims.exp })
    }
}

/// Why no credential could be minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IssueError {
    /// Room and peer ids are too long together.
    #[error("the relay credential would exceed {MAX_USERNAME_LEN} bytes; use shorter room and peer ids")]
    TooLong,
    /// Not a PKCS #8 Ed25519 key.
    #[error("the relay's signing key is not an Ed25519 private key in PKCS #8")]
    Key,
}

impl TurnVerifier {
    /// Checks HS256 usernames of the same installation.
    #[must_use]
    pub fn hs256(secret: &Secret) -> Self {
        Self {
            checker: Checker::hs256(&secret.derive(Purpose::TurnToken), TurnClaims::AUDIENCE),
            password_key: secret.derive(Purpose::TurnPassword),
        }
    }

    /// Checks EdDSA usernames with the issuer's public key.
    #[must_use]
    pub fn eddsa(key: &RoomKey, relay_secret: &Secret) -> Self {
        Self {
            checker: Checker::eddsa(key.bytes(), TurnClaims::AUDIENCE),
            password_key: relay_secret.derive(Purpose::TurnPassword),
        }
    }

    /// The claims of a username that is genuine and has not expired at `now`.
    ///
    /// # Errors
    /// [`TokenError`] for any other username.
    pub fn check(&self, username: &str, now: UnixSeconds) -> Result<TurnClaims, TokenError> {
        if username.len() > MAX_USERNAME_LEN {
            return Err(TokenError::Invalid);
        }
        self.checker.check(username, now)
    }

    /// The password that goes with a username, whoever made it: check the username first.
    #[must_use]
    pub fn password(&self, username: &str) -> String {
        turn_password(&self.password_key, username)
    }
}

/// base64url(HMAC-SHA256(key, username)), without padding.
#[must_use]
pub fn turn_password(password_key: &Secret, username: &str) -> String {
    URL_SAFE_NO_PAD.encode(hmac_sha256(password_key.expose(), username.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::MAX_ID_LEN;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn issuer_and_relay_agree_on_claims_and_password() {
        let secret = Secret::from_bytes([3; 32]);
        let credential = TurnIssuer::hs256(&secret).issue(&claims()).unwrap();
        let verifier = TurnVerifier::hs256(&secret);
        assert_eq!(verifier.check(&credential.username, NOW), Ok(claims()));
        assert_eq!(verifier.password(&credential.username), credential.password);
    }

    #[test]
    fn an_expired_credential_is_refused_to_the_second() {
        let secret = Secret::from_bytes([3; 32]);
        let credential = TurnIssuer::hs256(&secret).issue(&claims()).unwrap();
        assert_eq!(
            TurnVerifier::hs256(&secret).check(&credential.username, claims().exp),
            Err(TokenError::Expired)
        );
    }

    #[test]
    fn a_join_token_is_no_relay_credential() {
        let secret = Secret::from_bytes([3; 32]);
        let token = super::super::JoinTokens::new(&secret).sign(&super::super::JoinClaims {
            aud: "turn".to_owned(),
            sub: claims().sub,
            room: claims().room,
            role: super::super::RoomRole::Host,
            name: None,
            grants: super::super::Grants::default(),
            exp: claims().exp,
            jti: claims().jti,
        });
        assert_eq!(TurnVerifier::hs256(&secret).check(&token, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn the_longest_ids_still_fit_a_username() {
        let long = "x".repeat(MAX_ID_LEN);
        let claims = TurnClaims {
            sub: long.parse().unwrap(),
            room: long.parse().unwrap(),
            bps: Some(u64::from(u32::MAX)),
            bytes: Some(1 << 40),
            allocs: Some(100),
            ..claims()
        };
        let credential = TurnIssuer::hs256(&Secret::from_bytes([3; 32])).issue(&claims).unwrap();
        assert!(credential.username.len() <= MAX_USERNAME_LEN, "{}", credential.username.len());
    }

    #[test]
    fn a_credential_signed_with_eddsa_opens_at_relays_that_cannot_sign() {
        let secret = Secret::from_bytes([3; 32]);
        let credential = TurnIssuer::eddsa(&signing_key(), &secret).issue(&claims()).unwrap();
        assert!(credential.username.len() <= MAX_USERNAME_LEN);
        let verifier = TurnVerifier::eddsa(&signing_key().public(), &secret);
        assert_eq!(verifier.check(&credential.username, NOW), Ok(claims()));
        assert_eq!(verifier.password(&credential.username), credential.password);
    }

    #[test]
    fn what_a_stolen_relay_knows_mints_nothing() {
        // The relay's secret and the public key; HS256 under either is no EdDSA.
        let secret = Secret::from_bytes([3; 32]);
        let minted = TurnIssuer::hs256(&secret).issue(&claims()).unwrap();
        let verifier = TurnVerifier::eddsa(&signing_key().public(), &secret);
        assert_eq!(verifier.check(&minted.username, NOW), Err(TokenError::Invalid));
        let public = Secret::from_bytes(*signing_key().public().bytes());
        let minted = TurnIssuer::hs256(&public).issue(&claims()).unwrap();
        assert_eq!(verifier.check(&minted.username, NOW), Err(TokenError::Invalid));
    }

    fn signing_key() -> RoomSigningKey {
        RoomSigningKey::parse("MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC").unwrap()
    }

    fn claims() -> TurnClaims {
        TurnClaims {
            aud: TurnClaims::AUDIENCE.to_owned(),
            sub: "p0000000000000000".parse().unwrap(),
            room: "kitchen00000".parse().unwrap(),
            exp: NOW.plus(3600),
            jti: "j000000000000000".parse().unwrap(),
            bps: None,
            bytes: None,
            allocs: None,
            peers: PeerPolicy::Public,
        }
    }
}
