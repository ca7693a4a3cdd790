//! `loadtest signal`: measures one load or the standard table of rooms and signaling, prints it, and writes it down.

pub(crate) mod args;
mod body;
mod checker;
mod crowd;
mod dialect;
mod door;
mod http;
mod member;
mod print;
mod program;
mod round;
mod socket;
mod standard;
mod table;
mod tally;
mod works;

use std::io::Write;

use serde::Serialize;

use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::plot;
use crate::report::{self, Machine};
use crate::rounds;
use crate::table::named;
use crate::verdict::Outcome;
use args::{SignalFlags, Work};
use program::Program;
use table::{Goal, Line, Measure, Row};

const TITLE: &str = "Causeway's signaling beside goals and others (1.0 = the goal, or as much as the other; shorter is better)";

/// A run.
#[derive(Serialize)]
struct Report {
    machine: Machine,
    lines: Vec<Line>,
}

/// Measures and says how it went.
///
/// # Errors
/// Our server could not be measured. Another that could not only leaves its rows open.
pub(crate) fn run(flags: &SignalFlags, output: &mut impl Write) -> Result<Outcome, Failure> {
    let cores = flags.cores.unwrap_or_else(Cores::of_this_machine);
    let rows = rows(flags)?;
    let mut report = Report { machine: Machine::this(cores), lines: Vec::new() };
    for row in &rows {
        let one = |program: &Program| round::one(program, &row.load, cores, &flags.out);
        let program_of = |other| flags.rival(other);
        let line = rounds::measure(row, flags.ours()?, program_of, &flags.compare, one)?;
        print::details(&line, output).doing("printing")?;
        report.lines.push(line);
    }
    print::table(&report.lines, output).doing("printing")?;
    let picture = plot::svg(TITLE, &report.machine, &report.lines);
    report::write(&flags.out, "signal", &report, &picture)?;
    let sound = report.lines.iter().map(|line| line.remarks.sound.clone());
    Ok(Outcome::of(report.lines.iter().flat_map(Line::verdicts).chain(sound)))
}

/// The standard table, or the one load that the flags describe.
fn rows(flags: &SignalFlags) -> Result<Vec<Row>, Failure> {
    let load = flags.load()?;
    if flags.standard {
        return named(standard::rows(load.span, flags.rounds, load.waiting), flags.only.as_deref());
    }
    let measure = match load.work {
        Work::Ice | Work::Talk => Measure::CpuMicroseconds,
        Work::Churn => Measure::JoinMilliseconds,
        Work::Storm => Measure::ReturnMilliseconds,
        Work::Idle => Measure::BytesPerConnection,
    };
    if flags.compare.iter().any(|&rival| !standard::can(rival, &load)) {
        return Err(Failure::Usage(
            "peerjs has no rooms: it can idle, and talk or ice in rooms of 2 on one node; socketio cannot resume (storm)",
        ));
    }
    let goals = flags.compare.iter().copied().map(Goal::shown).collect();
    Ok(vec![Row { name: "one load".to_owned(), load, rounds: flags.rounds, measure, goals }])
}
