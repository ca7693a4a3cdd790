//! What an operator can set for an app that mints its own tokens.

use std::collections::BTreeMap;
use std::path::PathBuf;

use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::token::{AppKey, Grant};
use causeway_service::Hidden;
use serde::{Deserialize, Serialize};

use crate::settings::Problems;

/// The keys by their names.
pub type ApiKeys = BTreeMap<ApiKeyId, ApiKeySettings>;

/// One key: exactly one of `secret`, `public_key` and `jwks_url`, and what its holder may do with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiKeySettings {
    /// What the app signs its tokens with (HS256): at least 32 bytes, as `openssl rand -hex 32` prints.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Hidden>,
    /// Instead: the public half of the app's key, as `openssl pkey -pubout` prints it; P-256 (ES256) or Ed25519 (EdDSA).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Instead: where an identity provider publishes its keys as a JWK set; https, or http on this host. Wants `issuer` and
    /// `audience`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_url: Option<String>,
    /// A PEM file with the certificates that `jwks_url` is trusted by. Absent: those of the system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwks_ca: Option<PathBuf>,
    /// The `iss` that its tokens need. Absent: none is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
    /// What its tokens need in `aud`. Absent: they have no `aud`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// The longest time from now to a token's `exp`, in seconds.
    pub max_token_seconds: u64,
    /// What its tokens may grant: `join`, `signal`, `message`, `kick`, `admin`, `host`.
    pub allowed_grants: Vec<Grant>,
    /// Whether its tokens and the server API make rooms.
    pub may_create_rooms: bool,
    /// The most peers of a room that it makes. Absent: `max_capacity`, and `default_capacity` for rooms that do not say how many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_peers: Option<u16>,
    /// The longest life of a room that it makes, in seconds. Absent: `max_ttl_seconds`, and `default_ttl_seconds` for rooms
    /// that do not say how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_seconds: Option<u64>,
    /// Its rooms at a time, on each node. With `max_peers` that bounds its WebSockets, too.
    pub max_rooms: usize,
    /// Rooms that it makes, per minute.
    pub rooms_per_minute: u32,
    /// Joins with its tokens and calls of the server API, per minute, on each node.
    pub calls_per_minute: u32,
}

impl Default for ApiKeySettings {
    fn default() -> Self {
        Self {
            secret: None,
            public_key: None,
            jwks_url: None,
            jwks_ca: None,
            issuer: None,
            audience: None,
            // As long as identity providers commonly let theirs live.
            max_token_seconds: 24 * 3600,
            // Its rooms are its own.
            allowed_grants: Grant::ALL.to_vec(),
            may_create_rooms: true,
            max_peers: None,
            ttl_seconds: None,
            // Guesses: a fifth of what a server holds, and an app's busiest minute several times over.
            max_rooms: 2_000,
            rooms_per_minute: 600,
            calls_per_minute: 6_000,
        }
    }
}

