//! What the relays of a process count together: who has how many allocations, and who may relay how much.
//!
//! ```text
//! Allocate ──► Meters::admit ──lock──► Quotas: node, user, room, source, byte budget ──► Admission
//! data ──────► Admission (atomics only): own Bucket ─► Group: demand, Bucket ─► Budget
//! the end ───► Admission dropped ──lock──► Quotas
//! 100 ms ────► Meters::share ──lock──► Groups: demands ─► level ─► Bucket rates
//! ```
//! Workers come here with a lock for an Allocate and for the end of an allocation, and never for data.

mod admission;
mod bucket;
mod budget;
mod group;
mod groups;
mod quota;
mod share;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use causeway_protocol::bus::RoomLimits;
use causeway_protocol::{Now, UnixSeconds};
use foldhash::fast::FixedState;
use rand_core::CryptoRng;

use crate::address::ClientAddr;
use crate::auth::credentials::Grant;
use crate::config::Limits;

pub(crate) use admission::Admission;
pub use bucket::{Bucket, Rate};
use groups::Groups;
pub use quota::Quota;
use quota::{Quotas, SourceNetwork};

/// The counts that the relays of a process share. Share it by `Arc` among them, and call [`Meters::share`] from one place.
#[derive(Debug)]
pub struct Meters {
    tables: Mutex<Tables>,
}

#[derive(Debug)]
struct Tables {
    quotas: Quotas,
    groups: Groups,
}

impl Meters {
    /// How often [`Meters::share`] is to be called: short beside the second that a person notices, long beside a pass,
    /// which takes 2 ms over 50,000 groups that all want to send (`benches/allocations.rs`).
    pub const SHARE_EVERY: Duration = Duration::from_millis(100);

    /// Nothing is counted yet. The tables are keyed from `random`, since what clients send is looked up in them.
    #[must_use]
    pub fn new(random: &mut impl CryptoRng) -> Self {
        let hasher = FixedState::with_seed(random.next_u64());
        Self {
            tables: Mutex::new(Tables { quotas: Quotas::new(hasher.clone()), groups: Groups::new(hasher) }),
        }
    }

    /// Gives a room a rate of its own, whatever the setting is, until the order says. With no rate the setting holds
    /// again.
    pub fn limit_room(&self, order: RoomLimits, now: UnixSeconds) {
        self.tables().groups.tell(order, now);
    }

    /// Ends what rooms were told and is over, and divides the node's bandwidth anew by what each group wanted since the
    /// last time.
    pub fn share(&self, now: Now) {
        self.tables().groups.share(now);
    }

    /// The rates of rooms and of the node. All relays say the same, so only the first to say it changes anything.
    pub(crate) fn set_limits(&self, limits: &Limits) {
        self.tables().groups.set_rates(limits.room_bytes_per_second, limits.node_bytes_per_second);
    }

    /// Counts one more allocation, unless that is one too many.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: ClientAddr,
        grant: &Grant,
        limits: &Limits,
        now: UnixSeconds,
    ) -> Result<Admission, Quota> {
        let source = SourceNetwork::of(client.source.ip());
        let mut tables = self.tables();
        let budget = tables.quotas.enter(grant, source, limits, now)?;
        let group = tables.groups.enter(&grant.subject);
        drop(tables);
        Ok(Admission::new(Arc::clone(self), grant, source, group, budget, limits))
    }

    /// Nothing panics while it holds the lock; if it did, the counts would still be better than none.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
