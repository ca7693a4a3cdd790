//! A JWK set (RFC 7517 §5) as an identity provider publishes it, as far as it holds keys that tokens are checked with.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::key::AppKey;

/// Keys of a set that are read. Providers publish two or three; this bounds what a set can cost.
const MAX_KEYS: usize = 64;

/// Public keys by their `kid`.
#[derive(Debug, Default)]
pub struct KeySet(Vec<(String, AppKey)>);

/// The text is no JWK set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// No JSON object with a list of `keys`.
    #[error("the answer is no JWK set; jwks_url has to lead to a JSON object with a list of keys")]
    NotASet,
    /// None of its keys can check a token.
    #[error("the JWK set has no public key with a kid for ES256, EdDSA or RS256")]
    NoKeys,
}

/// What is read of a key. Members of private keys are not among them.
#[derive(Deserialize)]
struct Jwk {
    kid: String,
    kty: String,
    #[serde(default)]
    r#use: Option<String>,
    #[serde(default)]
    alg: Option<String>,
    #[serde(default)]
    crv: Option<String>,
    #[serde(default)]
    x: Option<String>,
    #[serde(default)]
    y: Option<String>,
    #[serde(default)]
    n: Option<String>,
    #[serde(default)]
    e: Option<String>,
}

impl KeySet {
    /// Reads a set. Keys of other kinds, for encryption, or without a `kid` are passed over (RFC 7517 §5).
    ///
    /// # Errors
    /// [`KeySetError`] if nothing is left.
    pub fn parse(json: &[u8]) -> Result<Self, KeySetError> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }
        let Set { keys } = serde_json::from_slice(json).map_err(|_no_set| KeySetError::NotASet)?;
        let read = |jwk: Value| {
            let jwk: Jwk = serde_json::from_value(jwk).ok()?;
            let key = jwk.read()?;
            Some((jwk.kid, key))
        };
        let keys: Vec<_> = keys.into_iter().filter_map(read).take(MAX_KEYS).collect();
        if keys.is_empty() { Err(KeySetError::NoKeys) } else { Ok(Self(keys)) }
    }

    /// The key of this name.
    #[must_use]
    pub fn find(&self, kid: &str) -> Option<&AppKey> {
        self.0.iter().find(|(name, _)| name == kid).map(|(_, key)| key)
    }
}

impl Jwk {
    fn read(&self) -> Option<AppKey> {
        if self.r#use.as_deref().is_some_and(|r#use| r#use != "sig") {
            return None;
        }
        // A secret in a set that everybody can read (kty `oct`) proves nothing, so it is none of these.
        let key = match (self.kty.as_str(), self.crv.as_deref()) {
            ("EC", Some("P-256")) => {
                AppKey::p256(&[&[4], &*bytes(self.x.as_deref())?, &*bytes(self.y.as_deref())?].concat())
            }
            ("OKP", Some("Ed25519")) => {
                Some(AppKey::ed25519(bytes(self.x.as_deref())?.as_slice().try_into().ok()?))
            }
            ("RSA", _) => AppKey::rsa(&bytes(self.n.as_deref())?, &bytes(self.e.as_deref())?),
            _ => None,
        }?;
        self.alg.as_deref().is_none_or(|alg| alg == key.algorithm().as_str()).then_some(key)
    }
}

fn bytes(text: Option<&str>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::key::AppAlgorithm;
    use super::*;

    // RFC 8037 appendix A.2, RFC 7517 appendix A.1.
    const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const EC_X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const EC_Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

    #[test]
    fn keys_are_found_by_their_kid_with_the_algorithm_of_their_kind() {
        let modulus = URL_SAFE_NO_PAD.encode([0xC1; 256]);
        let set = KeySet::parse(
            json!({"keys": [
                {"kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": ED_X, "use": "sig", "alg": "EdDSA"},
                {"kid": "ec", "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_Y, "key_ops": ["verify"]},
                {"kid": "rsa", "kty": "RSA", "n": modulus, "e": "AQAB", "x5c": ["…"]},
            ]})
            .to_string()
            .as_bytes(),
        )
        .unwrap();
        for (kid, algorithm) in
            [("ed", AppAlgorithm::EdDsa), ("ec", AppAlgorithm::Es256), ("rsa", AppAlgorithm::Rs256)]
        {
            assert_eq!(set.find(kid).map(AppKey::algorithm), Some(algorithm), "{kid}");
        }
        assert!(set.find("other").is_none());
    }

    #[test]
    fn what_cannot_check_a_token_is_passed_over() {
        let good = json!({"kid": "good", "kty": "OKP", "crv": "Ed25519", "x": ED_X});
        let short = URL_SAFE_NO_PAD.encode([0xC1; 128]);
        for passed_over in [
            json!(7),
            json!({"kty": "OKP", "crv": "Ed25519", "x": ED_X}),
            json!({"kid": "k", "kty": "oct", "k": "c3dvcmRmaXNo", "alg": "HS256"}),
            json!({"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": ED_X, "use": "enc"}),
            json!({"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": ED_X, "alg": "HS256"}),
            json!({"kid": "k", "kty": "OKP", "crv": "Ed448", "x": ED_X}),
            json!({"kid": "k", "kty": "OKP", "crv": "Ed25519", "x": "AAAA"}),
            json!({"kid": "k", "kty": "EC", "crv": "P-256", "x": EC_X, "y": EC_X}),
            json!({"kid": "k", "kty": "EC", "crv": "P-384", "x": EC_X, "y": EC_Y}),
            json!({"kid": "k", "kty": "RSA", "n": short, "e": "AQAB"}),
        ] {
            let set = KeySet::parse(json!({"keys": [passed_over, good]}).to_string().as_bytes()).unwrap();
            assert!(set.find("k").is_none() && set.find("good").is_some(), "{passed_over}");
            let alone = KeySet::parse(json!({"keys": [passed_over]}).to_string().as_bytes());
            assert_eq!(alone.unwrap_err(), KeySetError::NoKeys, "{passed_over}");
        }
    }

    #[test]
    fn what_is_no_set_is_refused_and_a_huge_one_is_cut() {
        for text in ["", "<html>", "[]", "{}", r#"{"keys": 7}"#, &"[".repeat(100_000)] {
            assert_eq!(KeySet::parse(text.as_bytes()).unwrap_err(), KeySetError::NotASet, "{text:.20}");
        }
        let many: Vec<_> = (0..1000)
            .map(|n| json!({"kid": format!("k{n}"), "kty": "OKP", "crv": "Ed25519", "x": ED_X}))
            .collect();
        let set = KeySet::parse(json!({ "keys": many }).to_string().as_bytes()).unwrap();
        assert_eq!(set.0.len(), MAX_KEYS);
    }
}
