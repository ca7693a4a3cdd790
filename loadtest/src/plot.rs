//! The table as a picture: for each goal a bar as long as the ratio.

use crate::bars::{self, Bar};
use crate::relay::Report;

const TITLE: &str = "Causeway's cost beside others' (1.0 = as much as the other; shorter is better)";

/// The picture.
#[must_use]
pub fn svg(report: &Report) -> String {
    let bars: Vec<_> = report
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
    bars::svg(TITLE, &report.machine, &bars)
}
