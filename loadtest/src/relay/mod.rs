//! `loadtest relay`: measures one load or the standard table, prints it, and writes it down.

mod allocate;
pub(crate) mod args;
mod client;
mod flows;
mod generator;
mod idle;
mod lane;
mod print;
mod receiver;
mod round;
mod server;
mod soak;
mod stamp;
mod standard;
mod table;

use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::plot;
use crate::report::{self, Machine};
use crate::rounds;
use crate::table::named;
use crate::verdict::Outcome;
use args::{RelayFlags, Work};
use server::Program;
use soak::Soak;
use table::{Goal, Line, Measure, Row};

const TITLE: &str = "Causeway's cost beside others' (1.0 = as much as the other; shorter is better)";

/// A run.
#[derive(Serialize)]
struct Report {
    machine: Machine,
    lines: Vec<Line>,
    soaks: Vec<Soak>,
}

/// Measures and says how it went.
///
/// # Errors
/// Our server could not be measured. Another that could not only leaves its rows open.
pub(crate) fn run(flags: &RelayFlags, output: &mut impl Write) -> Result<Outcome, Failure> {
    let cores = flags.cores.unwrap_or_else(Cores::of_this_machine);
    let rows = rows(flags)?;
    let mut report = Report { machine: Machine::this(cores), lines: Vec::new(), soaks: Vec::new() };
    for row in &rows {
        let one = |program: &Program| round::one(program, &row.load, cores, &flags.out);
        let program_of = |other| flags.other(other);
        let line = rounds::measure(row, flags.ours(), program_of, &flags.compare, one)?;
        print::details(&line, output).doing("printing")?;
        report.lines.push(line);
    }
    if flags.soak > 0 {
        report.soaks = soaks(flags, cores)?;
    }
    print::table(&report.lines, &report.soaks, output).doing("printing")?;
    let picture = plot::svg(TITLE, &report.machine, &report.lines);
    report::write(&flags.out, "relay", &report, &picture)?;
    let soaks = report.soaks.iter().map(Soak::verdict);
    Ok(Outcome::of(report.lines.iter().flat_map(Line::verdicts).chain(soaks)))
}

/// The standard table, or the one load that the flags describe.
fn rows(flags: &RelayFlags) -> Result<Vec<Row>, Failure> {
    let load = flags.load()?;
    if flags.standard {
        return named(standard::rows(load.span, flags.rounds, load.waiting), flags.only.as_deref());
    }
    let measure = match load.work {
        Work::Data | Work::Binding | Work::Allocate => Measure::CpuMicroseconds,
        Work::Idle => Measure::BytesPerAllocation,
    };
    let goals = flags.compare.iter().copied().map(Goal::shown).collect();
    Ok(vec![Row { name: "one load".to_owned(), load, rounds: flags.rounds, measure, goals }])
}

/// Long runs of ours with the first load, and with its packets one by one.
fn soaks(flags: &RelayFlags, cores: Cores) -> Result<Vec<Soak>, Failure> {
    let (span, ours) = (Duration::from_secs(flags.soak), flags.ours());
    let rows = if flags.standard {
        standard::soaks(Duration::from_secs_f64(flags.seconds), flags.waiting)
    } else {
        rows(flags)?
    };
    rows.iter().map(|row| soak::run(&row.name, &ours, &row.load, span, cores, &flags.out)).collect()
}
