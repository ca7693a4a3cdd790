//! A static user of the configuration, shown without the password.

use std::fmt;

use causeway_service::Hidden;
use causeway_service::hidden::REDACTED;
use serde::{Deserialize, Serialize, Serializer};

/// A static user as `name:password`. Any text is taken; [`TurnSettings::validate`](crate::TurnSettings::validate)
/// says what is wrong with it.
#[derive(Clone, Deserialize)]
#[serde(transparent)]
pub struct UserEntry(Hidden);

impl UserEntry {
    /// Takes `name:password`.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Hidden::new(text))
    }

    /// Name and password: what stands before and after the first colon. `None` without a colon.
    #[must_use]
    pub fn split(&self) -> Option<(&str, &str)> {
        self.0.expose().split_once(':')
    }

    fn shown(&self) -> String {
        match self.split() {
            Some((name, _)) => format!("{name}:{REDACTED}"),
            // Without a colon the whole text may be the password.
            None => REDACTED.to_owned(),
        }
    }
}

impl fmt::Debug for UserEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Serialize for UserEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.shown())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_shown_without_the_password() {
        let user: UserEntry = serde_json::from_str("\"alice:swordfish:x\"").unwrap();
        assert_eq!(user.split(), Some(("alice", "swordfish:x")));
        assert_eq!(serde_json::to_string(&user).unwrap(), format!("\"alice:{REDACTED}\""));
        assert_eq!(format!("{user:?}"), format!("alice:{REDACTED}"));
    }

    #[test]
    fn a_user_without_a_colon_may_be_a_password_and_is_not_shown() {
        assert_eq!(format!("{:?}", UserEntry::new("swordfish")), REDACTED);
    }
}
