//! What the members say to each other: text of a given length that begins with who says it, which of theirs it is, and when.
//!
//! ```text
//! o:17:42:123456789;v=0\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:…
//! │ │  │  └ nanoseconds of our clock when it was handed to the kernel
//! │ │  └ the sender's messages, counted from 1
//! │ └ the sender's number
//! └ what it is for
//! ```

use std::fmt::Write;

/// What a line of a session description looks like; its line end has to be escaped in JSON, as in real ones.
const LINE: &str = "a=rtpmap:111 opus/48000/2\r\n";

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A session description that wants an answer.
    Offer,
    /// The answer.
    Answer,
    /// A candidate.
    Candidate,
    /// The application's own.
    App,
}

impl Kind {
    const fn letter(self) -> char {
        match self {
            Self::Offer => 'o',
            Self::Answer => 'a',
            Self::Candidate => 'c',
            Self::App => 'm',
        }
    }

    fn of(letter: &str) -> Option<Self> {
        [Self::Offer, Self::Answer, Self::Candidate, Self::App]
            .into_iter()
            .find(|kind| letter.chars().eq([kind.letter()]))
    }
}

/// The mark at the beginning of what is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// What it is for.
    pub(crate) kind: Kind,
    /// Who says it.
    pub(crate) sender: u32,
    /// Which of the sender's messages it is.
    pub(crate) number: u64,
    /// When it was said, in nanoseconds of [`crate::clock`].
    pub(crate) sent: u64,
}

impl Mark {
    /// Text of about `length` bytes with this mark.
    pub(crate) fn text(self, length: usize) -> String {
        let Self { kind, sender, number, sent } = self;
        let mut text = String::with_capacity(length + LINE.len());
        write!(text, "{}:{sender}:{number}:{sent};", kind.letter()).expect("a String takes everything");
        while text.len() < length {
            text.push_str(LINE);
        }
        text.truncate(length.max(text.find(';').map_or(0, |end| end + 1)));
        text
    }

    /// The mark of such a text; `None`: it has none.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let mut parts = text.split_once(';')?.0.split(':');
        let mark = Self {
            kind: Kind::of(parts.next()?)?,
            sender: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
            sent: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        for kind in [Kind::Offer, Kind::Answer, Kind::Candidate, Kind::App] {
            let mark = Mark { kind, sender: u32::MAX, number: 7, sent: u64::MAX };
            for length in [0, 40, 200, 2_000] {
                let text = mark.text(length);
                assert_eq!(Mark::of(&text), Some(mark));
                assert!(text.len() == length || length <= 40, "{length}: {}", text.len());
            }
        }
    }

    #[test]
    fn other_text_has_no_mark() {
        for text in ["", ";", "o:1:2;", "x:1:2:3;", "o:1:2:3:4;", "o:1:2:3", "oo:1:2:3;"] {
            assert_eq!(Mark::of(text), None, "{text}");
        }
    }
}
