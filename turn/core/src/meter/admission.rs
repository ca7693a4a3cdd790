//! What an allocation holds of the node's quotas, from the Allocate request on.

use std::sync::Arc;

use super::Meters;
use super::budget::Budget;
use super::quota::SourceNetwork;
use crate::event::Subject;

/// One allocation's part in what the node counts. Dropping it gives the part back, however the allocation or its
/// worker ends.
#[derive(Debug)]
pub(crate) struct Admission {
    meters: Arc<Meters>,
    subject: Subject,
    source: SourceNetwork,
    budget: Option<Arc<Budget>>,
}

impl Admission {
    pub(super) const fn new(
        meters: Arc<Meters>,
        subject: Subject,
        source: SourceNetwork,
        budget: Option<Arc<Budget>>,
    ) -> Self {
        Self { meters, subject, source, budget }
    }

    /// Draws on the credential's byte budget; `false`: that was more than was left.
    pub(crate) fn spend(&self, bytes: usize) -> bool {
        self.budget.as_ref().is_none_or(|budget| budget.spend(bytes))
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.meters.quotas().leave(&self.subject, self.source);
    }
}
