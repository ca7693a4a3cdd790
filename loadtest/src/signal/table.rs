//! Rows of the table: a load, what is measured about it, and how good we have to be.

use serde::Serialize;

use crate::signal::args::{Load, Rival, Work};
use crate::signal::round::Round;
use crate::summary::Middle;
use crate::verdict::Verdict;

/// Less than this share of what was asked for, and the load was another one.
const REACHED: f64 = 0.98;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Of the nodes, for each message, guest, or connection made.
    CpuMicroseconds,
    /// From a message to its arrival, 99 %.
    MessageMilliseconds,
    /// From hello to `peer-joined`, 99 %.
    JoinMilliseconds,
    /// From the cut to being back, 99 %.
    ReturnMilliseconds,
    /// Of the nodes, for each idle connection.
    BytesPerConnection,
}

impl Measure {
    /// Its value in a round.
    #[must_use]
    pub const fn of(self, round: &Round) -> f64 {
        match self {
            Self::CpuMicroseconds => round.microseconds,
            Self::MessageMilliseconds => round.message_ms[1],
            Self::JoinMilliseconds => round.join_ms[1],
            Self::ReturnMilliseconds => round.return_ms[1],
            Self::BytesPerConnection => round.bytes_per_connection,
        }
    }

    /// What its numbers count.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::CpuMicroseconds => "µs CPU",
            Self::MessageMilliseconds | Self::JoinMilliseconds | Self::ReturnMilliseconds => "ms p99",
            Self::BytesPerConnection => "B",
        }
    }
}

/// What a value is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// A number that is not to be exceeded.
    Limit,
    /// Another server's value, as a divisor.
    Rival(Rival),
}

/// How good we have to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// The yardstick.
    pub against: Against,
    /// The limit, or so many times the rival's value; `None`: it is only shown.
    pub at_most: Option<f64>,
}

/// A line of the table before it is measured.
#[derive(Clone, Debug)]
pub struct Row {
    /// What people call it.
    pub name: String,
    /// What the servers bear.
    pub load: Load,
    /// Rounds that count.
    pub rounds: usize,
    /// What is compared.
    pub measure: Measure,
    /// With what.
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

/// Ours beside a yardstick.
#[derive(Clone, Debug, Serialize)]
pub struct Compared {
    /// `goal`, or whose value is the divisor.
    pub against: &'static str,
    /// Ours as a multiple of it.
    pub ratio: Middle,
    /// At most so many times.
    pub at_most: Option<f64>,
    /// The limit itself.
    pub limit: Option<f64>,
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
    /// Whether ours passed on every event once and in order in every round, and nothing else went wrong.
    pub sound: Verdict,
    /// Servers that did not get, or did not do, as much as was asked for.
    pub short: Vec<&'static str>,
}

impl Line {
    /// From what was measured; `missing` says why another could not be.
    #[must_use]
    pub fn of(row: &Row, rounds: Vec<(&'static str, Vec<Round>)>, missing: &[(Rival, String)]) -> Self {
        let compared = row.goals.iter().map(|goal| compare(row, goal, &rounds, missing)).collect();
        let is_sound = rounds.first().is_some_and(|(_, ours)| ours.iter().all(Round::is_sound));
        let short = rounds
            .iter()
            .filter(|(_, rounds)| is_short(&row.load, Middle::over(rounds, |round| round.rate).median))
            .map(|&(server, _)| server)
            .collect();
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
            sound: if is_sound { Verdict::Holds } else { Verdict::Misses },
            short,
        }
    }

    /// All that is to hold.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.compared.iter().map(|compared| &compared.verdict).chain([&self.sound])
    }
}

/// Whether less was done than was asked for.
#[expect(clippy::cast_precision_loss, reason = "counts far below 2⁵³")]
fn is_short(load: &Load, rate: f64) -> bool {
    match load.work {
        Work::Churn | Work::Ice | Work::Talk => rate < load.rate as f64 * REACHED,
        // As fast as the server takes it, and with a pause.
        Work::Idle | Work::Storm => false,
    }
}

