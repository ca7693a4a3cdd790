//! Authorization servers whose access tokens the relay accepts (RFC 7635).

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use causeway_protocol::UnixSeconds;
use causeway_protocol::token::{AccessTokenAlgorithm, AccessTokenKey};
use causeway_service::Hidden;
use causeway_turn_core::{RelayConfig, ThirdParty, TokenKey};
use serde::{Deserialize, Serialize};

use super::{MAX_USERNAME_BYTES, Problems};

/// The `turn.third_party` section. Without keys the relay accepts no access tokens.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ThirdPartySettings {
    /// The relay's name among the authorization servers: what tokens are made for. Empty: the realm. Short names leave
    /// room for it in answers to strangers; 20 bytes for it and as many for the realm fit.
    pub server_name: String,
    /// The keys shared with authorization servers, any number, so that they can be rotated, each as
    /// `{ kid = "name", key = "base64" }`, optionally with `algorithm = "A128GCM"` and `expires = 1800000000`.
    pub keys: Vec<TokenKeySettings>,
}

/// One key shared with an authorization server.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKeySettings {
    /// The key's name, which clients send as their username.
    pub kid: String,
    /// The key in base64: 32 bytes for `A256GCM`, 16 for `A128GCM`. What is longer is cut, as coturn does.
    pub key: Hidden,
    /// How tokens under it are sealed.
    #[serde(default)]
    pub algorithm: TokenAlgorithm,
    /// From when on tokens under it are refused, as a Unix time; absent: it is good until it is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<u64>,
}

/// How access tokens are sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum TokenAlgorithm {
    /// AES-256 in Galois/Counter mode.
    #[default]
    A256GCM,
    /// AES-128 in Galois/Counter mode.
    A128GCM,
}

impl TokenKeySettings {
    fn open(&self) -> Result<AccessTokenKey, String> {
        let bytes =
            STANDARD.decode(self.key.expose()).map_err(|_invalid| "write the key in base64".to_owned())?;
        let algorithm = match self.algorithm {
            TokenAlgorithm::A256GCM => AccessTokenAlgorithm::A256Gcm,
            TokenAlgorithm::A128GCM => AccessTokenAlgorithm::A128Gcm,
        };
        AccessTokenKey::new(algorithm, &bytes).map_err(|error| error.to_string())
    }
}

impl ThirdPartySettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.server_name.len() > RelayConfig::MAX_REALM_LENGTH {
            let longest = RelayConfig::MAX_REALM_LENGTH;
            problems.add("third_party.server_name", format!("use at most {longest} bytes"));
        }
        let mut seen = HashSet::new();
        for (at, key) in (1..).zip(&self.keys) {
            if key.kid.is_empty() || key.kid.len() > MAX_USERNAME_BYTES {
                problems.add(
                    "third_party.keys",
                    format!("give key {at} a kid of 1 to {MAX_USERNAME_BYTES} bytes"),
                );
            } else if !seen.insert(&key.kid) {
                problems.add("third_party.keys", format!("{:?} is listed twice; keep one", key.kid));
            }
            if let Err(problem) = key.open() {
                problems.add("third_party.keys", format!("key {at}: {problem}"));
            }
        }
    }

    /// What the core accepts; `None` without keys.
    pub(crate) fn accepted(&self, realm: &str) -> Option<ThirdParty> {
        let server_name = if self.server_name.is_empty() { realm } else { &self.server_name };
        let keys: Vec<TokenKey> = self
            .keys
            .iter()
            .filter_map(|settings| {
                let expires = settings.expires.map(UnixSeconds);
                Some(TokenKey { kid: settings.kid.clone(), key: settings.open().ok()?, expires })
            })
            .collect();
        (!keys.is_empty()).then(|| ThirdParty { server_name: server_name.to_owned(), keys })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_with_its_defaults() {
        let settings = read(&format!("[[keys]]\nkid = \"k\"\nkey = \"{}\"", STANDARD.encode([7; 32])));
        assert_eq!(problems(&settings), [] as [&str; 0]);
        let accepted = settings.accepted("realm").unwrap();
        assert_eq!((accepted.server_name.as_str(), accepted.keys.len()), ("realm", 1));
        assert!(ThirdPartySettings::default().accepted("realm").is_none());
    }

    #[test]
    fn every_mistake_is_named_and_no_key_is_shown() {
        let text = "server_name = \"NAME\"
            [[keys]]\nkid = \"\"\nkey = \"swordfish\"
            [[keys]]\nkid = \"a\"\nkey = \"c3dvcmRmaXNo\"
            [[keys]]\nkid = \"a\"\nkey = \"c3dvcmRmaXNoc3dvcmRmaXNo\"\nalgorithm = \"A128GCM\"";
        let settings = read(&text.replace("NAME", &"x".repeat(128)));
        let mut problems = Problems(Vec::new());
        settings.check(&mut problems);
        let said: Vec<_> = problems.0.iter().map(ToString::to_string).collect();
        assert_eq!(said.len(), 5, "{said:?}");
        let shown = format!("{said:?} {settings:?} {}", toml::to_string(&settings).unwrap());
        assert!(!shown.contains("swordfish") && !shown.contains("c3dvcmRmaXNo"), "{shown}");
    }

    fn read(text: &str) -> ThirdPartySettings {
        toml::from_str(text).expect("settings")
    }

    fn problems(settings: &ThirdPartySettings) -> Vec<&'static str> {
        let mut problems = Problems(Vec::new());
        settings.check(&mut problems);
        problems.0.iter().map(|problem| problem.key).collect()
    }
}
