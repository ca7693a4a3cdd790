//! Authentication of a request, as RFC 8489 §9.2.4 has it, in the order of RFC 5389 §10.2.2: the nonce first.

use causeway_protocol::Now;
use causeway_stun::attributes::{Nonce, Realm, Username};
use causeway_stun::{AttributeType, IntegrityKey, Message};

use super::credentials::{Grant, Keyring};
use super::nonce::Nonces;
use crate::address::ClientAddr;
use crate::request::Refusal;
use crate::revocation::Revocations;

/// Which integrity check a request carries; its answer carries the same. RFC 8489 §9.2.4 would have SHA-1 for a client
/// that names no password algorithm, but who asks with SHA-256 can check it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealKind {
    /// MESSAGE-INTEGRITY
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256
    Sha256,
}

/// The sender of a request that is who it says it is.
#[derive(Clone, Debug)]
pub(crate) struct Authenticated {
    pub(crate) username: Box<str>,
    pub(crate) key: IntegrityKey,
    pub(crate) seal: SealKind,
    pub(crate) grant: Grant,
}

/// What is known of the credential of the allocation on this 5-tuple: a request under the same username needs no JWT
/// to be checked again, only that it has neither expired nor been revoked.
pub(crate) struct KnownCredential<'a> {
    pub(crate) username: &'a str,
    pub(crate) key: &'a IntegrityKey,
    pub(crate) grant: &'a Grant,
}

/// What the check needs besides the request.
pub(crate) struct Checker<'a> {
    pub(crate) realm: &'a str,
    pub(crate) nonces: &'a Nonces,
    pub(crate) keyring: &'a Keyring,
    pub(crate) revocations: &'a Revocations,
}

impl Checker<'_> {
    pub(crate) fn check(
        &self,
        message: &Message<'_>,
        from: &ClientAddr,
        now: Now,
        known: Option<KnownCredential<'_>>,
    ) -> Result<Authenticated, Refusal> {
        // 1. Without an integrity check: 401 with REALM and NONCE, which is how every client begins.
        let seal = if message.has(AttributeType::MESSAGE_INTEGRITY_SHA256) {
            SealKind::Sha256
        } else if message.has(AttributeType::MESSAGE_INTEGRITY) {
            SealKind::Sha1
        } else {
            return Err(Refusal::Unauthenticated);
        };

        // 2. With one, but without USERNAME, REALM or NONCE: 400. We announce no username anonymity, so USERHASH does
        //    not stand in for USERNAME; nor password algorithms, so the key is the MD5 one.
        let (Ok(Some(username)), Ok(Some(realm)), Ok(Some(nonce))) =
            (message.get::<Username<'_>>(), message.get::<Realm<'_>>(), message.get::<Nonce<'_>>())
        else {
            return Err(Refusal::BadRequest);
        };

        // 3. A nonce that is not good any more: 438 with a new one. RFC 8489 looks at the integrity check before it, RFC
        //    5389 after it. We do it before: it costs one MAC where a JWT costs a signature check, and who has spoofed
        //    an address never gets further. An honest client sees no difference.
        if self.nonces.check(nonce.as_bytes(), from, now.moment).is_err() {
            return Err(Refusal::StaleNonce);
        }

        // 4. A username or realm that is not ours, or a check that does not hold: 401.
        if realm.as_str() != self.realm {
            return Err(Refusal::Unauthenticated);
        }
        let username = username.as_str();
        let sealed_with = |key: &IntegrityKey| match seal {
            SealKind::Sha1 => message.verify_integrity(key).is_ok(),
            SealKind::Sha256 => message.verify_integrity_sha256(key).is_ok(),
        };
        let (key, grant) = match known.filter(|known| known.username == username) {
            Some(known) if !known.grant.is_expired(now.unix) && sealed_with(known.key) => {
                (known.key.clone(), known.grant.clone())
            }
            Some(_) => return Err(Refusal::Unauthenticated),
            None => self
                .keyring
                .find(username, now.unix, sealed_with)
                .map_err(|_unauthenticated| Refusal::Unauthenticated)?,
        };

        // 5. Ours: a revoked credential is none.
        if self.revocations.revoked(&grant, now.unix) {
            return Err(Refusal::Unauthenticated);
        }
        Ok(Authenticated { username: username.into(), key, seal, grant })
    }
}
