//! When what happens: drawn from a seed, so that it can be repeated.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

use crate::fault::{Fault, Kind};
use crate::proxy::Way;

/// A minute has each kind at least once.
const MINUTE: Duration = Duration::from_secs(60);

/// What every minute has.
const EACH_MINUTE: [Kind; 10] = [
    Kind::Kill,
    Kind::Kill,
    Kind::Freeze,
    Kind::Drain,
    Kind::Cut,
    Kind::Hold,
    Kind::Slow,
    Kind::Mute,
    Kind::BreakSockets,
    Kind::BreakSockets,
];

/// A fault and when it begins, counted from the start.
#[derive(Clone, Debug, PartialEq)]
pub struct Planned {
    pub at: Duration,
    pub fault: Fault,
}

/// The plan for so much time; whole minutes, and shorter times as one.
///
/// ```text
/// 0          9 s                            46 s         56 s    60 s
/// │ Redis is │ everything else, in any order │ network    │ calm  │
/// │ emptied  │ and over one another          │ faults end │       │
/// ```
/// Redis is emptied while nothing else goes on: what is known of a room whose owner has just died is in Redis alone, and two
/// losses at a time are more than is promised.
pub fn draw(seed: u64, lasting: Duration, nodes: usize) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let minutes = lasting.as_secs().div_ceil(MINUTE.as_secs()).max(1);
    let mut plan = Vec::new();
    for minute in 0..minutes {
        let begin = MINUTE * u32::try_from(minute).expect("a test is short");
        let down = milliseconds(&mut random, 200..3000);
        let at = begin + milliseconds(&mut random, 1000..2500);
        plan.push(Planned { at, fault: Fault::EmptyRedis { down } });
        let mut kinds = EACH_MINUTE;
        kinds.shuffle(&mut random);
        for (slot, kind) in kinds.into_iter().enumerate() {
            let fault = draw_fault(kind, nodes, &mut random);
            // Equal slots; whatever would last too long begins earlier.
            let slot = u64::try_from(slot).expect("a few");
            let wished = milliseconds(&mut random, 9_000 + slot * 3_700..9_000 + (slot + 1) * 3_700);
            let end = if has_a_sequel(kind) { 46 } else { 56 };
            let latest = Duration::from_secs(end) - fault.lasting();
            plan.push(Planned { at: begin + wished.min(latest), fault });
        }
    }
    plan.sort_by_key(|planned| planned.at);
    plan
}

/// What takes up to twelve seconds more: rooms move, or a node finds out that it hears nothing.
const fn has_a_sequel(kind: Kind) -> bool {
    matches!(kind, Kind::Kill | Kind::Freeze | Kind::Drain | Kind::Mute)
}

fn draw_fault(kind: Kind, nodes: usize, random: &mut StdRng) -> Fault {
    let node = random.random_range(0..nodes);
    match kind {
        Kind::Kill => Fault::Kill { node, down: milliseconds(random, 0..2_000) },
        // A lease is ten seconds.
        Kind::Freeze => Fault::Freeze { node, lasting: milliseconds(random, 11_000..14_000) },
        Kind::Drain => Fault::Drain { node },
        Kind::EmptyRedis => Fault::EmptyRedis { down: milliseconds(random, 200..3_000) },
        Kind::Cut => Fault::Cut { node, lasting: milliseconds(random, 100..13_000) },
        Kind::Hold => {
            let ways = [vec![Way::ToRedis], vec![Way::FromRedis], vec![Way::ToRedis, Way::FromRedis]];
            let ways = ways[random.random_range(0..ways.len())].clone();
            Fault::Hold { node, ways, lasting: milliseconds(random, 1_000..14_000) }
        }
        Kind::Slow => {
            let delay = milliseconds(random, 20..400);
            Fault::Slow { node, delay, lasting: milliseconds(random, 2_000..10_000) }
        }
        Kind::Mute => Fault::Mute { node },
        Kind::BreakSockets => Fault::BreakSockets { percent: random.random_range(10..=100) },
    }
}

fn milliseconds(random: &mut StdRng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.random_range(range))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_seed_is_a_plan() {
        let five = Duration::from_secs(300);
        assert_eq!(draw(7, five, 3), draw(7, five, 3));
        assert_ne!(draw(7, five, 3), draw(8, five, 3));
    }

    #[test]
    fn every_minute_has_every_kind_and_ends_calmly() {
        for seed in 0..50 {
            let plan = draw(seed, Duration::from_secs(300), 3);
            for minute in 0..5 {
                let (begin, end) = (MINUTE * minute, MINUTE * minute + Duration::from_secs(56));
                let here: Vec<_> =
                    plan.iter().filter(|one| (begin..begin + MINUTE).contains(&one.at)).collect();
                let mut kinds = BTreeMap::new();
                for planned in &here {
                    *kinds.entry(planned.fault.kind()).or_insert(0) += 1;
                    assert!(planned.at + planned.fault.lasting() <= end, "{planned:?}");
                }
                assert_eq!(kinds.len(), 9, "{kinds:?}");
                assert_eq!(kinds[&Kind::Kill], 2);
            }
        }
    }

    #[test]
    fn redis_is_emptied_while_nothing_else_goes_on() {
        for seed in 0..50 {
            let plan = draw(seed, Duration::from_secs(120), 3);
            let emptied = plan.iter().filter(|one| one.fault.kind() == Kind::EmptyRedis);
            for empty in emptied {
                let until = empty.at + empty.fault.lasting() + Duration::from_secs(3);
                let others = plan.iter().filter(|other| *other != empty);
                for other in others {
                    let over = other.at + other.fault.lasting();
                    assert!(over < empty.at || other.at > until, "{empty:?} and {other:?}");
                }
            }
        }
    }
}
