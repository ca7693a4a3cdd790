//! What people read in the terminal.

use std::io::{self, Write};

use crate::rounds::Round;
use crate::server::Program;
use crate::summary::Middle;

/// A server that uses less of its core than this was not saturated: the generator was slower than it.
const SATURATED: f64 = 0.9;

/// A line for each server, and one for each ratio between ours and another.
pub(crate) fn rounds(programs: &[Program], rounds: &[Vec<Round>], output: &mut impl Write) -> io::Result<()> {
    writeln!(
        output,
        "{:<12} {:>22} {:>13} {:>11} {:>8} {:>6} {:>8} {:>26}",
        "",
        "CPU µs/packet (min–max)",
        "user+system",
        "packets/s",
        "lost",
        "busy",
        "memory",
        "latency µs 50/99/99.9 %"
    )?;
    for (program, rounds) in programs.iter().zip(rounds) {
        let cpu = Middle::over(rounds, |round| round.microseconds);
        let median = |what: fn(&Round) -> f64| Middle::over(rounds, what).median;
        let busy = median(|round| round.busy);
        writeln!(
            output,
            "{:<12} {:>7.3} ({:>6.3}–{:>6.3}) {:>6.2}+{:<6.2} {:>11.0} {:>7.3}% {:>5.0}% {:>6.1}MB {:>8.0} {:>8.0} {:>8.0}{}",
            program.name(),
            cpu.median,
            cpu.lowest,
            cpu.highest,
            median(|round| round.user),
            median(|round| round.system),
            median(|round| round.rate),
            100.0 * median(|round| round.loss),
            100.0 * busy,
            median(|round| megabytes(round.memory)),
            median(|round| round.latency[0]),
            median(|round| round.latency[1]),
            median(|round| round.latency[2]),
            if busy < SATURATED { "  (not saturated)" } else { "" },
        )?;
    }
    let Some((ours, others)) = rounds.split_first() else { return Ok(()) };
    for (program, others) in programs.iter().skip(1).zip(others) {
        let ratio = Middle::of_ratios(ours, others, |round| round.microseconds);
        writeln!(
            output,
            "ours / {}: {:.3} ({:.3}–{:.3}) of the CPU per packet",
            program.name(),
            ratio.median,
            ratio.lowest,
            ratio.highest
        )?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "memory far below 2⁵³ bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
