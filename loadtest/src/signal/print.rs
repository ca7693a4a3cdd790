//! What people read of rooms and signaling in the terminal.

use std::io::{self, Write};

use super::args::Work;
use super::round::Round;
use super::table::Line;
use crate::print::{self, Columns, megabytes, number};
use crate::summary::Middle;
use crate::table::Measured;
use crate::verdict::Verdict;

/// Everything about one line: each server, and each ratio.
pub(crate) fn details(line: &Line, output: &mut impl Write) -> io::Result<()> {
    let load = &line.load;
    writeln!(
        output,
        "{} ({} connections, rooms of {}, {})",
        line.name,
        load.connections,
        load.room,
        if load.nodes == 1 { "one node".to_owned() } else { format!("{} nodes", load.nodes) }
    )?;
    writeln!(
        output,
        "  {:<10} {:>22} {:>10} {:>5} {:>7} {:>21} {:>11} {:>9} {:>6} {:>11} {:>10}",
        "",
        "CPU µs each (min–max)",
        "per second",
        "busy",
        "memory",
        "ms 50/99/99.9 %",
        "connections",
        "B/connect",
        "lost",
        "duplicated",
        "disordered"
    )?;
    for measured in &line.measured {
        server(line, measured, output)?;
    }
    for server in &line.remarks.short {
        writeln!(output, "  {server}: less than was asked for: it, or the generator, could not do more")?;
    }
    Ok(())
}

fn server(
    line: &Line,
    Measured { server, value: _, rounds }: &Measured<Round>,
    output: &mut impl Write,
) -> io::Result<()> {
    let over = |what: fn(&Round) -> f64| Middle::over(rounds, what);
    let median = |what| over(what).median;
    let cpu = over(|round| round.microseconds);
    let spread = format!("{} ({}–{})", number(cpu.median), number(cpu.lowest), number(cpu.highest));
    let times: fn(&Round) -> [f64; 3] = match line.load.work {
        Work::Churn => |round| round.join_ms,
        Work::Storm => |round| round.return_ms,
        Work::Idle | Work::Ice | Work::Talk => |round| round.message_ms,
    };
    let quantile = |place: usize| {
        Middle::of(rounds.iter().map(|round| times(round).get(place).copied().unwrap_or(0.0))).median
    };
    let latency = format!("{:.2}/{:.2}/{:.2}", quantile(0), quantile(1), quantile(2));
    let sum = |what: fn(&Round) -> u64| rounds.iter().map(what).sum::<u64>();
    writeln!(
        output,
        "  {server:<10} {spread:>22} {:>10.0} {:>4.0}% {:>5.0}MB {latency:>21} {:>11} {:>9.0} {:>6} {:>11} {:>10}",
        median(|round| round.rate),
        100.0 * median(|round| round.busy),
        median(|round| megabytes(round.memory)),
        rounds.last().map_or(0, |round| round.connections),
        median(|round| round.bytes_per_connection),
        sum(|round| round.faults.lost),
        sum(|round| round.faults.duplicated),
        sum(|round| round.faults.disordered),
    )?;
    if line.load.work == Work::Storm {
        writeln!(
            output,
            "  {:<10} {} resumed, {} resynchronized ({} events that those know they may have missed)",
            "",
            sum(|round| round.resumed),
            sum(|round| round.resynced),
            sum(|round| round.pardoned)
        )?;
    }
    for round in rounds {
        for (trouble, times) in &round.troubles {
            writeln!(output, "  {:<10} {times} times {trouble}", "")?;
        }
    }
    Ok(())
}

/// The table: a line for each goal.
pub(crate) fn table(lines: &[Line], output: &mut impl Write) -> io::Result<()> {
    let columns = Columns { name: 46, other: 18, goal: 9, times: "×", mark: |_| "" };
    print::table(lines, &columns, output)?;
    let rounds = lines.iter().filter_map(|line| line.measured.first()).flat_map(|ours| &ours.rounds);
    let (mut lost, mut duplicated, mut disordered, mut resynced) = (0, 0, 0, 0);
    for round in rounds {
        lost += round.faults.lost;
        duplicated += round.faults.duplicated;
        disordered += round.faults.disordered;
        resynced += round.resynced;
    }
    let sound = lines.iter().all(|line| line.remarks.sound == Verdict::Holds);
    writeln!(
        output,
        "events of ours: {lost} lost, {duplicated} duplicated, {disordered} out of order; {resynced} resynchronized: {}",
        Verdict::held(sound).word()
    )
}
