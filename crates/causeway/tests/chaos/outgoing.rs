//! What a member has said and the room may not have heard: kept until the server says how much it has.

use std::collections::VecDeque;

use crate::said::Said;

/// One message.
#[derive(Clone, Debug)]
pub struct Kept {
    pub said: Said,
    /// Its `type` on the wire.
    pub kind: &'static str,
    pub text: String,
}

/// The server's count cannot be.
#[derive(Debug, PartialEq, Eq)]
pub struct Miscount {
    pub received: u64,
    pub least: u64,
    pub most: u64,
}

/// ```text
///   confirmed │ written before │ written to this socket │ to be written
///             └─ kept[0]                                └─ kept[written]
/// ```
#[derive(Default)]
pub struct Outgoing {
    kept: VecDeque<Kept>,
    confirmed: u64,
    /// How many of the kept were written to the socket of the moment.
    written: usize,
    /// How many of the kept were written to any socket.
    uttered: usize,
}

impl Outgoing {
    pub fn push(&mut self, message: Kept) {
        self.kept.push_back(message);
    }

    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// The next text for the socket of the moment.
    pub fn next(&mut self) -> Option<String> {
        let text = self.kept.get(self.written)?.text.clone();
        self.written += 1;
        self.uttered = self.uttered.max(self.written);
        Some(text)
    }

    /// Another socket: what is not confirmed is written again.
    pub fn rewind(&mut self) {
        self.written = 0;
    }

    /// The server has taken so many of the stay's messages. Returns those of them that it had not confirmed before.
    pub fn confirm(&mut self, received: u64) -> Result<Vec<Said>, Miscount> {
        let uttered = u64::try_from(self.uttered).unwrap_or(u64::MAX);
        let (least, most) = (self.confirmed, self.confirmed + uttered);
        if !(least..=most).contains(&received) {
            return Err(Miscount { received, least, most });
        }
        let count = usize::try_from(received - least).unwrap_or(0);
        self.confirmed = received;
        Ok(self.forget(count))
    }

    /// Nobody knows what the server has: it counts from nothing. Returns what it may have.
    pub fn restart(&mut self) -> Vec<Said> {
        self.confirmed = 0;
        self.forget(self.uttered)
    }

    /// What will still be written, or is on its way.
    pub fn kept(&self) -> impl Iterator<Item = &Said> {
        self.kept.iter().map(|kept| &kept.said)
    }

    /// What was written and is not confirmed, of one `type`.
    pub fn uttered(&self, kind: &str) -> Vec<Said> {
        let uttered = self.kept.iter().take(self.uttered);
        uttered.filter(|kept| kept.kind == kind).map(|kept| kept.said.clone()).collect()
    }

    fn forget(&mut self, count: usize) -> Vec<Said> {
        self.written = self.written.saturating_sub(count);
        self.uttered -= count;
        self.kept.drain(..count).map(|kept| kept.said).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::said::To;

    fn outgoing(count: u64) -> Outgoing {
        let mut outgoing = Outgoing::default();
        for order in 1..=count {
            let said = Said { by: "alice".into(), to: To::All, number: order, order };
            outgoing.push(Kept { text: said.to_string(), kind: "app", said });
        }
        outgoing
    }

    fn orders(said: &[Said]) -> Vec<u64> {
        said.iter().map(|said| said.order).collect()
    }

    #[test]
    fn what_is_not_confirmed_is_written_again_in_order() {
        let mut outgoing = outgoing(4);
        for _ in 0..3 {
            assert!(outgoing.next().is_some());
        }
        assert_eq!(orders(&outgoing.confirm(1).unwrap()), [1]);
        outgoing.rewind();
        assert_eq!(orders(&outgoing.confirm(2).unwrap()), [2]);
        assert_eq!(outgoing.next().unwrap(), "alice all 3 3");
        assert_eq!(outgoing.next().unwrap(), "alice all 4 4");
        assert_eq!(outgoing.next(), None);
    }

    #[test]
    fn a_count_that_goes_back_or_beyond_what_was_said_is_refused() {
        let mut outgoing = outgoing(3);
        let _first = outgoing.next();
        let _second = outgoing.next();
        assert_eq!(outgoing.confirm(3), Err(Miscount { received: 3, least: 0, most: 2 }));
        outgoing.confirm(2).unwrap();
        assert_eq!(outgoing.confirm(1), Err(Miscount { received: 1, least: 2, most: 2 }));
    }

    #[test]
    fn a_server_that_counts_anew_leaves_what_it_cannot_have() {
        let mut outgoing = outgoing(3);
        let _first = outgoing.next();
        let _second = outgoing.next();
        outgoing.rewind();
        assert_eq!(orders(&outgoing.restart()), [1, 2]);
        assert_eq!(outgoing.next().unwrap(), "alice all 3 3");
        assert_eq!(orders(&outgoing.confirm(1).unwrap()), [3]);
    }
}
