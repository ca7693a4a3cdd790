//! Settings that must not be shown.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What stands in the place of a hidden setting.
pub const REDACTED: &str = "(hidden)";

/// A secret setting: read like a string, shown and written as [`REDACTED`], wiped from memory when dropped.
#[derive(Clone)]
pub struct Hidden(SecretString);

impl Hidden {
    /// Hides `text`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(SecretString::from(text.into()))
    }

    /// The text itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// Whether a setting changed; never used to check what somebody shows.
impl PartialEq for Hidden {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Hidden {}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_setting_is_read_but_never_shown() {
        let hidden: Vec<Hidden> = serde_json::from_str(r#"["swordfish"]"#).unwrap();
        assert_eq!(hidden[0].expose(), "swordfish");
        assert!(!format!("{hidden:?}").contains("swordfish"));
        assert!(!serde_json::to_string(&hidden).unwrap().contains("swordfish"));
    }
}
