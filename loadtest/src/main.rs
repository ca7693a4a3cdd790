//! The `loadtest` command: measures and prints.

use std::io;
use std::process::ExitCode;

use clap::Parser;

use causeway_loadtest::args::Cli;

/// The status of a run that could not measure (EX_UNAVAILABLE, `sysexits.h`).
const COULD_NOT_MEASURE: u8 = 69;

fn main() -> ExitCode {
    match causeway_loadtest::run(&Cli::parse(), &mut io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("loadtest: {failure}");
            ExitCode::from(COULD_NOT_MEASURE)
        }
    }
}
