//! What every run leaves behind: on what it ran.

use std::fs;

use serde::Serialize;

use crate::cores::Cores;

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
