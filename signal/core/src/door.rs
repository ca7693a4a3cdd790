//! Who may come in: the room's policy, and the invites that were used.

use causeway_protocol::ids::TokenId;
use causeway_protocol::node::{ShownKey, ShownOnce};
use causeway_protocol::token::RoomRole;
use causeway_protocol::{ErrorCode, UnixSeconds};

use crate::tokens::{TokenSet, TooMany};

/// What the room asks of those who come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// Guests without an invite need the password.
    pub password: bool,
    /// Guests need an invite; a password alone does not do.
    pub invite_only: bool,
    /// Guests wait until a host admits them, whatever they showed; also where no host is there yet.
    pub lobby: bool,
}

/// Why somebody stays outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedEntry {
    /// The room wants a password and none was shown.
    #[error("the room wants a password")]
    PasswordRequired,
    /// The room wants an invite, or this one was used or has expired.
    #[error("the invite is missing, used or expired")]
    InviteInvalid,
    /// The room was made by another app, or by people.
    #[error("the room is not one of the app's")]
    OtherApp,
    /// The app's token opens once, and did.
    #[error("the token was already used")]
    TokenUsed,
    /// More invites were used than the room remembers.
    #[error("too many invites of this room are in use")]
    TooManyInvites,
    /// A host closed the room to newcomers.
    #[error("the room is closed to newcomers")]
    Locked,
    /// As many are inside as fit.
    #[error("the room is full")]
    Full,
    /// The room is over.
    #[error("the room has ended")]
    Ended,
}

impl RefusedEntry {
    /// The same in the protocol's words.
    #[must_use]
    pub const fn code(self) -> ErrorCode {
        match self {
            Self::PasswordRequired => ErrorCode::PasswordRequired,
            Self::InviteInvalid => ErrorCode::InviteInvalid,
            Self::OtherApp => ErrorCode::NotAllowed,
            Self::TokenUsed => ErrorCode::TokenInvalid,
            Self::TooManyInvites => ErrorCode::RateLimited,
            Self::Locked => ErrorCode::RoomLocked,
            Self::Full => ErrorCode::RoomFull,
            Self::Ended => ErrorCode::RoomNotFound,
        }
    }
}

impl Door {
    /// What a guest who passes with `key` is in the room. A used invite is remembered in `used`, so that of two
    /// requests with the same invite exactly one passes.
    pub(crate) fn pass(
        self,
        key: ShownKey,
        used: &mut TokenSet,
        now: UnixSeconds,
    ) -> Result<RoomRole, RefusedEntry> {
        match key {
            ShownKey::Host => Ok(RoomRole::Host),
            ShownKey::App { once: None, role, .. } => Ok(role),
            ShownKey::App { once: Some(ShownOnce { id, expires_at: until }), role, .. } => {
                redeem(used, id, until, now).map(|()| role).map_err(|refused| match refused {
                    RefusedEntry::InviteInvalid => RefusedEntry::TokenUsed,
                    other => other,
                })
            }
            ShownKey::Invite { id, expires_at } => {
                redeem(used, id, expires_at, now).map(|()| RoomRole::Guest)
            }
            ShownKey::Password | ShownKey::None if self.invite_only => Err(RefusedEntry::InviteInvalid),
            ShownKey::Password => Ok(RoomRole::Guest),
            ShownKey::None if self.password => Err(RefusedEntry::PasswordRequired),
            ShownKey::None => Ok(RoomRole::Guest),
        }
    }
}

fn redeem(
    used: &mut TokenSet,
    id: TokenId,
    expires_at: UnixSeconds,
    now: UnixSeconds,
) -> Result<(), RefusedEntry> {
    if now >= expires_at || used.contains(&id) {
        return Err(RefusedEntry::InviteInvalid);
    }
    used.insert(id, expires_at, now).map_err(|TooMany| RefusedEntry::TooManyInvites)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_800_000_000);

    #[test]
    fn every_key_at_every_door() {
        let (open, password, invite) = (door(false, false), door(true, false), door(false, true));
        let both = door(true, true);
        check(open, &ShownKey::None, Ok(RoomRole::Guest));
        check(password, &ShownKey::None, Err(RefusedEntry::PasswordRequired));
        check(password, &ShownKey::Password, Ok(RoomRole::Guest));
        check(invite, &ShownKey::None, Err(RefusedEntry::InviteInvalid));
        check(both, &ShownKey::None, Err(RefusedEntry::InviteInvalid));
        check(both, &ShownKey::Password, Err(RefusedEntry::InviteInvalid));
        for any in [open, password, invite, both] {
            check(any, &ShownKey::Host, Ok(RoomRole::Host));
            check(any, &invite_key("i", 60), Ok(RoomRole::Guest));
        }
    }

    #[test]
    fn an_invite_opens_once() {
        let mut used = TokenSet::default();
        assert!(door(true, true).pass(invite_key("i", 60), &mut used, NOW).is_ok());
        let again = door(true, true).pass(invite_key("i", 60), &mut used, NOW.plus(59));
        assert_eq!(again, Err(RefusedEntry::InviteInvalid));
    }

    #[test]
    fn an_invite_opens_not_at_the_second_it_expires() {
        let mut used = TokenSet::default();
        let late = door(false, true).pass(invite_key("i", 60), &mut used, NOW.plus(60));
        assert_eq!(late, Err(RefusedEntry::InviteInvalid));
    }

    fn door(password: bool, invite_only: bool) -> Door {
        Door { password, invite_only, lobby: false }
    }

    fn invite_key(id: &str, seconds: u64) -> ShownKey {
        ShownKey::Invite { id: id.parse().unwrap(), expires_at: NOW.plus(seconds) }
    }

    fn check(door: Door, key: &ShownKey, expected: Result<RoomRole, RefusedEntry>) {
        assert_eq!(door.pass(key.clone(), &mut TokenSet::default(), NOW), expected, "{door:?} {key:?}");
    }
}
