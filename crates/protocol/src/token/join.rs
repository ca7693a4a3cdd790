//! Tokens of a room: join (open a WebSocket), resume (open the next one), host (make invites, act as host), invite (join once).

use serde::{Deserialize, Serialize};

use super::grants::Grants;
use super::jwt::{Checker, Expires, Signer, TokenError};
use crate::ids::TokenId;
use crate::message::Pass;
use crate::secret::{Purpose, Secret};
use crate::{PeerId, RoomId, UnixSeconds};

/// What a peer is in its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RoomRole {
    /// Made the room, or was given its host token.
    Host,
    /// Joined by link, password or invite.
    Guest,
}

/// What a join token says: this peer may open a WebSocket to this room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinClaims {
    /// `causeway:join`.
    pub aud: String,
    /// The peer that the token names.
    pub sub: PeerId,
    /// The room that it opens.
    pub room: RoomId,
    /// What the peer is there.
    pub role: RoomRole,
    /// The name that other peers see, if the peer gave one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What the peer may do there.
    #[serde(default, skip_serializing_if = "Grants::are_usual")]
    pub grants: Grants,
    /// From when on the token is refused.
    pub exp: UnixSeconds,
    /// This token's own name.
    pub jti: TokenId,
}

/// What a resume token says: this member of a room may go on over another WebSocket. It is good for as long as the stay that
/// it speaks of, which the room knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeClaims {
    /// `causeway:resume`.
    pub aud: String,
    /// The room.
    pub room: RoomId,
    /// From when on the token is refused: the room's own end.
    pub exp: UnixSeconds,
    /// Whose it is, and of which stay.
    #[serde(flatten)]
    pub pass: Pass,
}

/// What a host token says: the holder made this room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostClaims {
    /// `causeway:host`.
    pub aud: String,
    /// The room.
    pub room: RoomId,
    /// From when on the token is refused: the room's own end.
    pub exp: UnixSeconds,
    /// This token's own name.
    pub jti: TokenId,
}

/// What an invite says: the holder may join this room once, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InviteClaims {
    /// `causeway:invite`.
    pub aud: String,
    /// The room.
    pub room: RoomId,
    /// From when on the invite is refused.
    pub exp: UnixSeconds,
    /// What the room remembers as used.
    pub jti: TokenId,
}

impl Expires for JoinClaims {
    fn expires_at(&self) -> UnixSeconds {
        self.exp
    }
}

impl Expires for ResumeClaims {
    fn expires_at(&self) -> UnixSeconds {
        self.exp
    }
}

impl Expires for HostClaims {
    fn expires_at(&self) -> UnixSeconds {
        self.exp
    }
}

impl Expires for InviteClaims {
    fn expires_at(&self) -> UnixSeconds {
        self.exp
    }
}

