//! A room as it is kept, and as it begins anew from that.

use std::time::Duration;

use causeway_protocol::Now;
use causeway_protocol::record::RoomRecord;

use crate::door::{Door, UsedInvites};
use crate::room::{Room, RoomSettings};

impl Room {
    /// What has to be kept. The room does not know its password: the caller adds the hash.
    #[must_use]
    pub fn record(&self, password_hash: Option<String>, now: Now) -> RoomRecord {
        RoomRecord {
            id: self.id().clone(),
            capacity: self.capacity(),
            expires_at: self.expires_at(),
            password_hash,
            invite_only: self.door().invite_only,
            app: self.app().cloned(),
            used_invites: self.used_invites().record(now.unix),
        }
    }

    /// The room that was kept, with nobody in it and events numbered in a new epoch. `None`: its time is over.
    #[must_use]
    pub fn from_record(record: RoomRecord, epoch: u64, now: Now) -> Option<Self> {
        let RoomRecord { id, capacity, expires_at, password_hash, invite_only, app, used_invites } = record;
        let left = expires_at.since(now.unix);
        if left == 0 {
            return None;
        }
        let ttl = Duration::from_secs(left);
        let door = Door { password: password_hash.is_some(), invite_only };
        let settings = RoomSettings { id, epoch, capacity, ttl, door, app };
        Some(Self::with_used_invites(settings, UsedInvites::from_record(used_invites), now))
    }
}

#[cfg(test)]
mod tests {
    use causeway_protocol::{Moment, UnixSeconds};

    use super::*;
    use crate::door::{Key, RefusedEntry};

    #[test]
    fn a_room_comes_back_as_it_was_kept_and_lives_as_long_as_it_would_have() {
        let mut room = room();
        let invite = Key::Invite { id: "i".parse().unwrap(), expires_at: UnixSeconds(1_800_000_050) };
        room.admit(invite.clone(), at(10)).unwrap();
        let record = room.record(Some("$hash".to_owned()), at(10));
        // Another process, whose monotonic clock began elsewhere.
        let later = Now { moment: Moment::from_origin(Duration::from_secs(7)), unix: at(30).unix };
        let mut again = Room::from_record(record.clone(), 9, later).unwrap();
        assert_eq!((again.expires_at(), again.capacity()), (room.expires_at(), room.capacity()));
        assert_eq!(again.app(), room.app());
        assert_eq!(again.door(), Door { password: true, invite_only: true });
        assert_eq!(again.next_deadline().since(later.moment), Duration::from_secs(30));
        assert_eq!(again.admit(invite, later), Err(RefusedEntry::InviteInvalid));
        assert!(Room::from_record(record, 9, at(60)).is_none());
    }

    #[test]
    fn invites_that_are_over_are_not_kept() {
        let mut room = room();
        let invite = Key::Invite { id: "i".parse().unwrap(), expires_at: UnixSeconds(1_800_000_050) };
        room.admit(invite, at(10)).unwrap();
        assert!(room.record(None, at(50)).used_invites.is_empty());
    }

    fn room() -> Room {
        let settings = RoomSettings {
            id: "kitchen".parse().unwrap(),
            epoch: 1,
            capacity: 4,
            ttl: Duration::from_secs(60),
            door: Door { password: true, invite_only: true },
            app: Some("shop".parse().unwrap()),
        };
        Room::new(settings, at(0))
    }

    fn at(seconds: u64) -> Now {
        let moment = Moment::from_origin(Duration::from_secs(1000 + seconds));
        Now { moment, unix: UnixSeconds(1_800_000_000 + seconds) }
    }
}
