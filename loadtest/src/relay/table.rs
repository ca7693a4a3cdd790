//! Rows of a table: a load, what is measured about it, and how much better than others we have to be.

use serde::Serialize;

use crate::relay::args::{Load, Other, Work};
use crate::relay::round::Round;
use crate::summary::Middle;
use crate::verdict::Verdict;

/// Less than this share of its core, and a server was not saturated: the generator was slower than it, or somebody else
/// took its core.
const SATURATED: f64 = 0.85;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Microseconds of the server's CPU time for each packet, answer, or pair of Allocate and Refresh.
    CpuMicroseconds,
    /// Microseconds that 99 % of the packets are not above.
    LatencyMicroseconds,
    /// Bytes for each idle allocation.
    BytesPerAllocation,
}

impl Measure {
    /// Its value in a round.
    #[must_use]
    pub const fn of(self, round: &Round) -> f64 {
        match self {
            Self::CpuMicroseconds => round.microseconds,
            Self::LatencyMicroseconds => round.latency[1],
            Self::BytesPerAllocation => round.bytes_per_allocation,
        }
    }

    /// What its numbers count.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::CpuMicroseconds => "µs CPU",
            Self::LatencyMicroseconds => "µs p99",
            Self::BytesPerAllocation => "B",
        }
    }
}

/// Ours may be at most so many times as large as another's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// Whose.
    pub against: Other,
    /// So many times; `None`: it is only shown.
    pub at_most: Option<f64>,
}

/// A line of the table before it is measured.
#[derive(Clone, Debug)]
pub struct Row {
    /// What people call it.
    pub name: String,
    /// What the servers bear.
    pub load: Load,
    /// What is compared.
    pub measure: Measure,
    /// With whom.
    pub goals: Vec<Goal>,
}

/// What was measured with one server.
#[derive(Clone, Debug, Serialize)]
pub struct Measured {
    /// Its name.
    pub server: &'static str,
    /// The compared value over its rounds.
    pub value: Middle,
    /// Everything about each round.
    pub rounds: Vec<Round>,
}

/// Ours beside another.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// Whose value is the divisor.
    pub against: &'static str,
    /// Ours as a multiple of it.
    pub ratio: Middle,
    /// At most so many times.
    pub at_most: Option<f64>,
    /// Whether it is reached.
    pub verdict: Verdict,
}

/// A line of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What people call it.
    pub name: String,
    /// What the servers bore.
    pub load: Load,
    /// What is compared.
    pub measure: Measure,
    /// Ours first.
    pub measured: Vec<Measured>,
    /// For each goal, in its order.
    pub compared: Vec<Compared>,
    /// Servers that used so little of their core that the generator limited them, although it did its best.
    pub not_saturated: Vec<&'static str>,
}

impl Line {
    /// From what was measured; `missing` says why another could not be.
    #[must_use]
    pub fn of(row: &Row, rounds: Vec<(&'static str, Vec<Round>)>, missing: &[(Other, String)]) -> Self {
        let saturating = row.load.rate.is_none() && row.load.work != Work::Idle;
        let not_saturated = rounds
            .iter()
            .filter(|(_, rounds)| saturating && Middle::over(rounds, |round| round.busy).median < SATURATED)
            .map(|&(server, _)| server)
            .collect();
        let compared = row.goals.iter().map(|goal| compare(row.measure, goal, &rounds, missing)).collect();
        let measured = rounds
            .into_iter()
            .map(|(server, rounds)| Measured {
                server,
                value: Middle::over(&rounds, |round| row.measure.of(round)),
                rounds,
            })
            .collect();
        Self {
            name: row.name.clone(),
            load: row.load,
            measure: row.measure,
            measured,
            compared,
            not_saturated,
        }
    }
}

fn compare(
    measure: Measure,
    goal: &Goal,
    rounds: &[(&'static str, Vec<Round>)],
    missing: &[(Other, String)],
) -> Compared {
    let against = goal.against.name();
    let of = |wanted: &str| rounds.iter().find(|(server, _)| *server == wanted).map(|(_, rounds)| rounds);
    let (Some((_, ours)), Some(others)) = (rounds.first(), of(against)) else {
        let why = missing.iter().find(|(other, _)| *other == goal.against).map(|(_, why)| why.clone());
        let verdict = Verdict::NotMeasured(why.unwrap_or_else(|| format!("add `--compare {against}`")));
        return Compared { against, ratio: Middle::of([]), at_most: goal.at_most, verdict };
    };
    let ratio = Middle::of_ratios(ours, others, |round| measure.of(round));
    let verdict = Verdict::of(ratio.median, goal.at_most);
    Compared { against, ratio, at_most: goal.at_most, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Waiting;
    use crate::relay::standard;

    fn round(microseconds: f64, busy: f64) -> Round {
        Round {
            microseconds,
            user: 0.0,
            system: 0.0,
            rate: 1.0,
            loss: 0.0,
            busy,
            memory: 0,
            bytes_per_allocation: 0.0,
            latency: [0.0; 3],
        }
    }

    fn row(at_most: Option<f64>) -> Row {
        let mut row = standard::rows(std::time::Duration::from_secs(1), Waiting::Polling).swap_remove(0);
        row.goals = vec![Goal { against: Other::Coturn, at_most }];
        row
    }

    #[test]
    fn the_ratio_is_the_median_of_the_ratios_of_neighbouring_rounds() {
        // The machine was twice as slow in the second pair of rounds.
        let ours = vec![round(1.0, 1.0), round(2.0, 1.0), round(1.2, 1.0)];
        let others = vec![round(2.0, 1.0), round(4.0, 1.0), round(2.0, 1.0)];
        let line = Line::of(&row(Some(0.5)), vec![("causeway", ours), ("coturn", others)], &[]);
        let [compared] = line.compared.as_slice() else { panic!("one goal") };
        assert_eq!(compared.ratio, Middle { median: 0.5, lowest: 0.5, highest: 0.6 });
        assert_eq!(compared.verdict, Verdict::Holds);
    }

    #[test]
    fn above_its_goal_a_row_misses() {
        let rounds = vec![("causeway", vec![round(1.01, 1.0)]), ("coturn", vec![round(2.0, 1.0)])];
        let line = Line::of(&row(Some(0.5)), rounds.clone(), &[]);
        assert_eq!(line.compared[0].verdict, Verdict::Misses);
        assert_eq!(Line::of(&row(None), rounds, &[]).compared[0].verdict, Verdict::Shown);
    }

    #[test]
    fn without_the_other_nothing_is_said() {
        let missing = [(Other::Coturn, "not here".to_owned())];
        let line = Line::of(&row(Some(0.5)), vec![("causeway", vec![round(1.0, 1.0)])], &missing);
        assert_eq!(line.compared[0].verdict, Verdict::NotMeasured("not here".to_owned()));
    }

    #[test]
    fn a_server_with_time_left_is_named() {
        let rounds = vec![("causeway", vec![round(1.0, 0.5)]), ("coturn", vec![round(2.0, 0.99)])];
        let mut row = row(Some(0.5));
        assert_eq!(Line::of(&row, rounds.clone(), &[]).not_saturated, ["causeway"]);
        row.load.rate = Some(1_000);
        assert_eq!(Line::of(&row, rounds, &[]).not_saturated, [""; 0]);
    }
}
