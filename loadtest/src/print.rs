//! What people read in the terminal, whatever was measured: numbers, and the table.

use std::io::{self, Write};

use crate::summary::Middle;
use crate::table::{Line, Load};
use crate::verdict::Verdict;

/// How wide those columns are that hold different things for different loads, and what follows them.
pub(crate) struct Columns<L: Load> {
    pub(crate) name: usize,
    pub(crate) other: usize,
    pub(crate) goal: usize,
    /// Behind a goal that is a multiple of another's value.
    pub(crate) times: &'static str,
    /// Behind the verdict.
    pub(crate) mark: fn(&L::Remarks) -> &'static str,
}

/// The table: a line for each goal.
pub(crate) fn table<L: Load>(
    lines: &[Line<L>],
    columns: &Columns<L>,
    output: &mut impl Write,
) -> io::Result<()> {
    let &Columns { name, other, goal, times, mark } = columns;
    writeln!(
        output,
        "\n{:<name$} {:>6} {:>9} {:>other$} {:>21} {:>goal$}  holds?",
        "", "unit", "ours", "other", "ratio (min–max)", "goal"
    )?;
    for line in lines {
        let ours = line.measured.first().map_or(f64::NAN, |ours| ours.value.median);
        for compared in &line.compared {
            let limit = compared.limit.flatten();
            let beside = line.measured.iter().find(|measured| measured.server == compared.against);
            let beside = match (beside, limit) {
                (Some(beside), _) => format!("{} {}", compared.against, number(beside.value.median)),
                (None, Some(_)) => "–".to_owned(),
                (None, None) => format!("{} –", compared.against),
            };
            let ratio = match compared.verdict {
                Verdict::NotMeasured(_) => "–".to_owned(),
                Verdict::Holds | Verdict::Misses | Verdict::Shown => spread(compared.ratio),
            };
            let at_most = match (limit, compared.at_most) {
                (Some(limit), _) => format!("≤{}", number(limit)),
                (None, Some(at_most)) => format!("≤{at_most:.2}{times}"),
                (None, None) => "–".to_owned(),
            };
            writeln!(
                output,
                "{:<name$} {:>6} {:>9} {beside:>other$} {ratio:>21} {at_most:>goal$}  {}{}",
                line.name,
                L::unit(line.measure),
                number(ours),
                compared.verdict.word(),
                mark(&line.remarks)
            )?;
        }
    }
    Ok(())
}

/// With as many digits as say something.
pub(crate) fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.3}") } else { format!("{value:.0}") }
}

/// The median, and in parentheses the extremes.
pub(crate) fn spread(Middle { median, lowest, highest }: Middle) -> String {
    format!("{median:.3} ({lowest:.3}–{highest:.3})")
}

#[expect(clippy::cast_precision_loss, reason = "memory far below 2⁵³ bytes")]
pub(crate) fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
