//! What people read in the terminal.

use std::io::{self, Write};

use crate::relay::round::Round;
use crate::relay::soak::Soak;
use crate::relay::table::Line;
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
        let cpu = over(|round| round.microseconds);
        let spread = format!("{:.3} ({:.3}–{:.3})", cpu.median, cpu.lowest, cpu.highest);
        let split = format!("{:.2}+{:.2}", median(|round| round.user), median(|round| round.system));
        let latency = format!(
            "{:.0}/{:.0}/{:.0}",
            median(|round| round.latency[0]),
            median(|round| round.latency[1]),
            median(|round| round.latency[2])
        );
        writeln!(
            output,
            "  {:<12} {spread:>24} {split:>13} {:>11.0} {:>7.3}% {:>4.0}% {:>6.1}MB {latency:>24}",
            measured.server,
            median(|round| round.rate),
            100.0 * median(|round| round.loss),
            100.0 * median(|round| round.busy),
            median(|round| megabytes(round.memory)),
        )?;
    }
    for server in &line.not_saturated {
        writeln!(
            output,
            "  {server} was not saturated: the generator, or somebody else on its core, limited it."
        )?;
    }
    for compared in &line.compared {
        let ratio = compared.ratio;
        let Verdict::NotMeasured(why) = &compared.verdict else {
            writeln!(
                output,
                "  ours / {}: {:.3} ({:.3}–{:.3})",
                compared.against, ratio.median, ratio.lowest, ratio.highest
            )?;
            continue;
        };
        writeln!(output, "  {}: not measured: {why}", compared.against)?;
    }
    Ok(())
}

/// The table: a line for each goal.
pub(crate) fn table(lines: &[Line], soaks: &[Soak], output: &mut impl Write) -> io::Result<()> {
    writeln!(
        output,
        "\n{:<41} {:>6} {:>9} {:>23} {:>21} {:>6}  holds?",
        "", "unit", "ours", "other", "ratio (min–max)", "goal"
    )?;
    for line in lines {
        let ours = line.measured.first().map_or(f64::NAN, |ours| ours.value.median);
        for compared in &line.compared {
            let other = line.measured.iter().find(|measured| measured.server == compared.against);
            let other = other.map_or_else(
                || format!("{} –", compared.against),
                |other| format!("{} {}", compared.against, number(other.value.median)),
            );
            let ratio = match compared.verdict {
                Verdict::NotMeasured(_) => "–".to_owned(),
                Verdict::Holds | Verdict::Misses | Verdict::Shown => {
                    let Middle { median, lowest, highest } = compared.ratio;
                    format!("{median:.3} ({lowest:.3}–{highest:.3})")
                }
            };
            let goal = compared.at_most.map_or("–".to_owned(), |at_most| format!("≤{at_most:.2}"));
            let mark = if line.not_saturated.is_empty() { "" } else { " *" };
            writeln!(
                output,
                "{:<41} {:>6} {:>9} {other:>23} {ratio:>21} {goal:>6}  {}{mark}",
                line.name,
                line.measure.unit(),
                number(ours),
                compared.verdict.word()
            )?;
        }
    }
    for line in lines.iter().filter(|line| !line.not_saturated.is_empty()) {
        writeln!(output, "* {}: not saturated: {}", line.name, line.not_saturated.join(", "))?;
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
            if soak.holds() { "holds" } else { "MISSES" }
        )?;
    }
    Ok(())
}

/// With as many digits as say something.
pub(crate) fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.3}") } else { format!("{value:.0}") }
}

#[expect(clippy::cast_precision_loss, reason = "memory far below 2⁵³ bytes")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
