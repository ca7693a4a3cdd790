//! How often the relay answers whoever has not authenticated.

use causeway_turn_core::StrangerLimits;
use serde::{Deserialize, Serialize};

use super::Problems;

/// The `turn.strangers` section. Whoever spoofs an address makes the relay send answers there; these limits keep that
/// thin. Authenticated requests and loopback are not limited.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StrangerSettings {
    /// Answers a second to one source address (IPv4) or network (IPv6 /64) in the long run: Binding answers, and 400,
    /// 401, 420 and 438. Each worker takes an equal share.
    pub answers_per_second: u32,
    /// Answers at once after a time of silence. Each worker takes an equal share.
    pub burst: u32,
}

impl Default for StrangerSettings {
    fn default() -> Self {
        let StrangerLimits { answers_per_second, burst } = StrangerLimits::default();
        Self { answers_per_second, burst }
    }
}

impl StrangerSettings {
    pub(super) fn check(&self, problems: &mut Problems) {
        if self.answers_per_second == 0 {
            problems
                .add("strangers.answers_per_second", "use at least 1: without an answer no client can begin");
        }
        if self.burst == 0 {
            problems.add("strangers.burst", "use at least 1: without an answer no client can begin");
        }
    }

    /// The share of one of `workers`.
    pub(crate) fn limits(&self, workers: usize) -> StrangerLimits {
        let workers = u32::try_from(workers).unwrap_or(u32::MAX).max(1);
        StrangerLimits {
            answers_per_second: self.answers_per_second.div_ceil(workers),
            burst: self.burst.div_ceil(workers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_share_what_a_source_gets() {
        let settings = StrangerSettings { answers_per_second: 10, burst: 100 };
        assert_eq!(settings.limits(3), StrangerLimits { answers_per_second: 4, burst: 34 });
        assert_eq!(StrangerSettings::default().limits(1), StrangerLimits::default());
    }

    #[test]
    fn a_limit_that_answers_nobody_is_refused() {
        let mut problems = Problems(Vec::new());
        StrangerSettings { answers_per_second: 0, burst: 0 }.check(&mut problems);
        let keys: Vec<_> = problems.0.iter().map(|problem| problem.key).collect();
        assert_eq!(keys, ["strangers.answers_per_second", "strangers.burst"]);
    }
}
