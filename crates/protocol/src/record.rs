//! What is kept of a room for when every process has ended: how it was made and who may come in, not who is in it.

use serde::{Deserialize, Serialize};

use crate::ids::{ApiKeyId, TokenId};
use crate::{RoomId, UnixSeconds};

/// A room as it is kept. Processes of different versions read one another's: a field that is added has a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoomRecord {
    /// Its name.
    pub id: RoomId,
    /// How many peers it holds.
    pub capacity: u16,
    /// When it ends.
    pub expires_at: UnixSeconds,
    /// A PHC string, if guests need a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    /// Whether guests need an invite.
    #[serde(default)]
    pub invite_only: bool,
    /// The key of the app that made it; absent: people did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app: Option<ApiKeyId>,
    /// Invites that were used and are not over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used_invites: Vec<UsedInvite>,
}

/// An invite that opens the room no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct UsedInvite {
    /// Which.
    pub id: TokenId,
    /// From when on it would not be accepted anyway.
    pub expires_at: UnixSeconds,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_first_version_is_read() {
        let text = r#"{"id":"kitchen","capacity":8,"expiresAt":1800000000}"#;
        let record: RoomRecord = serde_json::from_str(text).unwrap();
        assert_eq!((record.password_hash, record.invite_only, record.used_invites.len()), (None, false, 0));
    }
}
