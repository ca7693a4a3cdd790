//! The keys of apps, ready for checking.

use std::collections::HashMap;
use std::sync::Arc;

use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::token::{AppKey, AppTokenRules, GrantSet, KeyHint};

use super::jwks::RemoteKeys;
use crate::api_keys::{ApiKeySettings, ApiKeys, KeySource};
use crate::limits::Rate;

/// One key.
pub(crate) struct ApiKey {
    pub(crate) id: ApiKeyId,
    pub(crate) settings: ApiKeySettings,
    /// What its tokens may grant.
    pub(crate) allowed: GrantSet,
    /// How often it is used.
    pub(crate) calls: Rate,
    /// How often it makes rooms.
    pub(crate) rooms: Rate,
    pub(super) rules: AppTokenRules,
    pub(super) source: Source,
}

/// What its tokens are checked with.
pub(super) enum Source {
    Key(AppKey),
    Set(Arc<RemoteKeys>),
}

/// All keys in force.
#[derive(Default)]
pub(crate) struct Keys {
    by_id: HashMap<String, Arc<ApiKey>>,
    /// Those whose tokens are signed by an identity provider, which does not know our names.
    by_issuer: HashMap<String, Arc<ApiKey>>,
}

impl Keys {
    /// These keys instead. What did not change goes on as it is.
    pub(super) fn changed(&self, settings: &ApiKeys) -> Self {
        let mut keys = Self::default();
        for (id, settings) in settings {
            let old = self.by_id.get(id.as_str());
            let key = match old.filter(|old| old.settings == *settings) {
                Some(old) => Arc::clone(old),
                // The settings' own check has ruled out a key without a source.
                None => match ApiKey::new(id, settings, old.map(Arc::as_ref)) {
                    Some(key) => Arc::new(key),
                    None => continue,
                },
            };
            if let (Source::Set(_), Some(issuer)) = (&key.source, &settings.issuer) {
                keys.by_issuer.insert(issuer.clone(), Arc::clone(&key));
            }
            keys.by_id.insert(id.as_str().to_owned(), key);
        }
        keys
    }

    /// The key that a token names. An issuer goes first: a `kid` in its set may be called like a key of ours.
    pub(super) fn of(&self, hint: &KeyHint) -> Option<Arc<ApiKey>> {
        let by_issuer = hint.issuer.as_ref().and_then(|issuer| self.by_issuer.get(issuer));
        let by_id = hint.kid.as_ref().and_then(|kid| self.by_id.get(kid));
        by_issuer.or_else(|| by_id.filter(|key| matches!(key.source, Source::Key(_)))).cloned()
    }

    /// The sets that have to be fetched.
    pub(super) fn remote(&self) -> impl Iterator<Item = &Arc<RemoteKeys>> {
        self.by_id.values().filter_map(|key| match &key.source {
            Source::Key(_) => None,
            Source::Set(remote) => Some(remote),
        })
    }
}

impl ApiKey {
    fn new(id: &ApiKeyId, settings: &ApiKeySettings, old: Option<&Self>) -> Option<Self> {
        let source = match settings.source()? {
            KeySource::Secret(secret) => Source::Key(AppKey::secret(secret.expose().as_bytes()).ok()?),
            KeySource::PublicKey(text) => Source::Key(AppKey::public(text).ok()?),
            KeySource::Jwks(url) => {
                let ca = settings.jwks_ca.as_deref();
                match old.map(|old| &old.source) {
                    Some(Source::Set(remote)) if remote.is_from(url, ca) => Source::Set(Arc::clone(remote)),
                    Some(Source::Set(_) | Source::Key(_)) | None => {
                        Source::Set(Arc::new(RemoteKeys::new(id.clone(), url, ca)))
                    }
                }
            }
        };
        Some(Self {
            id: id.clone(),
            allowed: GrantSet::of(&settings.allowed_grants),
            rules: AppTokenRules {
                issuer: settings.issuer.clone(),
                audience: settings.audience.clone(),
                longest_life: settings.max_token_seconds,
            },
            calls: Rate::per_minute(settings.calls_per_minute),
            rooms: Rate::per_minute(settings.rooms_per_minute),
            source,
            settings: settings.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use causeway_service::Hidden;

    use super::*;

    #[test]
    fn a_token_finds_its_key_by_kid_or_by_the_issuer_of_a_set() {
        let keys = Keys::default().changed(&settings());
        check(&keys, (Some("app"), None), Some("app"));
        check(&keys, (Some("app"), Some("https://other.example")), Some("app"));
        check(&keys, (Some("2026-11"), Some("https://idp.example")), Some("idp"));
        // The set may call one of its keys like one of ours, and nobody says of a key of ours that it is a set's.
        check(&keys, (Some("app"), Some("https://idp.example")), Some("idp"));
        check(&keys, (Some("idp"), None), None);
        check(&keys, (None, None), None);
        check(&keys, (Some("nobody"), None), None);
    }

    #[test]
    fn what_stays_the_same_is_kept_and_what_is_gone_is_gone() {
        let keys = Keys::default().changed(&settings());
        let mut other = settings();
        other.remove(&"app".parse().unwrap());
        other.get_mut(&"idp".parse().unwrap()).unwrap().max_rooms = 7;
        let changed = keys.changed(&other);
        check(&changed, (Some("app"), None), None);
        let (before, after) = (keys.remote().next().unwrap(), changed.remote().next().unwrap());
        assert!(Arc::ptr_eq(before, after), "the set is not fetched anew");
        other.get_mut(&"idp".parse().unwrap()).unwrap().jwks_url = Some("https://idp.example/new".to_owned());
        let moved = changed.changed(&other);
        assert!(!Arc::ptr_eq(after, moved.remote().next().unwrap()));
    }

    fn settings() -> ApiKeys {
        let app = ApiKeySettings { secret: Some(Hidden::new("x".repeat(32))), ..Default::default() };
        let idp = ApiKeySettings {
            jwks_url: Some("https://idp.example/keys".to_owned()),
            issuer: Some("https://idp.example".to_owned()),
            audience: Some("rtc".to_owned()),
            ..Default::default()
        };
        ApiKeys::from([("app".parse().unwrap(), app), ("idp".parse().unwrap(), idp)])
    }

    fn check(keys: &Keys, (kid, issuer): (Option<&str>, Option<&str>), expected: Option<&str>) {
        let hint = KeyHint { kid: kid.map(str::to_owned), issuer: issuer.map(str::to_owned) };
        let found = keys.of(&hint);
        assert_eq!(found.as_ref().map(|key| key.id.as_str()), expected, "{hint:?}");
    }
}
