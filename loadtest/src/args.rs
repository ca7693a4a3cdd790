//! The command line, and what both commands say in the same words.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use serde::{Serialize, Serializer};

use crate::failure::Failure;
use crate::relay::args::RelayFlags;
use crate::signal::args::SignalFlags;

/// Loads servers and says what that costs them.
#[derive(Debug, Parser)]
#[command(name = "loadtest", version)]
pub struct Cli {
    /// What is loaded.
    #[command(subcommand)]
    pub command: Command,
}

/// What is loaded.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Relays: CPU time per packet, loss and latency, side by side with others.
    Relay(RelayFlags),
    /// Rooms and signaling: CPU time per message, latency, memory of a connection, and whether every event arrives once.
    Signal(SignalFlags),
}

/// What the generator does while nothing arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// Asks again at once: no server pays for waking it.
    Polling,
    /// Sleeps until something arrives, if it has a core of its own: the server's core wakes it.
    Sleeping,
}

/// The measured span that a flag asks for.
pub(crate) fn span(seconds: f64) -> Result<Duration, Failure> {
    if !(0.05..=3_600.0).contains(&seconds) {
        return Err(Failure::Usage("--seconds is at least 0.05 and at most 3600"));
    }
    Ok(Duration::from_secs_f64(seconds))
}

/// A span in a file, in seconds.
pub(crate) fn seconds<S: Serializer>(span: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(span.as_secs_f64())
}

/// A program in the folder of this one.
pub(crate) fn beside_this_program(name: &str) -> PathBuf {
    let folder = std::env::current_exe().ok().and_then(|path| path.parent().map(PathBuf::from));
    folder.unwrap_or_default().join(name)
}
