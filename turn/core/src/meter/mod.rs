//! What the relays of a process count together: who has how many allocations, and who may relay how much.
//!
//! ```text
//! Allocate ──► Meters::admit ──lock──► Quotas: node, user, room, source, byte budget ──► Admission
//! data ──────► Admission (atomics only) ──► Budget
//! the end ───► Admission dropped ──lock──► Quotas
//! ```
//! Workers come here with a lock for an Allocate and for the end of an allocation, and never for data.

mod admission;
mod budget;
mod quota;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use causeway_protocol::UnixSeconds;
use foldhash::fast::FixedState;
use rand_core::CryptoRng;

use crate::address::ClientAddr;
use crate::auth::credentials::Grant;
use crate::config::Limits;

pub(crate) use admission::Admission;
pub use quota::Quota;
use quota::{Quotas, SourceNetwork};

/// The counts that the relays of a process share. Share it by `Arc` among them.
#[derive(Debug)]
pub struct Meters {
    quotas: Mutex<Quotas>,
}

impl Meters {
    /// Nothing is counted yet. The tables are keyed from `random`, since what clients send is looked up in them.
    #[must_use]
    pub fn new(random: &mut impl CryptoRng) -> Self {
        Self { quotas: Mutex::new(Quotas::new(FixedState::with_seed(random.next_u64()))) }
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
        let budget = self.quotas().enter(grant, source, limits, now)?;
        Ok(Admission::new(Arc::clone(self), grant.subject.clone(), source, budget))
    }

    /// Nothing panics while it holds the lock; if it did, the counts would still be better than none.
    fn quotas(&self) -> MutexGuard<'_, Quotas> {
        self.quotas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
