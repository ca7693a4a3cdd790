//! Tables: a load in each row, what is measured about it, and how good we have to be. Knows nothing of what servers do.

use std::fmt::Debug;

use serde::Serialize;

use crate::failure::Failure;
use crate::summary::Middle;
use crate::verdict::Verdict;

/// A kind of load, and what is measured with those who bear it.
pub trait Load: Copy + Debug + Serialize {
    /// A server to compare with.
    type Other: Other;
    /// What is compared.
    type Measure: Copy + Debug + Serialize;
    /// Everything about one round of one server.
    type Round: Clone + Debug + Serialize;
    /// What files say of a line after the rest.
    type Remarks: Debug + Serialize;

    /// Whether a row may have a limit, which files then name.
    const HAS_LIMITS: bool;

    /// The compared value of a round.
    fn value(measure: Self::Measure, round: &Self::Round) -> f64;

    /// What such a value counts.
    fn unit(measure: Self::Measure) -> &'static str;

    /// Whether a server got, and did, what this load says.
    fn is_borne(&self, rounds: &[Self::Round]) -> bool;

    /// `short`: servers that did not bear the load.
    fn remarks(short: Vec<&'static str>, ours: &[Self::Round]) -> Self::Remarks;
}

/// A server to compare with.
pub trait Other: Copy + Debug + PartialEq {
    /// What tables and files call it.
    fn name(self) -> &'static str;
}

/// What a value is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against<O> {
    /// A number that is not to be exceeded.
    Limit,
    /// Another server's value, as a divisor.
    Other(O),
}

/// How good we have to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal<O> {
    /// The yardstick.
    pub against: Against<O>,
    /// The limit, or so many times the other's value; `None`: it is only shown.
    pub at_most: Option<f64>,
}

impl<O> Goal<O> {
    /// At most this.
    pub const fn limit(most: f64) -> Self {
        Self { against: Against::Limit, at_most: Some(most) }
    }

    /// At most so many times as much as another.
    pub const fn at_most(other: O, times: f64) -> Self {
        Self { against: Against::Other(other), at_most: Some(times) }
    }

    /// Shown beside another.
    pub const fn shown(other: O) -> Self {
        Self { against: Against::Other(other), at_most: None }
    }
}

/// A line of the table before it is measured.
#[derive(Clone, Debug)]
pub struct Row<L: Load> {
    /// What people call it.
    pub name: String,
    /// What the servers bear.
    pub load: L,
    /// Rounds that count.
    pub rounds: usize,
    /// What is compared.
    pub measure: L::Measure,
    /// With what.
    pub goals: Vec<Goal<L::Other>>,
}

impl<L: Load> Row<L> {
    /// Those others that it is compared with.
    pub(crate) fn others(&self) -> impl Iterator<Item = L::Other> {
        self.goals.iter().filter_map(|goal| match goal.against {
            Against::Limit => None,
            Against::Other(other) => Some(other),
        })
    }
}

/// Those rows of the standard table whose name contains `only`, if that is given.
///
/// # Errors
/// There is none.
pub(crate) fn named<L: Load>(mut rows: Vec<Row<L>>, only: Option<&str>) -> Result<Vec<Row<L>>, Failure> {
    rows.retain(|row| only.is_none_or(|only| row.name.contains(only)));
    if rows.is_empty() {
        return Err(Failure::Usage("no row of the standard table has what --only says in its name"));
    }
    Ok(rows)
}

