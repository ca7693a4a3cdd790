//! The `loadtest` command: 0 if every goal is reached, 1 if one is missed, 69 if something could not be measured.

use std::io;
use std::process::ExitCode;

use clap::Parser;

use causeway_loadtest::args::Cli;
use causeway_loadtest::end_servers_first;
use causeway_loadtest::verdict::Outcome;

/// The status of a run that could not measure (EX_UNAVAILABLE, `sysexits.h`).
const COULD_NOT_MEASURE: u8 = 69;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match end_servers_first().and_then(|()| causeway_loadtest::run(&cli, &mut io::stdout())) {
        Ok(Outcome::Holds) => ExitCode::SUCCESS,
        Ok(Outcome::Misses) => ExitCode::FAILURE,
        Ok(Outcome::NotMeasured) => ExitCode::from(COULD_NOT_MEASURE),
        Err(failure) => {
            eprintln!("loadtest: {failure}");
            ExitCode::from(COULD_NOT_MEASURE)
        }
    }
}
