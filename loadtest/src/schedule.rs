//! When the next burst of an even rate is due.

use std::time::Duration;

use crate::clock;

/// A sender that was held up does not catch up with more than this.
const LONGEST_DEBT: Duration = Duration::from_millis(5);
const SECOND: u64 = 1_000_000_000;

/// Bursts at an even rate.
pub(crate) struct Schedule {
    /// Nanoseconds between two bursts.
    interval: u64,
    /// When the next one is due; `None`: at once.
    due: Option<u64>,
}

impl Schedule {
    /// So many packets a second, in bursts of so many.
    pub(crate) const fn new(rate: u64, burst: u64) -> Self {
        let rate = if rate == 0 { 1 } else { rate };
        Self { interval: SECOND * burst / rate, due: None }
    }

    /// Whether a burst is due; if so, it counts as sent.
    pub(crate) fn take(&mut self, now: u64) -> bool {
        let due = *self.due.get_or_insert(now);
        if now < due {
            return false;
        }
        self.due = Some(due.max(now.saturating_sub(clock::of(LONGEST_DEBT))) + self.interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bursts in a span that is looked at every `step` nanoseconds.
    fn bursts(schedule: &mut Schedule, from: u64, to: u64, step: u64) -> usize {
        (from..to).step_by(usize::try_from(step).unwrap()).filter(|&now| schedule.take(now)).count()
    }

    #[test]
    fn a_second_has_as_many_packets_as_the_rate_says() {
        assert_eq!(bursts(&mut Schedule::new(50_000, 1), 0, SECOND, 700), 50_000);
        assert_eq!(bursts(&mut Schedule::new(16_000, 16), 0, SECOND, 700), 1_000);
    }

    #[test]
    fn after_a_pause_only_a_little_is_made_up_for() {
        let mut schedule = Schedule::new(1_000, 1);
        assert!(schedule.take(0));
        // A second's worth was missed; five milliseconds of it are sent at once, beside what is due.
        assert_eq!(bursts(&mut schedule, SECOND, SECOND + 1_000, 1), 6);
    }

    #[test]
    fn a_rate_of_nothing_is_one_a_second() {
        let mut schedule = Schedule::new(0, 1);
        assert!(schedule.take(7));
        assert!(!schedule.take(SECOND));
        assert!(schedule.take(SECOND + 7));
    }
}
