//! What the table of rooms and signaling compares.

use serde::Serialize;

use super::args::{Load, Rival, Work};
use super::round::Round;
use crate::summary::Middle;
use crate::table;
use crate::verdict::Verdict;

/// Less than this share of what was asked for, and the load was another one.
const REACHED: f64 = 0.98;

/// A line of the table before it is measured.
pub type Row = table::Row<Load>;
/// A line of the table.
pub type Line = table::Line<Load>;
/// How good we have to be.
pub type Goal = table::Goal<Rival>;

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

/// What a line says beside its numbers.
#[derive(Debug, Serialize)]
pub struct Remarks {
    /// Whether ours passed on every event once and in order in every round, and nothing else went wrong.
    pub sound: Verdict,
    /// Servers that did not get, or did not do, as much as was asked for.
    pub short: Vec<&'static str>,
}

impl table::Load for Load {
    type Other = Rival;
    type Measure = Measure;
    type Round = Round;
    type Remarks = Remarks;

    const HAS_LIMITS: bool = true;

    fn value(measure: Measure, round: &Round) -> f64 {
        match measure {
            Measure::CpuMicroseconds => round.microseconds,
            Measure::MessageMilliseconds => round.message_ms[1],
            Measure::JoinMilliseconds => round.join_ms[1],
            Measure::ReturnMilliseconds => round.return_ms[1],
            Measure::BytesPerConnection => round.bytes_per_connection,
        }
    }

    fn unit(measure: Measure) -> &'static str {
        match measure {
            Measure::CpuMicroseconds => "µs CPU",
            Measure::MessageMilliseconds | Measure::JoinMilliseconds | Measure::ReturnMilliseconds => {
                "ms p99"
            }
            Measure::BytesPerConnection => "B",
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2⁵³")]
    fn is_borne(&self, rounds: &[Round]) -> bool {
        let rate = Middle::over(rounds, |round| round.rate).median;
        match self.work {
            Work::Churn | Work::Ice | Work::Talk => rate >= self.rate as f64 * REACHED,
            // As fast as the server takes it, and with a pause.
            Work::Idle | Work::Storm => true,
        }
    }

    fn remarks(short: Vec<&'static str>, ours: &[Round]) -> Remarks {
        Remarks { sound: Verdict::held(ours.iter().all(Round::is_sound)), short }
    }
}

impl table::Other for Rival {
    fn name(self) -> &'static str {
        match self {
            Self::PeerJs => "peerjs",
            Self::SocketIo => "socket.io",
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
    use crate::signal::standard;

    fn round(rate: f64) -> Round {
        Round {
            microseconds: 1.0,
            rate,
            busy: 0.5,
            connections: 2,
            message_ms: [0.0; 3],
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

    fn remarks(ours: Round) -> Remarks {
        let mut row = standard::rows(Duration::from_secs(1), 1, Waiting::Polling).swap_remove(0);
        row.load = Load { work: Work::Talk, rate: 100, ..row.load };
        Line::of(&row, vec![("causeway", vec![ours])], &[]).remarks
    }

    #[test]
    fn who_did_less_than_was_asked_for_is_named() {
        assert_eq!(remarks(round(90.0)).short, ["causeway"]);
        assert_eq!(remarks(round(99.0)).short, [""; 0]);
    }

    #[test]
    fn a_lost_event_is_a_miss() {
        assert_eq!(remarks(round(100.0)).sound, Verdict::Holds);
        let lossy = Round { faults: Faults { lost: 1, ..Faults::default() }, ..round(100.0) };
        assert_eq!(remarks(lossy).sound, Verdict::Misses);
    }
}
