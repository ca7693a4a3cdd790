//! Loads relays from outside, with nothing of theirs, and says what a packet costs them.
#![forbid(unsafe_code)]

pub mod args;
mod client;
mod clock;
pub mod cores;
pub mod failure;
mod flows;
mod generator;
mod histogram;
mod lane;
mod print;
mod proc;
pub mod rounds;
pub mod server;
mod stamp;
pub mod summary;

use std::io::Write;

use args::{Cli, Command, RelayFlags};
use cores::Cores;
use failure::{Doing, Failure};

/// Does what the command line asks for and prints what came out.
///
/// # Errors
/// Something could not be measured.
pub fn run(cli: &Cli, output: &mut impl Write) -> Result<(), Failure> {
    let Command::Relay(flags) = &cli.command;
    relay(flags, output)
}

fn relay(flags: &RelayFlags, output: &mut impl Write) -> Result<(), Failure> {
    let load = flags.load()?;
    let programs = flags.programs();
    let cores = flags.cores.unwrap_or_else(Cores::of_this_machine);
    let rounds = rounds::alternate(&programs, &load, flags.rounds, cores, &flags.out)?;
    print::rounds(&programs, &rounds, output).doing("printing")
}
