//! Which allocations moved data since their usage was last reported, and when the next report is due.

use std::time::Duration;

use causeway_protocol::Moment;

/// Usage is reported about once a second; the dashboard's deltas come as often.
const INTERVAL: Duration = Duration::from_secs(1);

/// Numbers of allocations, each at most once. One that ends stays on its list, where a lookup finds it gone or unchanged:
/// taking it out would be a search.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    /// For the next report.
    changed: Vec<u32>,
    /// Of the report that is under way, which may take several turns.
    reporting: Vec<u32>,
    /// By number, whether it is on either list.
    listed: Vec<bool>,
    due: Option<Moment>,
}

impl Reports {
    /// Takes memory for numbers below this one, so that [`Reports::note`] never does.
    pub(crate) fn make_room(&mut self, numbers: usize) {
        if self.listed.len() < numbers {
            self.listed.resize(numbers, false);
        }
        for list in [&mut self.changed, &mut self.reporting] {
            list.reserve(numbers.saturating_sub(list.len()));
        }
    }

    /// An allocation changed.
    pub(crate) fn note(&mut self, allocation: u32, now: Moment) {
        let Some(listed) = self.listed.get_mut(allocation as usize) else { return };
        if std::mem::replace(listed, true) {
            return;
        }
        self.changed.push(allocation);
        if self.due.is_none() {
            self.due = Some(now.plus(INTERVAL));
        }
    }

    /// One allocation to report, if a report is due; call until there is none, or go on later.
    pub(crate) fn pop_due(&mut self, now: Moment) -> Option<u32> {
        if self.reporting.is_empty() && self.due.is_some_and(|due| due <= now) {
            std::mem::swap(&mut self.reporting, &mut self.changed);
            self.due = None;
        }
        let allocation = self.reporting.pop()?;
        if let Some(listed) = self.listed.get_mut(allocation as usize) {
            *listed = false;
        }
        Some(allocation)
    }

    /// A report that is under way goes on at once.
    pub(crate) fn due(&self) -> Option<Moment> {
        if self.reporting.is_empty() { self.due } else { Some(Moment::default()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_changes_while_a_report_goes_on_waits_for_the_next_and_nobody_waits_for_him() {
        let mut reports = Reports::default();
        reports.make_room(3);
        (0..3).for_each(|allocation| reports.note(allocation, at(0)));
        assert_eq!(reports.pop_due(at(999)), None);
        assert_eq!(reports.pop_due(at(1_000)), Some(2));
        reports.note(2, at(1_000));
        reports.note(1, at(1_000));
        assert_eq!(reports.due(), Some(at(0)));
        assert_eq!([reports.pop_due(at(1_001)), reports.pop_due(at(1_001))], [Some(1), Some(0)]);
        assert_eq!(reports.pop_due(at(1_001)), None);
        assert_eq!(reports.due(), Some(at(2_000)));
        assert_eq!(reports.pop_due(at(2_000)), Some(2));
        assert_eq!(reports.due(), None);
    }

    fn at(millis: u64) -> Moment {
        Moment::from_origin(Duration::from_millis(millis))
    }
}