/// The rounds of each server by its name, ours first.
pub(crate) type Rounds<R> = Vec<(&'static str, Vec<R>)>;

/// What was measured with one server.
#[derive(Debug, Serialize)]
pub struct Measured<R> {
    /// Its name.
    pub server: &'static str,
    /// The compared value over its rounds.
    pub value: Middle,
    /// Everything about each round.
    pub rounds: Vec<R>,
}

/// Ours beside a yardstick.
#[derive(Debug, Serialize)]
pub struct Compared {
    /// `goal`, or whose value is the divisor.
    pub against: &'static str,
    /// Ours as a multiple of it.
    pub ratio: Middle,
    /// At most so many times.
    pub at_most: Option<f64>,
    /// The limit itself; `None`: a load of this kind has none, and files do not mention it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Option<f64>>,
    /// Whether it is reached.
    pub verdict: Verdict,
}

/// A line of the table.
#[derive(Debug, Serialize)]
pub struct Line<L: Load> {
    /// What people call it.
    pub name: String,
    /// What the servers bore.
    pub load: L,
    /// What is compared.
    pub measure: L::Measure,
    /// Ours first.
    pub measured: Vec<Measured<L::Round>>,
    /// For each goal, in its order.
    pub compared: Vec<Compared>,
    /// What a load of this kind has beside that.
    #[serde(flatten)]
    pub remarks: L::Remarks,
}

impl<L: Load> Line<L> {
    /// From what was measured; `missing` says why another could not be.
    pub(crate) fn of(row: &Row<L>, rounds: Rounds<L::Round>, missing: &[(L::Other, String)]) -> Self {
        let short = rounds.iter().filter(|(_, rounds)| !row.load.is_borne(rounds));
        let short = short.map(|&(server, _)| server).collect();
        let compared = row.goals.iter().map(|goal| compare(row, goal, &rounds, missing)).collect();
        let remarks = L::remarks(short, rounds.first().map_or(&[], |(_, ours)| ours));
        let measured = rounds
            .into_iter()
            .map(|(server, rounds)| Measured {
                server,
                value: Middle::over(&rounds, |round| L::value(row.measure, round)),
                rounds,
            })
            .collect();
        Self { name: row.name.clone(), load: row.load, measure: row.measure, measured, compared, remarks }
    }

    /// Whether each goal is reached.
    pub(crate) fn verdicts(&self) -> impl Iterator<Item = Verdict> {
        self.compared.iter().map(|compared| compared.verdict.clone())
    }
}

fn compare<L: Load>(
    row: &Row<L>,
    goal: &Goal<L::Other>,
    rounds: &Rounds<L::Round>,
    missing: &[(L::Other, String)],
) -> Compared {
    let of = |round: &L::Round| L::value(row.measure, round);
    let ours = rounds.first().map_or(&[][..], |(_, ours)| ours);
    let beside = |against, ratio, at_most, limit: Option<f64>, verdict| {
        let limit = L::HAS_LIMITS.then_some(limit);
        Compared { against, ratio, at_most, limit, verdict }
    };
    match goal.against {
        Against::Limit => {
            let limit = goal.at_most.unwrap_or(f64::NAN);
            let ratio = Middle::over(ours, |round| of(round) / limit);
            let verdict = Verdict::held(row.load.is_borne(ours) && ratio.median <= 1.0);
            beside("goal", ratio, Some(1.0), goal.at_most, verdict)
        }
        Against::Other(other) => {
            let Some((_, others)) = rounds.iter().find(|(server, _)| *server == other.name()) else {
                let why = missing.iter().find(|(known, _)| *known == other).map(|(_, why)| why.clone());
                let verdict = Verdict::NotMeasured(why.unwrap_or_default());
                return beside(other.name(), Middle::of([]), goal.at_most, None, verdict);
            };
            let ratio = Middle::of_ratios(ours, others, of);
            beside(other.name(), ratio, goal.at_most, None, Verdict::of(ratio.median, goal.at_most))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_ratio_is_the_median_of_the_ratios_of_neighbouring_rounds() {
        // The machine was twice as slow in the second pair of rounds.
        let line = line(Goal::at_most(Rival, 0.5), &[1.0, 2.0, 1.2], &[2.0, 4.0, 2.0]);
        assert_eq!(line.compared[0].ratio, Middle { median: 0.5, lowest: 0.5, highest: 0.6 });
        assert_eq!(line.compared[0].verdict, Verdict::Holds);
    }

    #[test]
    fn above_its_goal_a_row_misses() {
        let verdict = |goal| line(goal, &[1.01], &[2.0]).compared.remove(0).verdict;
        assert_eq!(verdict(Goal::at_most(Rival, 0.5)), Verdict::Misses);
        assert_eq!(verdict(Goal::shown(Rival)), Verdict::Shown);
        assert_eq!(verdict(Goal::limit(1.0)), Verdict::Misses);
        assert_eq!(verdict(Goal::limit(2.0)), Verdict::Holds);
    }

    #[test]
    fn a_fast_server_that_did_not_do_its_work_reaches_no_limit() {
        let line = line(Goal::limit(1.0), &[NOTHING_DONE], &[2.0]);
        assert_eq!(line.compared[0].verdict, Verdict::Misses);
        assert_eq!(line.remarks.short, ["ours"]);
    }

    #[test]
    fn without_the_other_nothing_is_said() {
        let missing = [(Rival, "not here".to_owned())];
        let line = Line::of(&row(Goal::at_most(Rival, 0.5)), vec![("ours", vec![1.0])], &missing);
        assert_eq!(line.compared[0].verdict, Verdict::NotMeasured("not here".to_owned()));
    }

    #[test]
    fn files_name_the_limit_wherever_there_may_be_one() {
        let limit = |goal| serde_json::to_value(line(goal, &[1.0], &[2.0])).unwrap()["compared"][0].take();
        assert_eq!(limit(Goal::limit(2.0))["limit"], json!(2.0));
        assert_eq!(limit(Goal::shown(Rival)).get("limit"), Some(&json!(null)));
    }

    #[test]
    fn a_part_of_their_name_selects_rows() {
        let rows = || vec![row(Goal::limit(1.0))];
        assert_eq!(named(rows(), None).unwrap().len(), 1);
        assert_eq!(named(rows(), Some("row")).unwrap().len(), 1);
        assert!(named(rows(), Some("other")).is_err());
    }

    /// What a round measured that did less than it was asked to.
    const NOTHING_DONE: f64 = 0.0;

    #[derive(Clone, Copy, Debug, PartialEq, Serialize)]
    struct Rival;

    #[derive(Debug, Serialize)]
    struct Short {
        short: Vec<&'static str>,
    }

    impl Other for Rival {
        fn name(self) -> &'static str {
            "rival"
        }
    }

    impl Load for Rival {
        type Other = Self;
        type Measure = Self;
        type Round = f64;
        type Remarks = Short;
        const HAS_LIMITS: bool = true;

        fn value(_measure: Self, round: &f64) -> f64 {
            *round
        }

        fn unit(_measure: Self) -> &'static str {
            ""
        }

        fn is_borne(&self, rounds: &[f64]) -> bool {
            rounds.iter().all(|&round| round > NOTHING_DONE)
        }

        fn remarks(short: Vec<&'static str>, _ours: &[f64]) -> Short {
            Short { short }
        }
    }

    fn row(goal: Goal<Rival>) -> Row<Rival> {
        Row { name: "a row".to_owned(), load: Rival, rounds: 1, measure: Rival, goals: vec![goal] }
    }

    fn line(goal: Goal<Rival>, ours: &[f64], others: &[f64]) -> Line<Rival> {
        Line::of(&row(goal), vec![("ours", ours.to_vec()), ("rival", others.to_vec())], &[])
    }
}
