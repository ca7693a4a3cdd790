//! Bars as a picture: for each value a bar as long as it, its spread, and a mark where the goal is. One SVG file that needs
//! nothing else.

use std::fmt::Write;

use crate::report::Machine;
use crate::summary::Middle;
use crate::verdict::Verdict;

/// Heights and widths in pixels.
const ROW: usize = 26;
const TOP: usize = 56;
const LABELS: f64 = 400.0;
const BARS: f64 = 480.0;
const RIGHT: f64 = 170.0;
/// The right end of the scale; longer bars are cut.
const SCALE: f64 = 1.2;

/// One bar.
pub(crate) struct Bar {
    /// What stands left of it.
    pub(crate) label: String,
    /// Its length and spread, where 1.0 has a line through the whole picture.
    pub(crate) value: Middle,
    /// Where the goal's mark is.
    pub(crate) goal: Option<f64>,
    /// Its colour.
    pub(crate) verdict: Verdict,
    /// What stands right of it.
    pub(crate) number: String,
}

/// The picture.
pub(crate) fn svg(title: &str, machine: &Machine, bars: &[Bar]) -> String {
    let (width, height) = (LABELS + BARS + RIGHT, TOP + bars.len() * ROW + 30);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"12\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{}</text>\n\
         <text x=\"12\" y=\"42\" fill=\"#555\">{}, Linux {}; bar: median of rounds, line: lowest to highest, \
         mark: goal</text>\n",
        escaped(title),
        escaped(&machine.processor),
        escaped(&machine.kernel)
    );
    for (row, bar) in bars.iter().enumerate() {
        draw(&mut text, TOP + row * ROW, bar);
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

fn draw(text: &mut String, y: usize, Bar { label, value, goal, verdict, number }: &Bar) {
    let (middle, bar) = (y + ROW / 2 + 4, y + 5);
    put(text, format_args!("<text x=\"12\" y=\"{middle}\">{}</text>", escaped(label)));
    let (colour, word) = match verdict {
        Verdict::Holds => ("#2a7d4f", "holds"),
        Verdict::Misses => ("#c0392b", "misses"),
        Verdict::Shown => ("#7a8793", ""),
        Verdict::NotMeasured(_) => {
            return put(
                text,
                format_args!("<text x=\"{LABELS}\" y=\"{middle}\" fill=\"#888\">not measured</text>"),
            );
        }
    };
    let length = across(value.median) - LABELS;
    put(
        text,
        format_args!(
            "<rect x=\"{LABELS}\" y=\"{bar}\" width=\"{length:.1}\" height=\"16\" fill=\"{colour}\" fill-opacity=\"0.8\"/>"
        ),
    );
    let (from, to, at) = (across(value.lowest), across(value.highest), bar + 8);
    put(
        text,
        format_args!("<line x1=\"{from:.1}\" x2=\"{to:.1}\" y1=\"{at}\" y2=\"{at}\" stroke=\"#222\"/>"),
    );
    if let Some(goal) = *goal {
        let (x, start, end) = (across(goal), bar - 3, bar + 19);
        put(
            text,
            format_args!(
                "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{start}\" y2=\"{end}\" stroke=\"#000\" stroke-width=\"2\"/>"
            ),
        );
    }
    let right = LABELS + BARS + 10.0;
    put(text, format_args!("<text x=\"{right}\" y=\"{middle}\">{} {word}</text>", escaped(number)));
}

/// Where a value is, in pixels from the left.
fn across(value: f64) -> f64 {
    LABELS + BARS * (value / SCALE).clamp(0.0, 1.0)
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
