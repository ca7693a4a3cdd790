//! The table as a picture: for each goal a bar as long as the ratio.

use crate::bars::{self, Bar};
use crate::report::Machine;
use crate::table::{Line, Load};

/// The picture.
pub(crate) fn svg<L: Load>(title: &str, machine: &Machine, lines: &[Line<L>]) -> String {
    let bars: Vec<_> = lines
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
    bars::svg(title, machine, &bars)
}
