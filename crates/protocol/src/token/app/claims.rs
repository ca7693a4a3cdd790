//! What a token of an app says, and what becomes of the grants that it asks for.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer};
use sha2::{Digest, Sha256};

use super::super::grants::{Grant, GrantSet, Grants, RelayBudget};
use super::super::join::RoomRole;
use super::verify::{AppTokenError, LEEWAY};
use crate::ids::{IdError, TokenId};
use crate::{PeerId, RoomId, UnixSeconds};

/// Bytes of the hash that an id is made from: 96 bits, as many characters as our own ids have.
const ID_BYTES: usize = 12;

/// The claims as they are written. Others are passed over: identity providers add their own.
#[derive(Debug, Deserialize)]
pub(super) struct AppClaims {
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    room: Option<RoomId>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    grants: AppGrants,
    #[serde(deserialize_with = "seconds")]
    pub(super) exp: UnixSeconds,
    #[serde(default, deserialize_with = "some_seconds")]
    pub(super) nbf: Option<UnixSeconds>,
    #[serde(default)]
    jti: Option<String>,
}

/// A token whose signature, times, issuer and audience were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppToken {
    /// The peer that it names: its `sub`, or a hash of that if it could not be an id; `None`: the server draws one.
    pub peer: Option<PeerId>,
    /// The room that it is for; `None`: none, or with [`Grant::Admin`] every room of its key.
    pub room: Option<RoomId>,
    /// The name that other peers see. Not checked yet.
    pub name: Option<String>,
    /// What it asks for.
    pub grants: AppGrants,
    /// From when on it is refused: its `exp`, and what clocks may differ.
    pub refused_from: UnixSeconds,
    /// A name of its own: made from its `jti`, or from its signature if it has none.
    pub id: TokenId,
    /// Whether it has a `jti`, and so opens a room once.
    pub once: bool,
}

impl AppClaims {
    pub(super) fn into_token(self, signature: &str) -> AppToken {
        let Self { sub, room, name, grants, exp, nbf: _, jti } = self;
        let (id, once) = match &jti {
            Some(jti) => (named("jti", jti), true),
            None => (named("signature", signature), false),
        };
        let peer = sub.map(|sub| sub.parse().unwrap_or_else(|_other_alphabet| named("sub", &sub)));
        AppToken { peer, room, name, grants, refused_from: exp.plus(LEEWAY), id, once }
    }
}

/// Apps write what they like, such as `auth0|5f7c8ec7`; an id of ours has an alphabet and a length.
fn named<I: FromStr<Err = IdError>>(kind: &str, text: &str) -> I {
    let hash = Sha256::new().chain_update(kind).chain_update([0]).chain_update(text).finalize();
    let id = URL_SAFE_NO_PAD.encode(hash.get(..ID_BYTES).unwrap_or_default());
    id.parse().expect("base64url has the alphabet of ids, and 16 of its characters their length")
}

/// What a token asks for. `None`: it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppGrants {
    /// To come in; yes, unless it says otherwise.
    pub join: Option<bool>,
    /// To signal; yes, unless it says otherwise.
    pub signal: Option<bool>,
    /// To send messages and set state; yes, unless it says otherwise.
    pub message: Option<bool>,
    /// To send peers away; only if it says so.
    pub kick: Option<bool>,
    /// To use the server API; only if it says so.
    pub admin: Option<bool>,
    /// To be host; only if it says so.
    pub host: Option<bool>,
    /// Bytes to relay.
    pub relay_bytes: Option<u64>,
    /// Bytes per second to relay.
    pub relay_bps: Option<u64>,
}

impl AppGrants {
    /// What the token gets under a key that may give `allowed`. What it does not ask for is cut to that.
    ///
    /// # Errors
    /// [`AppTokenError::NotGranted`] if it asks for more: an app that is told finds its mistake, one that is cut wonders.
    pub fn within(&self, allowed: GrantSet) -> Result<Grants, AppTokenError> {
        let mut can = Vec::with_capacity(Grant::ALL.len());
        for grant in Grant::ALL {
            match self.asked(grant) {
                Some(true) if !allowed.contains(grant) => return Err(AppTokenError::NotGranted(grant)),
                Some(true) => can.push(grant),
                Some(false) => {}
                None if GrantSet::PEER.and(allowed).contains(grant) => can.push(grant),
                None => {}
            }
        }
        let relay = RelayBudget { bytes: self.relay_bytes, bps: self.relay_bps };
        Ok(Grants { can: GrantSet::of(&can), relay })
    }

    const fn asked(&self, grant: Grant) -> Option<bool> {
        match grant {
            Grant::Join => self.join,
            Grant::Signal => self.signal,
            Grant::Message => self.message,
            Grant::Kick => self.kick,
            Grant::Admin => self.admin,
            Grant::Host => self.host,
        }
    }
}

impl Grants {
    /// What a peer with these grants is in its room.
    #[must_use]
    pub const fn role(&self) -> RoomRole {
        if self.can.contains(Grant::Host) { RoomRole::Host } else { RoomRole::Guest }
    }
}

/// RFC 7519 §2: a NumericDate may have a fraction, and in some languages easily has.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixSeconds, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumericDate {
        Whole(u64),
        Fraction(f64),
    }
    match NumericDate::deserialize(deserializer)? {
        NumericDate::Whole(seconds) => Ok(UnixSeconds(seconds)),
        NumericDate::Fraction(seconds) => {
            let whole = std::time::Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)?;
            Ok(UnixSeconds(whole.as_secs()))
        }
    }
}

fn some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixSeconds>, D::Error> {
    seconds(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_asks_for_nothing_gets_what_everybody_has_as_far_as_its_key_goes() {
        let nothing = AppGrants::default();
        assert_eq!(nothing.within(GrantSet::ALL).unwrap(), Grants::default());
        let listen = GrantSet::of(&[Grant::Join, Grant::Kick]);
        assert_eq!(nothing.within(listen).unwrap().can, GrantSet::of(&[Grant::Join]));
    }

    #[test]
    fn what_it_asks_for_it_gets_or_is_refused_by_name() {
        let asked = AppGrants { kick: Some(true), message: Some(false), ..AppGrants::default() };
        let granted = asked.within(GrantSet::ALL).unwrap();
        assert_eq!(granted.can, GrantSet::of(&[Grant::Join, Grant::Signal, Grant::Kick]));
        assert_eq!(asked.within(GrantSet::PEER), Err(AppTokenError::NotGranted(Grant::Kick)));
    }

    #[test]
    fn the_grant_host_makes_a_host() {
        let host = AppGrants { host: Some(true), ..AppGrants::default() };
        assert_eq!(host.within(GrantSet::ALL).unwrap().role(), RoomRole::Host);
        assert_eq!(AppGrants::default().within(GrantSet::ALL).unwrap().role(), RoomRole::Guest);
    }

    #[test]
    fn a_misspelt_grant_is_no_grant_and_no_silence() {
        assert!(serde_json::from_str::<AppGrants>(r#"{"relay_byte": 5}"#).is_err());
    }

    #[test]
    fn a_date_may_have_a_fraction() {
        let exp = |text: &str| {
            serde_json::from_str::<AppClaims>(&format!(r#"{{"exp": {text}}}"#)).map(|it| it.exp.0)
        };
        assert_eq!(exp("1800000000").unwrap(), 1_800_000_000);
        assert_eq!(exp("1800000000.9").unwrap(), 1_800_000_000);
        for text in ["-1", "\"1800000000\"", "1e300", "null", "[]"] {
            assert!(exp(text).is_err(), "{text}");
        }
    }
}
