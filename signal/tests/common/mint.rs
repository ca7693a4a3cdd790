//! Mints tokens as apps do.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a test's panic is its message"
)]

use causeway_service::{Hidden, clock};
use causeway_signal::ApiKeySettings;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// A key with [`SECRET`].
pub fn app() -> ApiKeySettings {
    ApiKeySettings { secret: Some(Hidden::new(SECRET)), ..Default::default() }
}

/// A token under [`SECRET`], for the room `standup` and a minute; `change` replaces claims, null takes one out.
pub fn token(kid: &str, change: &Value) -> String {
    signed(kid, Algorithm::HS256, &EncodingKey::from_secret(SECRET.as_bytes()), change)
}

pub fn signed(kid: &str, algorithm: Algorithm, key: &EncodingKey, change: &Value) -> String {
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, &claims(change), key).unwrap()
}

pub fn claims(change: &Value) -> Value {
    let mut claims = json!({"room": "standup", "exp": clock::now().unix.0 + 60});
    for (name, value) in change.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}
