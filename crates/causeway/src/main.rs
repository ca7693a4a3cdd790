//! The `causeway` command: reads the command line and hands over.

use std::process::ExitCode;

use clap::Parser;

mod cli;
mod cluster;
mod exit;
mod health;
mod relay;
mod reload;
mod secret;
mod serve;
mod settings;
mod startup;

use cli::{Cli, Command, ConfigCommand};
use exit::Exit;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(message) => return Exit::from_clap(&message),
    };
    let outcome = match cli.command {
        Command::Serve(flags) => serve::run(flags),
        Command::Signal(flags) => serve::run_rooms(flags),
        Command::Turn(flags) => relay::run(flags),
        Command::Config(ConfigCommand::Print(flags)) => settings::print(&flags),
        Command::Health(flags) => health::run(&flags),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.tell(),
    }
}
