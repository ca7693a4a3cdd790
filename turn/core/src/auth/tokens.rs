//! Access tokens of RFC 7635: an authorization server vouches for the client, and nobody here knows its password.
//!
//! USERNAME names the key under which the token in ACCESS-TOKEN is sealed (§4). What the token holds is the key of the
//! message's integrity check, and until when it is good.

use std::collections::HashMap;

use causeway_protocol::UnixSeconds;
use causeway_protocol::token::AccessTokenKey;
use causeway_stun::IntegrityKey;
use causeway_stun::attributes::AccessToken;
use foldhash::fast::FixedState;
use sha2::{Digest, Sha256};

use super::credentials::{Grant, Unauthenticated};
use crate::event::Subject;

/// coturn, server and client, seals MESSAGE-INTEGRITY with no more than these many bytes of a session key, as long as the
/// MD5 key that it is in other mechanisms. Clients that were written against it do the same.
const COTURN_KEY: usize = 16;

/// The authorization servers that are trusted.
pub struct ThirdParty {
    /// This relay's name among them: THIRD-PARTY-AUTHORIZATION, and associated data of every token. At most
    /// [`RelayConfig::MAX_REALM_LENGTH`](crate::RelayConfig::MAX_REALM_LENGTH) bytes.
    pub server_name: String,
    /// The keys; several, so that they can rotate.
    pub keys: Vec<TokenKey>,
}

/// A key shared with an authorization server.
pub struct TokenKey {
    /// Its name, which clients send as their USERNAME.
    pub kid: String,
    /// The key itself.
    pub key: AccessTokenKey,
    /// From when on tokens under it are refused; `None`: it is good until it is removed.
    pub expires: Option<UnixSeconds>,
}

/// The keys by their names.
pub(crate) struct Tokens {
    server_name: Box<str>,
    keys: HashMap<Box<str>, TokenKey, FixedState>,
}

impl Tokens {
    pub(crate) fn new(third_party: ThirdParty, hasher: FixedState) -> Self {
        let mut keys = HashMap::with_hasher(hasher);
        for key in third_party.keys {
            keys.insert(key.kid.as_str().into(), key);
        }
        Self { server_name: third_party.server_name.into(), keys }
    }

    pub(crate) fn server_name(&self) -> &str {
        &self.server_name
    }

    /// The session key of a token and what it permits, if the request is sealed with it; `sealed_with` says whether it
    /// is. Every failure is the same to a stranger.
    pub(crate) fn open(
        &self,
        kid: &str,
        token: &AccessToken<'_>,
        now: UnixSeconds,
        sealed_with: impl Fn(&IntegrityKey) -> bool,
    ) -> Result<(IntegrityKey, Grant), Unauthenticated> {
        let key = self.keys.get(kid).ok_or(Unauthenticated)?;
        if key.expires.is_some_and(|expires| now >= expires) {
            return Err(Unauthenticated);
        }
        let granted = key
            .key
            .open(token.nonce(), token.encrypted(), &self.server_name, now)
            .map_err(|_refused| Unauthenticated)?;
        let whole = granted.session_key();
        let key = [whole, whole.get(..COTURN_KEY).unwrap_or(whole)]
            .into_iter()
            .map(IntegrityKey::from_bytes)
            .find(|key| sealed_with(key))
            .ok_or(Unauthenticated)?;
        Ok((key, Grant::plain(subject(kid, token), Some(granted.expires))))
    }
}

/// RFC 7635 names no user: whoever has a token of its own is one, so that quotas count per token and not per key.
fn subject(kid: &str, token: &AccessToken<'_>) -> Subject {
    Subject::Token(format!("{kid}:{:016x}", digest(token)).into())
}

/// What tells tokens apart.
pub(super) fn digest(token: &AccessToken<'_>) -> u64 {
    let digest: [u8; 32] = Sha256::digest(token.encrypted()).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}
