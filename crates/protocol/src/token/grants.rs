//! What a token permits: acts in a room, and how much its holder may relay.

use serde::{Deserialize, Serialize};

/// One thing that a token can permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// To come into the room.
    Join,
    /// To send offers, answers and candidates.
    Signal,
    /// To send the application's messages, and to change the room's state.
    Message,
    /// To send a peer away, without being host.
    Kick,
    /// To use the server API.
    Admin,
    /// To be the room's host.
    Host,
}

impl Grant {
    /// Every grant.
    pub const ALL: [Self; 6] = [Self::Join, Self::Signal, Self::Message, Self::Kick, Self::Admin, Self::Host];

    /// As it is written in tokens and settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Join => "join",
            Self::Signal => "signal",
            Self::Message => "message",
            Self::Kick => "kick",
            Self::Admin => "admin",
            Self::Host => "host",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of grants, written as a list of their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<Grant>", into = "Vec<Grant>")]
pub struct GrantSet(u8);

impl GrantSet {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// What everybody has who is in a room.
    pub const PEER: Self = Self::of(&[Grant::Join, Grant::Signal, Grant::Message]);
    /// Everything.
    pub const ALL: Self = Self::of(&Grant::ALL);

    /// These.
    #[must_use]
    pub const fn of(grants: &[Grant]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < grants.len() {
            bits |= grants[at].bit();
            at += 1;
        }
        Self(bits)
    }

    /// Whether it is one of them.
    #[must_use]
    pub const fn contains(self, grant: Grant) -> bool {
        self.0 & grant.bit() != 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Each of them, in the order of [`Grant::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Grant> {
        Grant::ALL.into_iter().filter(move |grant| self.contains(*grant))
    }
}

impl From<Vec<Grant>> for GrantSet {
    fn from(grants: Vec<Grant>) -> Self {
        Self::of(&grants)
    }
}

impl From<GrantSet> for Vec<Grant> {
    fn from(set: GrantSet) -> Self {
        set.iter().collect()
    }
}

/// What the holder of a join token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Grants {
    /// In the room.
    pub can: GrantSet,
    /// Through the relay.
    #[serde(skip_serializing_if = "RelayBudget::is_unlimited")]
    pub relay: RelayBudget,
}

/// What people have who join by link, password, invite or host token: an older token says nothing of grants.
impl Default for Grants {
    fn default() -> Self {
        Self { can: GrantSet::PEER, relay: RelayBudget::default() }
    }
}

impl Grants {
    pub(crate) fn are_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// How much a peer may relay. The server's own limits hold beside it; the smaller counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayBudget {
    /// Bytes in total, both ways, of all credentials that come of one token, on each relay. Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Bytes per second of one allocation, each way. Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bps: Option<u64>,
}

impl RelayBudget {
    fn is_unlimited(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_written_as_names_and_read_in_any_order() {
        let set = GrantSet::of(&[Grant::Kick, Grant::Join]);
        assert_eq!(serde_json::to_string(&set).unwrap(), r#"["join","kick"]"#);
        assert_eq!(serde_json::from_str::<GrantSet>(r#"["kick","join","kick"]"#).unwrap(), set);
        assert!(serde_json::from_str::<GrantSet>(r#"["kik"]"#).is_err());
    }

    #[test]
    fn no_two_grants_share_a_bit_or_a_name() {
        for grant in Grant::ALL {
            let alone = GrantSet::of(&[grant]);
            assert_eq!(alone.iter().collect::<Vec<_>>(), [grant]);
            assert!(GrantSet::ALL.contains(grant) && !GrantSet::NONE.contains(grant));
            assert_eq!(serde_json::to_value(grant).unwrap(), grant.as_str());
        }
    }

    #[test]
    fn what_both_sets_have_is_what_their_intersection_has() {
        let set = GrantSet::of(&[Grant::Join, Grant::Kick]);
        assert_eq!(set.and(GrantSet::PEER), GrantSet::of(&[Grant::Join]));
    }

    #[test]
    fn a_token_that_says_nothing_grants_what_everybody_has() {
        let grants: Grants = serde_json::from_str("{}").unwrap();
        assert_eq!(grants, Grants::default());
        assert_eq!(grants.can, GrantSet::PEER);
        assert_eq!(serde_json::to_string(&grants).unwrap(), r#"{"can":["join","signal","message"]}"#);
    }
}
