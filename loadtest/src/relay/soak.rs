//! A long run of ours at half of what it can do, in which nothing may be lost.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::cores::Cores;
use crate::failure::Failure;
use crate::relay::args::Load;
use crate::relay::round::{self, Round};
use crate::relay::server::Program;
use crate::verdict::Verdict;

/// How a long run went.
#[derive(Clone, Debug, Serialize)]
pub struct Soak {
    /// What people call the load.
    pub name: String,
    /// The load of the long run.
    pub load: Load,
    /// Packets a second that saturate the server.
    pub saturated: f64,
    /// The long run.
    pub round: Round,
}

impl Soak {
    /// Whether every packet arrived.
    pub fn verdict(&self) -> Verdict {
        Verdict::held(self.round.loss <= 0.0)
    }
}

/// Finds out what saturates the server, and sends half of that for `span`.
///
/// # Errors
/// The server cannot be started, or delivers nothing.
pub fn run(
    name: &str,
    program: &Program,
    load: &Load,
    span: Duration,
    cores: Cores,
    logs: &Path,
) -> Result<Soak, Failure> {
    let saturated = round::one(program, &Load { rate: None, ..*load }, cores, logs)?.rate;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "packets a second")]
    let load = Load { rate: Some((saturated / 2.0) as u64), span, ..*load };
    let round = round::one(program, &load, cores, logs)?;
    Ok(Soak { name: name.to_owned(), load, saturated, round })
}
