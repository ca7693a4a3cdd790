//! Loads relays and rooms from outside, with nothing of theirs, and says what a packet or a message costs them.
#![forbid(unsafe_code)]

pub mod args;
mod bars;
mod clock;
mod cores;
pub mod failure;
mod files;
mod histogram;
mod plot;
mod print;
mod proc;
mod process;
mod relay;
mod report;
mod rounds;
mod schedule;
mod signal;
mod summary;
mod table;
pub mod verdict;

use std::io::Write;

use args::{Cli, Command};
use failure::Failure;
pub use process::end_servers_first;
use verdict::Outcome;

/// Does what the command line asks for and prints what came out.
///
/// # Errors
/// Something could not be measured.
pub fn run(cli: &Cli, output: &mut impl Write) -> Result<Outcome, Failure> {
    files::allow_many()?;
    match &cli.command {
        Command::Relay(flags) => relay::run(flags, output),
        Command::Signal(flags) => signal::run(flags, output),
    }
}
