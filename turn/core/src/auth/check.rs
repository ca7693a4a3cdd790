//! Authentication of a request, as RFC 8489 §9.2.4 has it, in the order of RFC 5389 §10.2.2: the nonce first.

use std::sync::Arc;

use causeway_protocol::Now;
use causeway_stun::attributes::{
    AccessToken, Algorithm, Nonce, PasswordAlgorithm, PasswordAlgorithms, Realm, Userhash, Username,
};
use causeway_stun::{AttributeType, IntegrityKey, Message, SecurityFeatures};

use super::challenge::Announcement;
use super::credentials::{Keyring, Unauthenticated};
use super::nonce::Nonces;
use super::tokens::digest;
use super::verified::{Credential, Verified};
use crate::address::ClientAddr;
use crate::request::Refusal;
use crate::revocation::Revocations;

/// Which integrity check a message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealKind {
    /// MESSAGE-INTEGRITY
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256
    Sha256,
}

/// How a key comes from a password (RFC 8489 §18.5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PasswordKind {
    /// MD5, also if nothing was negotiated.
    Md5,
    /// SHA-256
    Sha256,
}

/// Where a key comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// From a password.
    Password(PasswordKind),
    /// It is the session key of an access token (RFC 7635 §4), of which this is a digest.
    Token(u64),
}

/// The sender of a request that is who it says it is.
#[derive(Clone, Debug)]
pub(crate) struct Authenticated {
    pub(crate) credential: Arc<Credential>,
    /// How answers are sealed.
    pub(crate) seal: SealKind,
}

/// What the check needs besides the request.
pub(crate) struct Checker<'a> {
    pub(crate) realm: &'a str,
    /// What the clients of this transport were told.
    pub(crate) announced: &'a Announcement,
    pub(crate) nonces: &'a Nonces,
    pub(crate) keyring: &'a Keyring,
    pub(crate) verified: &'a mut Verified,
    pub(crate) revocations: &'a Revocations,
}