/// Where a key's tokens get their checking from.
pub(crate) enum KeySource<'a> {
    Secret(&'a Hidden),
    PublicKey(&'a str),
    Jwks(&'a str),
}

impl ApiKeySettings {
    /// The one source; `None` if there is none or more than one.
    pub(crate) fn source(&self) -> Option<KeySource<'_>> {
        match (&self.secret, &self.public_key, &self.jwks_url) {
            (Some(secret), None, None) => Some(KeySource::Secret(secret)),
            (None, Some(key), None) => Some(KeySource::PublicKey(key)),
            (None, None, Some(url)) => Some(KeySource::Jwks(url)),
            (None, None, None) | (Some(_), Some(_), _) | (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                None
            }
        }
    }

    fn validate(&self, id: &ApiKeyId, found: &mut Problems) {
        let key = |name: &str| {
            if name.is_empty() { format!("api_keys.{id}") } else { format!("api_keys.{id}.{name}") }
        };
        match self.source() {
            None => found.add(key(""), "needs exactly one of secret, public_key and jwks_url"),
            Some(KeySource::Secret(secret)) => {
                if let Err(error) = AppKey::secret(secret.expose().as_bytes()) {
                    found.add(key("secret"), error.to_string());
                }
            }
            Some(KeySource::PublicKey(text)) => {
                if let Err(error) = AppKey::public(text) {
                    found.add(key("public_key"), error.to_string());
                }
            }
            Some(KeySource::Jwks(url)) => {
                if !is_fetchable(url) {
                    found.add(
                        key("jwks_url"),
                        "must be an https:// URL, or http:// to localhost or a loopback address",
                    );
                }
                for (name, text) in [("issuer", &self.issuer), ("audience", &self.audience)] {
                    if text.as_ref().is_none_or(String::is_empty) {
                        found.add(
                            key(name),
                            "is needed with jwks_url: the same keys sign tokens for others, too",
                        );
                    }
                }
            }
        }
        if self.jwks_ca.is_some() && self.jwks_url.is_none() {
            found.add(key("jwks_ca"), "has no effect without jwks_url; take it out");
        }
        let at_least_one = [
            ("max_token_seconds", self.max_token_seconds > 0),
            ("max_peers", self.max_peers != Some(0)),
            ("ttl_seconds", self.ttl_seconds != Some(0)),
            ("max_rooms", self.max_rooms > 0),
            ("rooms_per_minute", self.rooms_per_minute > 0),
            ("calls_per_minute", self.calls_per_minute > 0),
        ];
        for (name, _) in at_least_one.into_iter().filter(|(_, fine)| !fine) {
            found.add(key(name), "must be at least 1");
        }
    }
}

/// What is wrong with the keys, each alone and all together.
pub(crate) fn validate(keys: &ApiKeys, found: &mut Problems) {
    let mut issuers = BTreeMap::new();
    for (id, settings) in keys {
        settings.validate(id, found);
        if settings.jwks_url.is_some()
            && let Some(issuer) = &settings.issuer
            && let Some(other) = issuers.insert(issuer, id)
        {
            let problem = format!("is that of {other}, too, so a token would name both; keep one");
            found.add(format!("api_keys.{id}.issuer"), problem);
        }
    }
}

/// TLS, except where nobody else listens.
fn is_fetchable(url: &str) -> bool {
    let authority = |rest: &str| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    if let Some(rest) = url.strip_prefix("https://") {
        return crate::client::is_authority(&authority(rest));
    }
    let Some(rest) = url.strip_prefix("http://") else { return false };
    let authority = authority(rest);
    let host = crate::client::split_port(&authority).0.trim_start_matches('[').trim_end_matches(']');
    let loopback = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    loopback && crate::client::is_authority(&authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str = "MCowBQYDK2VwAyEA2knU239gAQ5WNVa21tCVYsPn9/JX+qHVX4/HDRyOd6k=";

    #[test]
    fn a_key_has_exactly_one_source() {
        let secret = || Some(Hidden::new("x".repeat(32)));
        check(&ApiKeySettings::default(), &["api_keys.app"]);
        check(&ApiKeySettings { secret: secret(), ..Default::default() }, &[]);
        check(&ApiKeySettings { public_key: Some(PUBLIC.to_owned()), ..Default::default() }, &[]);
        check(&jwks("https://idp.example/keys"), &[]);
        let both =
            ApiKeySettings { secret: secret(), public_key: Some(PUBLIC.to_owned()), ..Default::default() };
        check(&both, &["api_keys.app"]);
        check(&ApiKeySettings { secret: secret(), ..jwks("https://idp.example/keys") }, &["api_keys.app"]);
    }

    #[test]
    fn a_source_that_cannot_be_used_is_named() {
        let weak = ApiKeySettings { secret: Some(Hidden::new("swordfish")), ..Default::default() };
        check(&weak, &["api_keys.app.secret"]);
        check(
            &ApiKeySettings { public_key: Some("MCow".to_owned()), ..Default::default() },
            &["api_keys.app.public_key"],
        );
        let nobodys = ApiKeySettings { issuer: None, audience: None, ..jwks("https://idp.example/keys") };
        check(&nobodys, &["api_keys.app.issuer", "api_keys.app.audience"]);
    }

    #[test]
    fn keys_are_fetched_over_tls_or_from_this_host() {
        for url in [
            "https://idp.example/k",
            "https://idp.example:8443",
            "http://localhost:1/k",
            "http://127.0.0.1/",
            "http://[::1]:80/k",
        ] {
            check(&jwks(url), &[]);
        }
        for url in [
            "http://idp.example/k",
            "http://127.0.0.1.evil.example/k",
            "http://localhost.evil.example",
            "http://evil.example/localhost",
            "https://user:pass@idp.example/",
            "ftp://localhost/k",
            "file:///etc/passwd",
            "https://",
            "",
        ] {
            check(&jwks(url), &["api_keys.app.jwks_url"]);
        }
    }

    #[test]
    fn two_key_sets_have_two_issuers() {
        let keys =
            ApiKeys::from(["one", "two"].map(|id| (id.parse().unwrap(), jwks("https://idp.example/keys"))));
        let mut found = Problems::default();
        validate(&keys, &mut found);
        assert_eq!(found.keys(), ["api_keys.two.issuer"]);
    }

    #[test]
    fn limits_of_nothing_are_mistakes() {
        let none = ApiKeySettings {
            max_peers: Some(0),
            ttl_seconds: Some(0),
            max_rooms: 0,
            calls_per_minute: 0,
            ..jwks("https://idp.example/keys")
        };
        let key = |name| format!("api_keys.app.{name}");
        check(&none, &[&key("max_peers"), &key("ttl_seconds"), &key("max_rooms"), &key("calls_per_minute")]);
    }

    #[test]
    fn a_secret_is_read_and_never_shown() {
        let read: ApiKeySettings =
            serde_json::from_str(r#"{"secret": "swordfish", "allowed_grants": ["join"]}"#).unwrap();
        assert_eq!(read.secret.as_ref().unwrap().expose(), "swordfish");
        assert!(!format!("{read:?}{}", serde_json::to_string(&read).unwrap()).contains("swordfish"));
        assert!(serde_json::from_str::<ApiKeySettings>(r#"{"allowed_grants": ["jion"]}"#).is_err());
    }

    fn jwks(url: &str) -> ApiKeySettings {
        ApiKeySettings {
            jwks_url: Some(url.to_owned()),
            issuer: Some("https://idp.example/".to_owned()),
            audience: Some("rtc".to_owned()),
            ..Default::default()
        }
    }

    fn check(settings: &ApiKeySettings, expected: &[&str]) {
        let mut found = Problems::default();
        settings.validate(&"app".parse().unwrap(), &mut found);
        assert_eq!(found.keys(), expected, "{settings:?}");
    }
}
