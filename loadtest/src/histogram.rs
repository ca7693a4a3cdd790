//! Latencies in buckets that widen with their values: a fixed size, no allocation per value, an error below 1.6 %.
//!
//! Values below 64 have buckets of their own. Above, each power of two is cut into 64 equal buckets.

/// Buckets per power of two, as a power of two: 2⁶ keeps the error of a quantile below 1/64.
const FINENESS: u32 = 6;
const PER_POWER: usize = 1 << FINENESS;
/// Values of 64 bits need a group for each power of two from 2⁶ up, and one for what is below.
const BUCKETS: usize = (64 - FINENESS as usize + 1) * PER_POWER;

/// How often values were seen, coarsely.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Histogram {
    /// Counts a value `times` times.
    pub(crate) fn record(&mut self, value: u64, times: u64) {
        if let Some(count) = self.counts.get_mut(bucket(value)) {
            *count += times;
            self.total += times;
        }
    }

    /// The smallest value that at least `share` (0 to 1) of all values do not exceed, rounded up to its bucket's end;
    /// `None`: nothing was recorded.
    pub(crate) fn quantile(&self, share: f64) -> Option<u64> {
        #[expect(clippy::cast_precision_loss, reason = "2⁵³ packets take longer than any run")]
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a count")]
        let wanted = ((self.total as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(highest(bucket));
            }
        }
        None
    }

    /// What 50 %, 99 % and 99.9 % of all values do not exceed, in units of `unit`; 0: nothing was recorded.
    #[expect(
        clippy::cast_precision_loss,
        reason = "centuries in nanoseconds are below 2⁵³ units of any size here"
    )]
    pub(crate) fn quantiles(&self, unit: f64) -> [f64; 3] {
        [0.5, 0.99, 0.999].map(|share| self.quantile(share).unwrap_or(0) as f64 / unit)
    }
}

/// Where a value is counted.
fn bucket(value: u64) -> usize {
    let power = value.checked_ilog2().unwrap_or(0).max(FINENESS);
    let group = usize::try_from(power - FINENESS).expect("at most 58");
    // In the group, the value's top seven bits: 64 to 127 if it has more than six, and 0 to 63 if not.
    let within = usize::try_from(value >> (power - FINENESS)).expect("at most 127");
    group * PER_POWER + within
}

/// The highest value that is counted there.
fn highest(bucket: usize) -> u64 {
    let group = (bucket / PER_POWER).saturating_sub(1);
    let within = (bucket - group * PER_POWER) as u64;
    ((within + 1) << group).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_recorded_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(0.5), None);
    }

    #[test]
    fn small_values_are_exact() {
        let mut histogram = Histogram::default();
        for value in 1..=100 {
            histogram.record(value, 1);
        }
        assert_eq!(histogram.quantile(0.5), Some(50));
        assert_eq!(histogram.quantile(0.0), Some(1));
        assert_eq!(histogram.quantile(0.99), Some(99));
    }

    #[test]
    fn a_bucket_holds_its_highest_value_and_nothing_above() {
        for bucket_number in 0..BUCKETS {
            let value = highest(bucket_number);
            assert_eq!(bucket(value), bucket_number, "{value}");
            if value < u64::MAX {
                assert_eq!(bucket(value + 1), bucket_number + 1, "{value}");
            }
        }
        assert_eq!(highest(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn quantiles_are_right_to_a_sixty_fourth() {
        let mut histogram = Histogram::default();
        for value in (0..1_000_000u64).step_by(7) {
            histogram.record(value, 1);
        }
        for share in [0.01, 0.5, 0.99, 0.999] {
            let found = histogram.quantile(share).unwrap();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of a million"
            )]
            let exact = (1_000_000.0 * share) as u64;
            assert!(found >= exact.saturating_sub(7) && found <= exact + exact / 64 + 7, "{share}: {found}");
        }
    }

    #[test]
    fn many_times_count_as_often() {
        let mut histogram = Histogram::default();
        histogram.record(1_000, 999);
        histogram.record(5, 1);
        assert_eq!(histogram.quantile(0.001), Some(5));
        assert_eq!(histogram.quantile(0.5), Some(1_007));
    }
}
