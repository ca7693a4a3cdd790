//! `loadtest signal`: measures one load or the standard table of rooms and signaling, prints it, and writes it down.

pub mod args;
mod body;
mod checker;
mod crowd;
mod dialect;
mod door;
mod http;
mod member;
mod print;
pub mod program;
pub mod round;
mod socket;
mod standard;
pub mod table;
mod tally;
mod works;

use std::fs;
use std::io::Write;

use serde::Serialize;

use crate::bars::{self, Bar};
use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::report::Machine;
use crate::verdict::Outcome;
use args::{Rival, SignalFlags, Work};
use table::{Against, Goal, Line, Measure, Row};

const TITLE: &str = "Causeway's signaling beside goals and others (1.0 = the goal, or as much as the other; shorter is better)";

/// A run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// What it ran on.
    pub machine: Machine,
    /// The table.
    pub lines: Vec<Line>,
}

impl Report {
    /// How the run ends.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of(self.lines.iter().flat_map(Line::verdicts))
    }

    fn svg(&self) -> String {
        let bars: Vec<_> = self
            .lines
            .iter()
            .flat_map(|line| line.compared.iter().map(move |compared| (line, compared)))
            .map(|(line, compared)| Bar {
                label: format!("{} / {}", line.name, compared.against),
                value: compared.ratio,
                goal: compared.at_most,
                verdict: compared.verdict.clone(),
                number: format!("{:.3}", compared.ratio.median),
            })
            .collect();
        bars::svg(TITLE, &self.machine, &bars)
    }
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
        let line = measure(flags, row, cores)?;
        print::details(&line, output).doing("printing")?;
        report.lines.push(line);
    }
    print::table(&report.lines, output).doing("printing")?;
    let json = serde_json::to_string_pretty(&report).doing("writing signal.json")?;
    fs::create_dir_all(&flags.out).doing("making the output folder")?;
    fs::write(flags.out.join("signal.json"), json).doing("writing signal.json")?;
    fs::write(flags.out.join("signal.svg"), report.svg()).doing("writing signal.svg")?;
    Ok(report.outcome())
}

/// The standard table, or the one load that the flags describe.
fn rows(flags: &SignalFlags) -> Result<Vec<Row>, Failure> {
    let load = flags.load()?;
    if flags.standard {
        let mut rows = standard::rows(load.span, flags.rounds, load.waiting);
        rows.retain(|row| flags.only.as_ref().is_none_or(|only| row.name.contains(only.as_str())));
        if rows.is_empty() {
            return Err(Failure::Usage("no row of the standard table has what --only says in its name"));
        }
        return Ok(rows);
    }
    let measure = match load.work {
        Work::Ice | Work::Talk => Measure::CpuMicroseconds,
        Work::Churn => Measure::JoinMilliseconds,
        Work::Storm => Measure::ReturnMilliseconds,
        Work::Idle => Measure::BytesPerConnection,
    };
    let rival = |&rival: &Rival| Goal { against: Against::Rival(rival), at_most: None };
    if flags.compare.iter().any(|&rival| !standard::can(rival, &load)) {
        return Err(Failure::Usage(
            "peerjs has no rooms: it can idle, and talk or ice in rooms of 2 on one node; socketio cannot resume (storm)",
        ));
    }
    let goals = flags.compare.iter().map(rival).collect();
    Ok(vec![Row { name: "one load".to_owned(), load, rounds: flags.rounds, measure, goals }])
}

/// Measures one row with ours and with those others of its goals that are wanted and there.
fn measure(flags: &SignalFlags, row: &Row, cores: Cores) -> Result<Line, Failure> {
    let mut missing = Vec::new();
    let mut programs = vec![flags.ours()?];
    for goal in &row.goals {
        let Against::Rival(rival) = goal.against else { continue };
        let program = flags.rival(rival);
        if !flags.compare.contains(&rival) {
            missing.push((rival, format!("add `--compare {}`", rival.name().replace('.', ""))));
        } else if let Err(failure) = program.find() {
            missing.push((rival, failure.to_string()));
        } else {
            programs.push(program);
        }
    }
    let alternate = |programs: &[program::Program]| -> Result<_, Failure> {
        let rounds = round::alternate(programs, &row.load, row.rounds, cores, &flags.out)?;
        Ok(programs.iter().map(program::Program::name).zip(rounds).collect::<Vec<_>>())
    };
    match alternate(&programs) {
        Ok(rounds) => Ok(Line::of(row, rounds, &missing)),
        Err(failure) if programs.len() == 1 => Err(failure),
        // If it is ours that fails, it fails alone, too.
        Err(failure) => {
            programs.truncate(1);
            let rivals = row.goals.iter().filter_map(|goal| match goal.against {
                Against::Rival(rival) => Some((rival, failure.to_string())),
                Against::Limit => None,
            });
            missing.extend(rivals);
            Ok(Line::of(row, alternate(&programs)?, &missing))
        }
    }
}
