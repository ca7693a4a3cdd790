//! The table as a picture: for each goal a bar as long as the ratio, its spread, and a mark where the goal is. One SVG file
//! that needs nothing else.

use std::fmt::Write;

use crate::report::Report;
use crate::table::Verdict;

/// Heights and widths in pixels.
const ROW: usize = 26;
const TOP: usize = 56;
const LABELS: f64 = 400.0;
const BARS: f64 = 480.0;
const RIGHT: f64 = 170.0;
/// The right end of the scale, in times the other's value; longer bars are cut.
const SCALE: f64 = 1.2;

/// The picture.
#[must_use]
pub fn svg(report: &Report) -> String {
    let bars: Vec<_> = report
        .lines
        .iter()
        .flat_map(|line| line.compared.iter().map(move |compared| (line, compared)))
        .collect();
    let (width, height) = (LABELS + BARS + RIGHT, TOP + bars.len() * ROW + 30);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">Causeway's cost beside others' (1.0 = as much as \
         the other; shorter is better)</text>\n<text x=\"12\" y=\"42\" fill=\"#555\">{}, Linux {}; bar: median of rounds, \
         line: lowest to highest, mark: goal</text>\n",
        escaped(&report.machine.processor),
        escaped(&report.machine.kernel)
    );
    for (row, (line, compared)) in bars.iter().enumerate() {
        let y = TOP + row * ROW;
        let (middle, bar) = (y + ROW / 2 + 4, y + 5);
        let label = format!("{} / {}", line.name, compared.against);
        put(&mut text, format_args!("<text x=\"12\" y=\"{middle}\">{}</text>", escaped(&label)));
        let (colour, word) = match compared.verdict {
            Verdict::Holds => ("#2a7d4f", "holds"),
            Verdict::Misses => ("#c0392b", "misses"),
            Verdict::Shown => ("#7a8793", ""),
            Verdict::NotMeasured(_) => {
                put(
                    &mut text,
                    format_args!("<text x=\"{LABELS}\" y=\"{middle}\" fill=\"#888\">not measured</text>"),
                );
                continue;
            }
        };
        let ratio = compared.ratio;
        let length = across(ratio.median) - LABELS;
        put(
            &mut text,
            format_args!(
                "<rect x=\"{LABELS}\" y=\"{bar}\" width=\"{length:.1}\" height=\"16\" fill=\"{colour}\" \
                 fill-opacity=\"0.8\"/>"
            ),
        );
        let (from, to, at) = (across(ratio.lowest), across(ratio.highest), bar + 8);
        put(
            &mut text,
            format_args!("<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{at}\" y2=\"{at}\" stroke=\"#222\"/>"),
        );
        if let Some(goal) = compared.at_most {
            let (x, end) = (across(goal), bar + 19);
            put(
                &mut text,
                format_args!(
                    "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{end}\" stroke=\"#000\" stroke-width=\"2\"/>",
                    bar - 3
                ),
            );
        }
        let (right, median) = (LABELS + BARS + 10.0, ratio.median);
        put(&mut text, format_args!("<text x=\"{right}\" y=\"{middle}\">{median:.3} {word}</text>"));
    }
    let (one, end) = (across(1.0), TOP + bars.len() * ROW);
    put(
        &mut text,
        format_args!(
            "<line x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"{TOP}\" y2=\"{end}\" stroke=\"#888\" stroke-dasharray=\"4 3\"/>"
        ),
    );
    text.push_str("</svg>\n");
    text
}

/// Where a ratio is, in pixels from the left.
fn across(ratio: f64) -> f64 {
    LABELS + BARS * (ratio / SCALE).clamp(0.0, 1.0)
}

fn put(text: &mut String, element: std::fmt::Arguments<'_>) {
    writeln!(text, "{element}").expect("a String takes everything");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_ends_within_the_picture() {
        assert!(across(0.0) == LABELS && across(f64::INFINITY) == LABELS + BARS);
        assert!(across(0.5) < across(1.0));
    }

    #[test]
    fn names_cannot_break_the_picture() {
        assert_eq!(escaped("<a & b>"), "&lt;a &amp; b&gt;");
    }
}
