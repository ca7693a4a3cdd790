//! How the process ends when it cannot go on: one clear sentence each, and a status that scripts can tell apart.

use std::path::PathBuf;
use std::process::ExitCode;

use causeway_service::config::Problem;

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
pub enum Exit {
    /// Settings or flags are wrong (EX_USAGE).
    #[error("the configuration has {}; nothing was started", count(.0))]
    Configuration(Vec<Problem>),
    /// The secret cannot be read or made (EX_CANTCREAT).
    #[error("{}: {problem}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What to do about it.
        problem: String,
    },
    /// A listener or thread could not be started (EX_UNAVAILABLE).
    #[error("{0}")]
    Start(String),
    /// Something of ours broke while running (EX_SOFTWARE).
    #[error("{0}")]
    Broke(String),
    /// `causeway health`: the process is not ready (1, as health checks expect).
    #[error("{0}")]
    Unhealthy(String),
}

fn count(problems: &[Problem]) -> String {
    match problems {
        [_] => "a problem".to_owned(),
        _ => format!("{} problems", problems.len()),
    }
}

impl Exit {
    /// The status, after `sysexits.h`.
    const fn status(&self) -> u8 {
        match self {
            Self::Configuration(_) => 64,
            Self::Start(_) => 69,
            Self::Broke(_) => 70,
            Self::Secret { .. } => 73,
            Self::Unhealthy(_) => 1,
        }
    }

    /// Says why on standard error and gives the status.
    pub fn tell(self) -> ExitCode {
        eprintln!("causeway: {self}");
        if let Self::Configuration(problems) = &self {
            for problem in problems {
                eprintln!("  {problem}");
            }
        }
        ExitCode::from(self.status())
    }

    /// Help and version are answers, everything else is a mistake in the flags.
    pub fn from_clap(message: &clap::Error) -> ExitCode {
        // Nothing can be said if standard error itself is closed.
        drop(message.print());
        if message.use_stderr() { ExitCode::from(64) } else { ExitCode::SUCCESS }
    }
}
