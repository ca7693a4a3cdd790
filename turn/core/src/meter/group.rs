//! Those who share a rate: the allocations of a room, or of a user that belongs to none.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use causeway_protocol::{Moment, RoomId};

use super::bucket::{Bucket, Rate};
use crate::dropped::DropReason;
use crate::event::Subject;

/// Whose allocations are a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum GroupKey {
    Room(RoomId),
    /// A user of another credential, alone.
    User(Subject),
}

impl GroupKey {
    pub(super) fn of(subject: &Subject) -> Self {
        match subject {
            Subject::RoomPeer { room, .. } => Self::Room(room.clone()),
            Subject::Rest(_) | Subject::Static(_) | Subject::Token(_) => Self::User(subject.clone()),
        }
    }
}

/// One rate for all of a group, whichever worker they are on, both directions together: the lower of the group's own
/// limit and of its share of the node. All fields are atomics, and each is changed under the lock of the quotas.
#[derive(Debug)]
pub(crate) struct Group {
    bucket: Bucket,
    limit: AtomicU64,
    share: AtomicU64,
    /// Whether the node's bandwidth is shared, so that demand has to be known.
    counts: AtomicBool,
    /// Bytes that wanted to pass since the demand was last asked for.
    offered: AtomicU64,
}

impl Group {
    pub(super) fn new(limit: Rate, share: Option<Rate>) -> Self {
        let group = Self {
            bucket: Bucket::new(Rate::UNLIMITED),
            limit: AtomicU64::new(limit.bytes_per_second()),
            share: AtomicU64::new(Rate::UNLIMITED.bytes_per_second()),
            counts: AtomicBool::new(false),
            offered: AtomicU64::new(0),
        };
        group.set_share(share);
        group.apply();
        group
    }

    /// Takes the bytes, or says which limit is in the way.
    pub(super) fn take(&self, bytes: usize, now: Moment) -> Result<(), DropReason> {
        if self.counts.load(Ordering::Relaxed) {
            self.offered.fetch_add(bytes as u64, Ordering::Relaxed);
        }
        if self.bucket.take(bytes, now) {
            return Ok(());
        }
        match self.share.load(Ordering::Relaxed) < self.limit.load(Ordering::Relaxed) {
            true => Err(DropReason::NodeShare),
            false => Err(DropReason::RoomRate),
        }
    }

    pub(super) fn set_limit(&self, limit: Rate) {
        if self.limit.swap(limit.bytes_per_second(), Ordering::Relaxed) != limit.bytes_per_second() {
            self.apply();
        }
    }

    /// The group's share of the node; `None`: the node has no limit.
    pub(super) fn set_share(&self, share: Option<Rate>) {
        self.counts.store(share.is_some(), Ordering::Relaxed);
        let share = share.unwrap_or(Rate::UNLIMITED).bytes_per_second();
        if self.share.swap(share, Ordering::Relaxed) != share {
            self.apply();
        }
    }

    fn apply(&self) {
        let rate = self.limit.load(Ordering::Relaxed).min(self.share.load(Ordering::Relaxed));
        self.bucket.set_rate(Rate::exactly(rate));
    }

    /// Bytes per second that the group wanted to relay since the last time this was asked, `elapsed` ago, as far as its
    /// own limit lets it.
    pub(super) fn take_demand(&self, elapsed: Duration) -> u64 {
        let offered = self.offered.swap(0, Ordering::Relaxed);
        let micros = elapsed.as_micros().max(1);
        let rate = u128::from(offered).saturating_mul(1_000_000).checked_div(micros).unwrap_or(0);
        u64::try_from(rate).unwrap_or(u64::MAX).min(self.limit.load(Ordering::Relaxed))
    }
}
