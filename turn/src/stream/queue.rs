//! What waits for one client.
//!
//! ```text
//! | relayed data and answers ……… | answers only |
//! 0                          high water       full
//! ```
//! The policy for slow readers: above the high-water mark relayed data is dropped, as a full UDP socket would drop
//! it, while answers still fit, so that a client can refresh and leave; a client that fills even their room asks
//! without reading, and is closed.

use std::collections::VecDeque;

/// Room for answers above the high-water mark: 32 of the longest.
const ANSWER_ROOM: usize = 16 << 10;

/// What is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// A peer's data.
    Relayed,
    /// An answer of ours.
    Answer,
}

/// There is no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Bytes on their way to one client. Its memory is taken when it is first needed and kept while data flows.
pub(crate) struct Queue {
    bytes: VecDeque<u8>,
    /// How long each of what was pushed is, and of the first what is left.
    frames: VecDeque<usize>,
    high_water: usize,
}

impl Queue {
    pub(crate) fn new(high_water: usize) -> Self {
        Self { bytes: VecDeque::new(), frames: VecDeque::new(), high_water }
    }

    /// Appends all parts or none.
    pub(crate) fn push(&mut self, parts: [&[u8]; 3], load: Load) -> Result<(), Full> {
        let room = match load {
            Load::Relayed => self.high_water,
            Load::Answer => self.high_water + ANSWER_ROOM,
        };
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.bytes.len() + length > room {
            return Err(Full);
        }
        for part in parts {
            self.bytes.extend(part);
        }
        if length > 0 {
            self.frames.push_back(length);
        }
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is to be sent next, in two pieces.
    pub(crate) fn front(&self) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        [first, second]
    }

    /// What is left of the first that was pushed, but at most `limit` bytes, in two pieces.
    pub(crate) fn first(&self, limit: usize) -> [&[u8]; 2] {
        let length = self.frames.front().map_or(0, |frame| limit.min(*frame));
        let [front, rest] = self.front();
        let split = length.min(front.len());
        [front.get(..split).unwrap_or_default(), rest.get(..length - split).unwrap_or_default()]
    }

    /// The first `count` bytes have been sent.
    pub(crate) fn consume(&mut self, count: usize) {
        let mut count = count.min(self.bytes.len());
        self.bytes.drain(..count);
        while let Some(frame) = self.frames.front_mut() {
            if *frame > count {
                *frame -= count;
                break;
            }
            count -= *frame;
            self.frames.pop_front();
        }
    }

    /// Gives memory back while nothing waits.
    pub(crate) fn release(&mut self) {
        if self.bytes.is_empty() {
            (self.bytes, self.frames) = (VecDeque::new(), VecDeque::new());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HIGH_WATER: usize = 1000;

    #[test]
    fn data_is_refused_above_the_high_water_mark_and_answers_are_not() {
        let mut queue = Queue::new(HIGH_WATER);
        assert_eq!(push(&mut queue, HIGH_WATER, Load::Relayed), Ok(()));
        assert_eq!(push(&mut queue, 1, Load::Relayed), Err(Full));
        assert_eq!(push(&mut queue, ANSWER_ROOM, Load::Answer), Ok(()));
        assert_eq!(push(&mut queue, 1, Load::Answer), Err(Full));
        queue.consume(ANSWER_ROOM + 1);
        assert_eq!(push(&mut queue, 1, Load::Relayed), Ok(()));
    }

    #[test]
    fn what_does_not_fit_leaves_no_part_behind() {
        let mut queue = Queue::new(HIGH_WATER);
        let parts = [&b"header"[..], &[0; HIGH_WATER], &[]];
        assert_eq!(queue.push(parts, Load::Relayed), Err(Full));
        assert!(queue.is_empty());
    }

    #[test]
    fn bytes_leave_in_the_order_they_came() {
        let mut queue = Queue::new(HIGH_WATER);
        queue.push([b"a", b"b", b"cd"], Load::Relayed).unwrap();
        queue.consume(1);
        queue.push([b"ef", b"", b""], Load::Answer).unwrap();
        assert_eq!(queue.front().concat(), b"bcdef");
    }

    #[test]
    fn what_was_pushed_together_can_be_taken_together_wherever_it_lies() {
        let mut queue = Queue::new(HIGH_WATER);
        // Far enough round the ring that some of them lie in two pieces.
        for length in (1..200).cycle().take(1000) {
            queue.push([&[1], &vec![2; length], &[3]], Load::Relayed).unwrap();
            queue.push([b"next", b"", b""], Load::Answer).unwrap();
            assert_eq!(queue.first(HIGH_WATER).concat(), [&[1][..], &vec![2; length], &[3]].concat());
            queue.consume(1);
            assert_eq!(queue.first(HIGH_WATER).concat(), [&vec![2; length][..], &[3]].concat());
            assert_eq!(queue.first(1).concat(), [2]);
            queue.consume(length + 1);
            assert_eq!(queue.first(HIGH_WATER).concat(), b"next");
            queue.consume(4);
            assert!(queue.first(HIGH_WATER).concat().is_empty() && queue.frames.is_empty());
        }
    }

    fn push(queue: &mut Queue, length: usize, load: Load) -> Result<(), Full> {
        queue.push([&vec![0; length], &[], &[]], load)
    }
}
