//! What a run leaves behind for programs: everything that was measured, as JSON.

use std::fs;

use serde::Serialize;

use crate::cores::Cores;
use crate::soak::Soak;
use crate::table::Line;
use crate::verdict::{Outcome, Verdict};

/// A run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// The table.
    pub lines: Vec<Line>,
    /// Long runs.
    pub soaks: Vec<Soak>,
}

/// What a run ran on.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// The kernel's version.
    pub kernel: String,
    /// Who had which core.
    pub cores: Cores,
}

impl Machine {
    /// This one. What it does not tell is empty.
    #[must_use]
    pub fn this(cores: Cores) -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let name = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            processor: name.map_or("", |(_, name)| name).trim().to_owned(),
            kernel: kernel.trim().to_owned(),
            cores,
        }
    }
}

impl Report {
    /// How the run ends.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let goals = self.lines.iter().flat_map(|line| &line.compared).map(|compared| &compared.verdict);
        let soaks =
            self.soaks.iter().map(|soak| if soak.holds() { &Verdict::Holds } else { &Verdict::Misses });
        Outcome::of(goals.chain(soaks))
    }
}
