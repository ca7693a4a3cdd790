//! What an allocation holds of the node's quotas and rates, from the Allocate request on.

use std::sync::Arc;

use causeway_protocol::Moment;

use super::Meters;
use super::bucket::{Bucket, Rate};
use super::budget::Budget;
use super::group::Group;
use super::quota::SourceNetwork;
use crate::auth::credentials::Grant;
use crate::config::Limits;
use crate::data::Direction;
use crate::dropped::DropReason;
use crate::event::Subject;

/// One allocation's part in what the node counts. Dropping it gives the part back, however the allocation or its
/// worker ends.
#[derive(Debug)]
pub(crate) struct Admission {
    meters: Arc<Meters>,
    subject: Subject,
    source: SourceNetwork,
    /// The allocation's own rate, each way.
    to_peer: Bucket,
    to_client: Bucket,
    /// What the credential says of that rate; `None`: the setting holds.
    own_rate: Option<u64>,
    group: Arc<Group>,
    budget: Option<Arc<Budget>>,
}

impl Admission {
    pub(super) fn new(
        meters: Arc<Meters>,
        grant: &Grant,
        source: SourceNetwork,
        group: Arc<Group>,
        budget: Option<Arc<Budget>>,
        limits: &Limits,
    ) -> Self {
        let rate = rate(grant.bytes_per_second, limits);
        Self {
            meters,
            subject: grant.subject.clone(),
            source,
            to_peer: Bucket::new(rate),
            to_client: Bucket::new(rate),
            own_rate: grant.bytes_per_second,
            group,
            budget,
        }
    }

    /// Takes the bytes from everything that limits them, the final one last: what a rate holds back is not spent. What
    /// the group refuses was taken from the allocation's own rate; the lower of the two still holds.
    pub(crate) fn take(&self, direction: Direction, bytes: usize, now: Moment) -> Result<(), DropReason> {
        let own = match direction {
            Direction::ToPeer => &self.to_peer,
            Direction::ToClient => &self.to_client,
        };
        if !own.take(bytes, now) {
            return Err(DropReason::AllocationRate);
        }
        self.group.take(bytes, now)?;
        match &self.budget {
            Some(budget) if !budget.spend(bytes) => Err(DropReason::BudgetSpent),
            Some(_) | None => Ok(()),
        }
    }

    /// The limits changed.
    pub(crate) fn set_limits(&self, limits: &Limits) {
        let rate = rate(self.own_rate, limits);
        self.to_peer.set_rate(rate);
        self.to_client.set_rate(rate);
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut tables = self.meters.tables();
        tables.quotas.leave(&self.subject, self.source);
        tables.groups.leave(&self.subject);
    }
}

const fn rate(of_credential: Option<u64>, limits: &Limits) -> Rate {
    match of_credential {
        Some(rate) => Rate::exactly(rate),
        None => Rate::of_setting(limits.allocation_bytes_per_second),
    }
}