impl Checker<'_> {
    /// Who sent a message. `known` is the credential of the allocation on its 5-tuple: a request under the same username
    /// needs no JWT to be checked again, only that it has neither expired nor been revoked.
    pub(crate) fn check(
        &mut self,
        message: &Message<'_>,
        from: &ClientAddr,
        now: Now,
        known: Option<&Arc<Credential>>,
    ) -> Result<Authenticated, Refusal> {
        // 1. Without an integrity check: 401, which is how every client begins. With both, the stronger one counts.
        let sealed = if message.has(AttributeType::MESSAGE_INTEGRITY_SHA256) {
            SealKind::Sha256
        } else if message.has(AttributeType::MESSAGE_INTEGRITY) {
            SealKind::Sha1
        } else {
            return Err(Refusal::Unauthenticated);
        };

        // 2. With one, but without USERNAME or USERHASH, REALM or NONCE: 400.
        let name = Name::of(message, self.announced)?;
        let (Ok(Some(realm)), Ok(Some(nonce))) = (message.get::<Realm<'_>>(), message.get::<Nonce<'_>>())
        else {
            return Err(Refusal::BadRequest);
        };

        // 3. A nonce that is not good any more: 438 with a new one. RFC 8489 looks at the integrity check before it, RFC
        //    5389 after it. We do it before: it costs one MAC where a JWT costs a signature check, and who has spoofed
        //    an address never gets further. An honest client sees no difference.
        self.nonces
            .check(nonce.as_bytes(), from, now.moment, self.announced.features)
            .map_err(|_stale| Refusal::StaleNonce)?;

        // 4. Another realm, or a username that nobody has: 401.
        if realm.as_str() != self.realm {
            return Err(Refusal::Unauthenticated);
        }
        let username = name.resolve(self.keyring).ok_or(Refusal::Unauthenticated)?;
        let sealed_with = |key: &IntegrityKey| match sealed {
            SealKind::Sha1 => message.verify_integrity(key).is_ok(),
            SealKind::Sha256 => message.verify_integrity_sha256(key).is_ok(),
        };
        let known = known.filter(|known| *known.username == *username);

        // 5. Under the session key of a token, or under that of a password as it was negotiated (else 400): 401 if the
        //    check does not hold.
        let token = message.get::<AccessToken<'_>>().map_err(|_malformed| Refusal::BadRequest)?;
        let (kind, seal) = match (token, known.map(|known| known.kind)) {
            (Some(token), _) => (KeyKind::Token(digest(&token)), sealed),
            // RFC 7635 §4: the session key stays good without the token that brought it.
            (None, Some(KeyKind::Token(digest))) => (KeyKind::Token(digest), sealed),
            (None, Some(KeyKind::Password(_)) | None) => {
                let (kind, seal) = self.negotiated(message)?;
                (KeyKind::Password(kind), seal)
            }
        };
        let credential = match (known.filter(|known| known.kind == kind), kind, token) {
            (Some(known), _, _) if !known.grant.is_expired(now.unix) && sealed_with(&known.key) => {
                Ok(Arc::clone(known))
            }
            (None, KeyKind::Password(kind), _) => self.find(username, kind, now, sealed_with),
            (None, KeyKind::Token(_), Some(token)) => self.open(username, &token, now, sealed_with),
            (Some(_), _, _) | (None, KeyKind::Token(_), None) => Err(Unauthenticated),
        };
        let credential = credential.map_err(|Unauthenticated| Refusal::Unauthenticated)?;

        // 6. Ours: a revoked credential is none.
        if self.revocations.revoked(&credential.grant, now.unix) {
            return Err(Refusal::Unauthenticated);
        }
        Ok(Authenticated { credential, seal })
    }

    /// The credential with this username that seals this message.
    fn find(
        &mut self,
        username: &str,
        kind: PasswordKind,
        now: Now,
        sealed_with: impl Fn(&IntegrityKey) -> bool,
    ) -> Result<Arc<Credential>, Unauthenticated> {
        if let Some(credential) = self.verified.find(username, kind, now.unix, &sealed_with) {
            return Ok(credential);
        }
        let credential = self.keyring.find(username, kind, now.unix, sealed_with)?;
        if !credential.is_static() {
            self.verified.remember(&credential);
        }
        Ok(credential)
    }

    /// The session key and the grant of a token that seals this message, as a credential.
    fn open(
        &self,
        kid: &str,
        token: &AccessToken<'_>,
        now: Now,
        sealed_with: impl Fn(&IntegrityKey) -> bool,
    ) -> Result<Arc<Credential>, Unauthenticated> {
        let tokens = self.keyring.tokens.as_ref().ok_or(Unauthenticated)?;
        let (key, grant) = tokens.open(kid, token, now.unix, sealed_with)?;
        let kind = KeyKind::Token(digest(token));
        Ok(Arc::new(Credential { username: kid.into(), key, kind, grant }))
    }

    /// How the key is made and answers are sealed. Who names an algorithm has to repeat the list we sent, so that nobody
    /// on the way can take SHA-256 out of it; who names none is a client of RFC 5389 and gets what that one knows.
    fn negotiated(&self, message: &Message<'_>) -> Result<(PasswordKind, SealKind), Refusal> {
        match (message.get::<PasswordAlgorithm<'_>>(), message.get::<PasswordAlgorithms<'_>>()) {
            (Ok(None), Ok(None)) => Ok((PasswordKind::Md5, SealKind::Sha1)),
            (Ok(Some(chosen)), Ok(Some(list)))
                if self.announced.password_algorithms() && list == PasswordAlgorithms::SHA256_AND_MD5 =>
            {
                let kind = [(Algorithm::MD5, PasswordKind::Md5), (Algorithm::SHA256, PasswordKind::Sha256)]
                    .into_iter()
                    .find(|(algorithm, _)| chosen == PasswordAlgorithm::new(*algorithm));
                kind.map(|(_, kind)| (kind, SealKind::Sha256)).ok_or(Refusal::BadRequest)
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => Err(Refusal::BadRequest),
        }
    }
}

/// How a client says who it is.
enum Name<'a> {
    Plain(&'a str),
    Hashed(Userhash),
}

impl<'a> Name<'a> {
    /// USERNAME, or USERHASH where it is announced; neither or both: 400.
    fn of(message: &Message<'a>, announced: &Announcement) -> Result<Self, Refusal> {
        match (message.get::<Username<'_>>(), message.get::<Userhash>()) {
            (Ok(Some(username)), Ok(None)) => Ok(Self::Plain(username.as_str())),
            (Ok(None), Ok(Some(hash))) if announced.announces(SecurityFeatures::USERNAME_ANONYMITY) => {
                Ok(Self::Hashed(hash))
            }
            (Ok(_) | Err(_), Ok(_) | Err(_)) => Err(Refusal::BadRequest),
        }
    }

    fn resolve(self, keyring: &'a Keyring) -> Option<&'a str> {
        match self {
            Self::Plain(username) => Some(username),
            Self::Hashed(hash) => keyring.named_by(&hash),
        }
    }
}