macro_rules! tokens {
    ($(#[$doc:meta])* $name:ident, $claims:ident, $purpose:expr, $audience:literal) => {
        $(#[$doc])*
        pub struct $name {
            signer: Signer,
            checker: Checker,
        }

        impl $name {
            /// The audience of these tokens.
            pub const AUDIENCE: &str = $audience;

            /// Signs and checks with a key derived from the installation's secret.
            #[must_use]
            pub fn new(secret: &Secret) -> Self {
                let key = secret.derive($purpose);
                Self { signer: Signer::hs256(&key), checker: Checker::hs256(&key, Self::AUDIENCE) }
            }

            /// The claims as a signed token.
            #[must_use]
            pub fn sign(&self, claims: &$claims) -> String {
                self.signer.sign(claims).expect("an HMAC key of any bytes signs, and our claims are plain JSON")
            }

            /// The claims of a genuine token that has not expired at `now`.
            ///
            /// # Errors
            /// [`TokenError`] for any other text.
            pub fn check(&self, token: &str, now: UnixSeconds) -> Result<$claims, TokenError> {
                self.checker.check(token, now)
            }
        }
    };
}

tokens!(
    /// Signs and checks join tokens.
    JoinTokens, JoinClaims, Purpose::JoinToken, "causeway:join");
tokens!(
    /// Signs and checks resume tokens.
    ResumeTokens, ResumeClaims, Purpose::ResumeToken, "causeway:resume");
tokens!(
    /// Signs and checks host tokens.
    HostTokens, HostClaims, Purpose::HostToken, "causeway:host");
tokens!(
    /// Signs and checks invites.
    Invites, InviteClaims, Purpose::Invite, "causeway:invite");

#[cfg(test)]
mod tests {
    use super::super::grants::{Grant, GrantSet, RelayBudget};
    use super::*;
    use crate::message::Position;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn a_token_comes_back_as_it_was_signed_until_it_expires() {
        let tokens = JoinTokens::new(&Secret::from_bytes([1; 32]));
        let claims = claims();
        let token = tokens.sign(&claims);
        assert_eq!(tokens.check(&token, NOW), Ok(claims.clone()));
        assert_eq!(tokens.check(&token, UnixSeconds(claims.exp.0 - 1)), Ok(claims.clone()));
        assert_eq!(tokens.check(&token, claims.exp), Err(TokenError::Expired));
    }

    #[test]
    fn what_a_token_grants_comes_back_and_an_older_token_grants_what_it_did() {
        let tokens = JoinTokens::new(&Secret::from_bytes([1; 32]));
        let relay = RelayBudget { bytes: Some(1_000_000), bps: None };
        let grants = Grants { can: GrantSet::of(&[Grant::Join, Grant::Message]), relay };
        let token = tokens.sign(&JoinClaims { grants, ..claims() });
        assert_eq!(tokens.check(&token, NOW).unwrap().grants, grants);
        let older = serde_json::to_value(claims()).unwrap();
        assert_eq!(older.get("grants"), None);
        assert_eq!(serde_json::from_value::<JoinClaims>(older).unwrap(), claims());
    }

    #[test]
    fn another_installations_token_is_refused() {
        let token = JoinTokens::new(&Secret::from_bytes([1; 32])).sign(&claims());
        let others = JoinTokens::new(&Secret::from_bytes([2; 32]));
        assert_eq!(others.check(&token, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn an_invite_is_no_host_token() {
        let secret = Secret::from_bytes([1; 32]);
        let invite = Invites::new(&secret).sign(&InviteClaims {
            aud: Invites::AUDIENCE.to_owned(),
            room: claims().room,
            exp: NOW.plus(60),
            jti: claims().jti,
        });
        assert_eq!(HostTokens::new(&secret).check(&invite, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn a_resume_token_comes_back_as_it_was_signed_and_is_no_join_token() {
        let secret = Secret::from_bytes([1; 32]);
        let claims = ResumeClaims {
            aud: ResumeTokens::AUDIENCE.to_owned(),
            room: claims().room,
            exp: NOW.plus(60),
            pass: Pass {
                peer: claims().sub,
                name: claims().name,
                role: RoomRole::Guest,
                grants: Grants::default(),
                token: claims().jti,
                series: "s1".parse().unwrap(),
                generation: 3,
                counted_from: 0,
                joined: Position { epoch: crate::Epoch(2), seq: 7 },
                epoch: crate::Epoch(2),
            },
        };
        let token = ResumeTokens::new(&secret).sign(&claims);
        assert_eq!(ResumeTokens::new(&secret).check(&token, NOW), Ok(claims));
        assert_eq!(ResumeTokens::new(&secret).check(&token, NOW.plus(60)), Err(TokenError::Expired));
        assert_eq!(JoinTokens::new(&secret).check(&token, NOW), Err(TokenError::Invalid));
    }

    #[test]
    fn every_single_flipped_character_is_noticed() {
        let tokens = JoinTokens::new(&Secret::from_bytes([1; 32]));
        let token = tokens.sign(&claims());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(tokens.check(&forged, NOW), Err(TokenError::Invalid), "byte {at} of {token}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        let tokens = JoinTokens::new(&Secret::from_bytes([1; 32]));
        for text in ["", ".", "..", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "\u{0}"] {
            assert_eq!(tokens.check(text, NOW), Err(TokenError::Invalid), "{text:?}");
        }
    }

    fn claims() -> JoinClaims {
        JoinClaims {
            aud: JoinTokens::AUDIENCE.to_owned(),
            sub: "alice".parse().unwrap(),
            room: "kitchen".parse().unwrap(),
            role: RoomRole::Guest,
            name: Some("Alice".to_owned()),
            grants: Grants::default(),
            exp: NOW.plus(60),
            jti: "t1".parse().unwrap(),
        }
    }
}