fn compare(
    row: &Row,
    goal: &Goal,
    rounds: &[(&'static str, Vec<Round>)],
    missing: &[(Rival, String)],
) -> Compared {
    let of = |round: &Round| row.measure.of(round);
    let ours = rounds.first().map_or(&[][..], |(_, ours)| ours);
    match goal.against {
        Against::Limit => {
            let limit = goal.at_most.unwrap_or(f64::NAN);
            let ratio = Middle::over(ours, |round| of(round) / limit);
            let short = is_short(&row.load, Middle::over(ours, |round| round.rate).median);
            let verdict = if short { Verdict::Misses } else { Verdict::of(ratio.median, Some(1.0)) };
            Compared { against: "goal", ratio, at_most: Some(1.0), limit: goal.at_most, verdict }
        }
        Against::Rival(rival) => {
            let (against, at_most) = (rival.name(), goal.at_most);
            let others = rounds.iter().find(|(server, _)| *server == against);
            let Some((_, others)) = others else {
                let why = missing.iter().find(|(other, _)| *other == rival).map(|(_, why)| why.clone());
                let verdict = Verdict::NotMeasured(why.unwrap_or_default());
                return Compared { against, ratio: Middle::of([]), at_most, limit: None, verdict };
            };
            let ratio = Middle::of_ratios(ours, others, of);
            Compared { against, ratio, at_most, limit: None, verdict: Verdict::of(ratio.median, at_most) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::args::Waiting;
    use crate::signal::checker::Faults;
    use crate::verdict::Outcome;

    fn row(at_most: f64) -> Row {
        let load = Load {
            work: Work::Talk,
            nodes: 1,
            connections: 2,
            room: 2,
            rate: 100,
            size: 200,
            waiting: Waiting::Polling,
            span: Duration::from_secs(1),
        };
        let goals = vec![
            Goal { against: Against::Limit, at_most: Some(at_most) },
            Goal { against: Against::Rival(Rival::PeerJs), at_most: Some(1.0) },
        ];
        Row { name: "a row".to_owned(), load, rounds: 1, measure: Measure::MessageMilliseconds, goals }
    }

    fn round(p99: f64, rate: f64) -> Round {
        Round {
            microseconds: 1.0,
            rate,
            busy: 0.5,
            connections: 2,
            message_ms: [0.0, p99, 0.0],
            join_ms: [0.0; 3],
            return_ms: [0.0; 3],
            faults: Faults::default(),
            resumed: 0,
            resynced: 0,
            pardoned: 0,
            troubles: BTreeMap::new(),
            bytes_per_connection: 0.0,
            memory: 0,
        }
    }

    fn verdicts(at_most: f64, ours: Round, other: Round) -> Vec<Verdict> {
        let rounds = vec![("causeway", vec![ours]), ("peerjs", vec![other])];
        Line::of(&row(at_most), rounds, &[]).verdicts().cloned().collect()
    }

    #[test]
    fn a_limit_and_a_rival_are_both_held_against_the_median() {
        use Verdict::{Holds, Misses};
        assert_eq!(verdicts(50.0, round(20.0, 100.0), round(30.0, 100.0)), [Holds, Holds, Holds]);
        assert_eq!(verdicts(10.0, round(20.0, 100.0), round(10.0, 100.0)), [Misses, Misses, Holds]);
    }

    #[test]
    fn a_fast_server_that_did_not_do_its_work_reaches_no_limit() {
        assert_eq!(verdicts(50.0, round(1.0, 90.0), round(30.0, 100.0))[0], Verdict::Misses);
    }

    #[test]
    fn a_lost_event_is_a_miss_of_the_whole_run() {
        let lossy = Round { faults: Faults { lost: 1, ..Faults::default() }, ..round(1.0, 100.0) };
        let verdicts = verdicts(50.0, lossy, round(30.0, 100.0));
        assert_eq!(Outcome::of(&verdicts), Outcome::Misses);
    }

    #[test]
    fn without_the_other_nothing_is_said() {
        let missing = [(Rival::PeerJs, "not here".to_owned())];
        let line = Line::of(&row(50.0), vec![("causeway", vec![round(1.0, 100.0)])], &missing);
        assert_eq!(line.compared[1].verdict, Verdict::NotMeasured("not here".to_owned()));
    }
}
