//! Which allocations moved data since their usage was last reported, and when the next report is due.

use std::time::Duration;

use causeway_protocol::Moment;

/// Usage is reported about once a second; the dashboard's deltas come as often.
const INTERVAL: Duration = Duration::from_secs(1);

/// Numbers of allocations; those of rooms only, each at most once.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    changed: Vec<u32>,
    due: Option<Moment>,
}

impl Reports {
    /// Takes memory for this many allocations, so that [`Reports::note`] never does.
    pub(crate) fn make_room(&mut self, allocations: usize) {
        self.changed.reserve(allocations.saturating_sub(self.changed.len()));
    }

    /// An allocation that is not on the list changed.
    pub(crate) fn note(&mut self, allocation: u32, now: Moment) {
        self.changed.push(allocation);
        if self.due.is_none() {
            self.due = Some(now.plus(INTERVAL));
        }
    }

    /// An allocation is gone.
    pub(crate) fn forget(&mut self, allocation: u32) {
        if let Some(position) = self.changed.iter().position(|changed| *changed == allocation) {
            self.changed.swap_remove(position);
        }
    }

    /// One allocation to report, if a report is due; call until there is none.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<u32> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        let allocation = self.changed.pop();
        if allocation.is_none() {
            self.due = None;
        }
        allocation
    }

    pub(crate) const fn due(&self) -> Option<Moment> {
        self.due
    }
}
