//! Messages with payloads from one thread to one other: bounded, wait-free, allocated once.
//!
//! ```text
//!            heads │ message, length │ message, length │ …
//! writer ──►                                              ──► reader
//!            bytes │ payload │ payload │ …
//! ```

use rtrb::{Consumer, Producer, RingBuffer};

/// The lane is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// A message, and how long its payload is.
#[derive(Clone, Copy)]
struct Head<M> {
    message: M,
    length: usize,
}

/// The end that is written to.
pub(crate) struct Writer<M> {
    heads: Producer<Head<M>>,
    bytes: Producer<u8>,
}

/// The end that is read from.
pub(crate) struct Reader<M> {
    heads: Consumer<Head<M>>,
    bytes: Consumer<u8>,
}

/// A lane for so many messages at a time, with so many bytes of payload together.
pub(crate) fn lane<M: Copy>(messages: usize, bytes: usize) -> (Writer<M>, Reader<M>) {
    let (head_writer, head_reader) = RingBuffer::new(messages);
    let (byte_writer, byte_reader) = RingBuffer::new(bytes);
    (Writer { heads: head_writer, bytes: byte_writer }, Reader { heads: head_reader, bytes: byte_reader })
}

impl<M: Copy> Writer<M> {
    pub(crate) fn push(&mut self, message: M, payload: &[u8]) -> Result<(), Full> {
        if self.heads.is_full() {
            return Err(Full);
        }
        // Before the head: whoever sees the head finds all of its payload.
        self.bytes.push_entire_slice(payload).map_err(|_too_few_slots| Full)?;
        let pushed = self.heads.push(Head { message, length: payload.len() });
        pushed.map_err(|_full| ()).expect("the only writer has seen room");
        Ok(())
    }
}

impl<M: Copy> Reader<M> {
    /// The next message, with its payload at the beginning of `room`, and how long that is. `None` if there is none, or
    /// its payload is too long for the room.
    pub(crate) fn pop(&mut self, room: &mut [u8]) -> Option<(M, usize)> {
        let Head { message, length } = *self.heads.peek().ok()?;
        let payload = room.get_mut(..length)?;
        self.bytes.pop_entire_slice(payload).expect("a payload is there before its head");
        self.heads.pop().expect("it was seen, and nobody else takes it");
        Some((message, length))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.heads.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_arrive_in_order_with_their_payloads() {
        let (mut writer, mut reader) = lane(8, 16);
        // Round the ring several times.
        for round in 0..20u8 {
            for (message, payload) in [(1, &b""[..]), (2, b"two"), (3, &[round; 9])] {
                assert_eq!(writer.push(message, payload), Ok(()));
            }
            let mut room = [0; 16];
            assert_eq!(reader.pop(&mut room), Some((1, 0)));
            assert_eq!((reader.pop(&mut room), &room[..3]), (Some((2, 3)), &b"two"[..]));
            assert_eq!((reader.pop(&mut room), &room[..9]), (Some((3, 9)), &[round; 9][..]));
            assert!(reader.is_empty());
            assert_eq!(reader.pop(&mut room), None);
        }
    }

    #[test]
    fn a_full_lane_takes_nothing_and_keeps_what_it_has() {
        let (mut writer, mut reader) = lane(2, 8);
        assert_eq!(writer.push(1, b"12345"), Ok(()));
        assert_eq!(writer.push(2, b"6789"), Err(Full), "too many bytes");
        assert_eq!(writer.push(3, b"678"), Ok(()));
        assert_eq!(writer.push(4, b""), Err(Full), "too many messages");
        let mut room = [0; 8];
        assert_eq!((reader.pop(&mut room), &room[..5]), (Some((1, 5)), &b"12345"[..]));
        assert_eq!(writer.push(4, b""), Ok(()));
        assert_eq!((reader.pop(&mut room), &room[..3]), (Some((3, 3)), &b"678"[..]));
        assert_eq!(reader.pop(&mut room), Some((4, 0)));
    }

    #[test]
    fn what_does_not_fit_the_room_waits_for_more() {
        let (mut writer, mut reader) = lane(2, 8);
        writer.push(1, b"12345").unwrap();
        assert_eq!(reader.pop(&mut [0; 4]), None);
        assert_eq!(reader.pop(&mut [0; 5]), Some((1, 5)));
    }

    #[test]
    fn between_two_threads_nothing_is_lost_or_changed() {
        const MESSAGES: usize = 100_000;
        let (mut writer, mut reader) = lane(16, 500);
        let payload = |message: usize| vec![message.to_le_bytes()[0]; message % 97];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for message in 0..MESSAGES {
                    while writer.push(message, &payload(message)) == Err(Full) {
                        std::thread::yield_now();
                    }
                }
            });
            let mut room = [0; 97];
            for expected in 0..MESSAGES {
                let (message, length) = loop {
                    match reader.pop(&mut room) {
                        Some(popped) => break popped,
                        None => std::thread::yield_now(),
                    }
                };
                assert_eq!((message, &room[..length]), (expected, &payload(expected)[..]));
            }
        });
    }
}
