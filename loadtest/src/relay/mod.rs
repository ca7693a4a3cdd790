//! `loadtest relay`: measures one load or the standard table, prints it, and writes it down.

mod allocate;
pub mod args;
mod client;
mod flows;
mod generator;
mod idle;
mod lane;
pub(crate) mod print;
mod receiver;
pub mod round;
pub mod server;
pub mod soak;
mod stamp;
mod standard;
pub mod table;

use std::fs;
use std::io::Write;
use std::time::Duration;

use serde::Serialize;

use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::plot;
use crate::report::Machine;
use crate::verdict::{Outcome, Verdict};
use args::{Other, RelayFlags, Work};
use server::Program;
use soak::Soak;
use table::{Goal, Line, Measure, Row};

/// A run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// The table.
    pub lines: Vec<Line>,
    /// Long runs.
    pub soaks: Vec<Soak>,
}

impl Report {
    /// How the run ends.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let goals = self.lines.iter().flat_map(|line| &line.compared).map(|compared| &compared.verdict);
        let soaks =
            self.soaks.iter().map(|soak| if soak.holds() { &Verdict::Holds } else { &Verdict::Misses });
        Outcome::of(goals.chain(soaks))
    }
}

/// Measures and says how it went.
///
/// # Errors
/// Our server could not be measured. Another that could not only leaves its rows open.
pub(crate) fn run(flags: &RelayFlags, output: &mut impl Write) -> Result<Outcome, Failure> {
    let cores = flags.cores.unwrap_or_else(Cores::of_this_machine);
    let rows = rows(flags)?;
    let mut report = Report { machine: Machine::this(cores), lines: Vec::new(), soaks: Vec::new() };
    let mut missing = Vec::new();
    for row in &rows {
        let line = measure(flags, row, cores, &mut missing)?;
        print::details(&line, output).doing("printing")?;
        report.lines.push(line);
    }
    if flags.soak > 0 {
        report.soaks = soaks(flags, cores)?;
    }
    print::table(&report.lines, &report.soaks, output).doing("printing")?;
    write(flags, &report)?;
    Ok(report.outcome())
}

/// The standard table, or the one load that the flags describe.
fn rows(flags: &RelayFlags) -> Result<Vec<Row>, Failure> {
    let load = flags.load()?;
    if flags.standard {
        let mut rows = standard::rows(load.span, load.waiting);
        rows.retain(|row| flags.only.as_ref().is_none_or(|only| row.name.contains(only.as_str())));
        if rows.is_empty() {
            return Err(Failure::Usage("no row of the standard table has what --only says in its name"));
        }
        return Ok(rows);
    }
    let measure = match load.work {
        Work::Data | Work::Binding | Work::Allocate => Measure::CpuMicroseconds,
        Work::Idle => Measure::BytesPerAllocation,
    };
    let goals = flags.compare.iter().map(|&against| Goal { against, at_most: None }).collect();
    Ok(vec![Row { name: "one load".to_owned(), load, measure, goals }])
}

/// Measures one row with ours and with those others of its goals that are wanted and there.
fn measure(
    flags: &RelayFlags,
    row: &Row,
    cores: Cores,
    missing: &mut Vec<(Other, String)>,
) -> Result<Line, Failure> {
    let others = row.goals.iter().map(|goal| goal.against);
    let mut others: Vec<Other> = others.filter(|other| flags.compare.contains(other)).collect();
    others.retain(|&other| match flags.other(other).find() {
        Ok(()) => true,
        Err(failure) => {
            if !missing.iter().any(|&(known, _)| known == other) {
                missing.push((other, failure.to_string()));
            }
            false
        }
    });
    let ours = [flags.ours()];
    let programs: Vec<_> =
        ours.iter().cloned().chain(others.iter().map(|&other| flags.other(other))).collect();
    let alternate = |programs: &[Program]| -> Result<_, Failure> {
        let rounds = round::alternate(programs, &row.load, flags.rounds, cores, &flags.out)?;
        Ok(programs.iter().map(Program::name).zip(rounds).collect())
    };
    match alternate(&programs) {
        Ok(rounds) => Ok(Line::of(row, rounds, missing)),
        Err(failure) if others.is_empty() => Err(failure),
        // If it is ours that fails, it fails alone, too.
        Err(failure) => {
            let failed = others.iter().map(|&other| (other, failure.to_string()));
            let missing: Vec<_> = failed.chain(missing.iter().cloned()).collect();
            Ok(Line::of(row, alternate(&ours)?, &missing))
        }
    }
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

fn write(flags: &RelayFlags, report: &Report) -> Result<(), Failure> {
    fs::create_dir_all(&flags.out).doing("making the output folder")?;
    let json = serde_json::to_string_pretty(report).doing("writing relay.json")?;
    fs::write(flags.out.join("relay.json"), json).doing("writing relay.json")?;
    fs::write(flags.out.join("relay.svg"), plot::svg(report)).doing("writing relay.svg")
}
