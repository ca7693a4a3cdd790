//! What a run leaves behind: everything that was measured, as files, and on what it ran.

use std::fs;
use std::path::Path;

use serde::Serialize;

use crate::cores::Cores;
use crate::failure::{Doing, Failure};

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

/// Writes a run down as `NAME.json`, for programs, and draws it as `NAME.svg`.
pub(crate) fn write(
    folder: &Path,
    name: &str,
    report: &impl Serialize,
    picture: &str,
) -> Result<(), Failure> {
    fs::create_dir_all(folder).doing("making the output folder")?;
    let json = serde_json::to_string_pretty(report).doing("writing what was measured")?;
    fs::write(folder.join(name).with_extension("json"), json).doing("writing what was measured")?;
    fs::write(folder.join(name).with_extension("svg"), picture).doing("drawing what was measured")
}
