//! From rounds to numbers that can be compared: medians and spreads.

use serde::Serialize;

/// A median, and how far the values spread around it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Middle {
    /// As many values are below as above.
    pub median: f64,
    /// The lowest.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

impl Middle {
    /// Of at least one value; of none it is not a number.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(at(middle.wrapping_sub(1)), at(middle))
        } else {
            at(middle)
        };
        Self { median, lowest: at(0), highest: at(values.len().wrapping_sub(1)) }
    }

    /// Of one thing about each round.
    pub fn over<R>(rounds: &[R], what: impl Fn(&R) -> f64) -> Self {
        Self::of(rounds.iter().map(what))
    }

    /// Of the ratios of neighbouring rounds: both were measured within seconds, so what disturbs the machine for
    /// longer than that cancels out.
    pub fn of_ratios<R>(ours: &[R], others: &[R], what: impl Fn(&R) -> f64) -> Self {
        Self::of(ours.iter().zip(others).map(|(ours, other)| what(ours) / what(other)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_or_between_the_two_middles() {
        let odd = Middle::of([3.0, 1.0, 2.0]);
        assert_eq!(odd, Middle { median: 2.0, lowest: 1.0, highest: 3.0 });
        assert_eq!(Middle::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert_eq!(Middle::of([7.0]), Middle { median: 7.0, lowest: 7.0, highest: 7.0 });
    }

    #[test]
    fn the_median_of_nothing_is_not_a_number() {
        assert!(Middle::of([]).median.is_nan());
    }
}
