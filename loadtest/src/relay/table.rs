//! What the table of relays compares.

use serde::Serialize;

use super::args::{Load, Other, Work};
use super::round::Round;
use crate::summary::Middle;
use crate::table;

/// Less than this share of its core, and a server was not saturated: the generator was slower than it, or somebody else
/// took its core.
const SATURATED: f64 = 0.85;

/// A line of the table before it is measured.
pub type Row = table::Row<Load>;
/// A line of the table.
pub type Line = table::Line<Load>;
/// How much better than another we have to be.
pub type Goal = table::Goal<Other>;

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

/// What a line says beside its numbers.
#[derive(Debug, Serialize)]
pub struct Remarks {
    /// Servers that used so little of their core that the generator limited them, although it did its best.
    pub not_saturated: Vec<&'static str>,
}

impl table::Load for Load {
    type Other = Other;
    type Measure = Measure;
    type Round = Round;
    type Remarks = Remarks;

    const HAS_LIMITS: bool = false;

    fn value(measure: Measure, round: &Round) -> f64 {
        match measure {
            Measure::CpuMicroseconds => round.microseconds,
            Measure::LatencyMicroseconds => round.latency[1],
            Measure::BytesPerAllocation => round.bytes_per_allocation,
        }
    }

    fn unit(measure: Measure) -> &'static str {
        match measure {
            Measure::CpuMicroseconds => "µs CPU",
            Measure::LatencyMicroseconds => "µs p99",
            Measure::BytesPerAllocation => "B",
        }
    }

    fn is_borne(&self, rounds: &[Round]) -> bool {
        let saturating = self.rate.is_none() && self.work != Work::Idle;
        !(saturating && Middle::over(rounds, |round| round.busy).median < SATURATED)
    }

    fn remarks(short: Vec<&'static str>, _ours: &[Round]) -> Remarks {
        Remarks { not_saturated: short }
    }
}

impl table::Other for Other {
    fn name(self) -> &'static str {
        match self {
            Self::Coturn => "coturn",
            Self::TurnServer => "turn-server",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::args::Waiting;
    use crate::relay::standard;

    fn round(busy: f64) -> Round {
        Round {
            microseconds: 1.0,
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

    #[test]
    fn a_server_with_time_left_is_named() {
        let rounds = vec![("causeway", vec![round(0.5)]), ("coturn", vec![round(0.99)])];
        let mut row = standard::rows(Duration::from_secs(1), 1, Waiting::Polling).swap_remove(0);
        assert_eq!(Line::of(&row, rounds.clone(), &[]).remarks.not_saturated, ["causeway"]);
        row.load.rate = Some(1_000);
        assert_eq!(Line::of(&row, rounds, &[]).remarks.not_saturated, [""; 0]);
    }

    #[test]
    fn files_mention_no_limits() {
        let row = standard::rows(Duration::from_secs(1), 1, Waiting::Polling).swap_remove(0);
        let line = Line::of(&row, vec![("causeway", vec![round(1.0)])], &[]);
        assert_eq!(serde_json::to_value(line).unwrap()["compared"][0].get("limit"), None);
    }
}
