//! What people read of relays in the terminal.

use std::io::{self, Write};

use super::round::Round;
use super::soak::Soak;
use super::table::{Line, Remarks};
use crate::print::{self, Columns, megabytes, spread};
use crate::summary::Middle;
use crate::verdict::Verdict;

/// Everything about one line: each server, and each ratio.
pub(crate) fn details(line: &Line, output: &mut impl Write) -> io::Result<()> {
    writeln!(output, "{}", line.name)?;
    writeln!(
        output,
        "  {:<12} {:>24} {:>13} {:>11} {:>8} {:>5} {:>8} {:>24}",
        "",
        "CPU µs each (min–max)",
        "user+system",
        "per second",
        "lost",
        "busy",
        "memory",
        "latency µs 50/99/99.9 %"
    )?;
    for measured in &line.measured {
        let over = |what: fn(&Round) -> f64| Middle::over(&measured.rounds, what);
        let median = |what| over(what).median;
        let cpu = spread(over(|round| round.microseconds));
        let split = format!("{:.2}+{:.2}", median(|round| round.user), median(|round| round.system));
        let latency = format!(
            "{:.0}/{:.0}/{:.0}",
            median(|round| round.latency[0]),
            median(|round| round.latency[1]),
            median(|round| round.latency[2])
        );
        writeln!(
            output,
            "  {:<12} {cpu:>24} {split:>13} {:>11.0} {:>7.3}% {:>4.0}% {:>6.1}MB {latency:>24}",
            measured.server,
            median(|round| round.rate),
            100.0 * median(|round| round.loss),
            100.0 * median(|round| round.busy),
            median(|round| megabytes(round.memory)),
        )?;
    }
    for server in &line.remarks.not_saturated {
        writeln!(
            output,
            "  {server} was not saturated: the generator, or somebody else on its core, limited it."
        )?;
    }
    for compared in &line.compared {
        match &compared.verdict {
            Verdict::NotMeasured(why) => writeln!(output, "  {}: not measured: {why}", compared.against)?,
            Verdict::Holds | Verdict::Misses | Verdict::Shown => {
                writeln!(output, "  ours / {}: {}", compared.against, spread(compared.ratio))?;
            }
        }
    }
    Ok(())
}

/// The table: a line for each goal.
pub(crate) fn table(lines: &[Line], soaks: &[Soak], output: &mut impl Write) -> io::Result<()> {
    let mark = |remarks: &Remarks| if remarks.not_saturated.is_empty() { "" } else { " *" };
    print::table(lines, &Columns { name: 41, other: 23, goal: 6, times: "", mark }, output)?;
    for line in lines.iter().filter(|line| !line.remarks.not_saturated.is_empty()) {
        writeln!(output, "* {}: not saturated: {}", line.name, line.remarks.not_saturated.join(", "))?;
    }
    for soak in soaks {
        writeln!(
            output,
            "{}: {:.0} packets/s for {:.0} s, half of {:.0}: {:.4}% lost, p99 {:.0} µs: {}",
            soak.name,
            soak.round.rate,
            soak.load.span.as_secs_f64(),
            soak.saturated,
            100.0 * soak.round.loss,
            soak.round.latency[1],
            soak.verdict().word()
        )?;
    }
    Ok(())
}
