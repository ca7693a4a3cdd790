//! The node's bandwidth, shared fairly between groups when it does not suffice for all: max–min, by filling with water.
//!
//! ```text
//! demand    1   10  100 MB/s, capacity 30
//!                    │
//! level ~~~~~~~~~~~~~│~~ 19 ~~    who needs less than the level gets all of it,
//!               │    │            the others get the level
//!           │   │    │
//! ```

/// The rate that no group may exceed, so that all together get the capacity. Where it suffices, what is left over is on
/// top of the largest demand: any group may grow into it, until the level is computed again.
pub(super) fn level(demands: &mut [u64], capacity: u64) -> u64 {
    let sum = demands.iter().fold(0, |sum: u64, demand| sum.saturating_add(*demand));
    if sum <= capacity {
        let largest = demands.iter().max().copied().unwrap_or(0);
        return largest.saturating_add(capacity.saturating_sub(sum));
    }
    demands.sort_unstable();
    let mut left = capacity;
    let mut waiting = demands.len() as u64;
    for demand in demands.iter() {
        let share = left.checked_div(waiting).unwrap_or(left);
        if *demand >= share {
            return share;
        }
        left = left.saturating_sub(*demand);
        waiting = waiting.saturating_sub(1);
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_level_leaves_small_demands_whole() {
        check(&[1, 10, 100], 30, 19);
        check(&[100, 10, 1], 30, 19);
        check(&[100, 100, 100], 30, 10);
        check(&[1, 1, 1], 30, 28);
        check(&[50], 30, 30);
        check(&[], 30, 30);
        check(&[10, 20], 30, 20);
        check(&[5, 5], 0, 0);
    }

    proptest! {
        #[test]
        fn all_together_get_the_capacity_or_what_they_need(
            demands in prop::collection::vec(0_u64..1_000_000, 0..50),
            capacity in 0_u64..10_000_000,
        ) {
            let level = level(&mut demands.clone(), capacity);
            let given: u64 = demands.iter().map(|demand| level.min(*demand)).sum();
            let sum: u64 = demands.iter().sum();
            prop_assert!(given <= capacity);
            // Less than one byte for each is lost to rounding.
            prop_assert!(given + demands.len() as u64 >= capacity.min(sum));
        }
    }

    fn check(demands: &[u64], capacity: u64, expected: u64) {
        assert_eq!(level(&mut demands.to_vec(), capacity), expected, "{demands:?} of {capacity}");
    }
}
