//! The memory that received messages stay in, each in a slot of its own, until the sends planned from them have left.
//!
//! ```text
//! | message   | message   | …    free slots, of which at least one remains for what is decrypted |
//! |<- held while its datagrams are taken one by one ->|
//! ```

use std::ops::Range;

/// A train of datagrams has at most as many bytes as an IPv4 packet: with this much room nothing is cut.
const SLOT: usize = 65_536;
/// From one slot to the next. Beginnings 64 KiB apart would share the few lines of a cache that their address selects.
const STRIDE: usize = SLOT + 17 * ALIGNMENT;
/// A cache line.
const ALIGNMENT: usize = 64;
/// Messages of one pass, and one. Memory that no message has reached yet is not there: a slot costs a page until trains
/// come.
const SLOTS: usize = 513;
/// Bytes of one pass, roughly: trains stay in the first slots, and within a core's L2 cache. A guess that was measured
/// (docs/perf-log.md).
const BYTES: usize = 768 * 1024;

/// One worker's receive memory, allocated once.
pub(crate) struct Arena {
    bytes: Box<[u8]>,
    /// Slots with something in them, from the first on.
    used: usize,
    /// Of these, the slots that stay when the others are cleared.
    held: usize,
    /// What the messages received so far have, together.
    received: usize,
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; SLOTS * STRIDE].into_boxed_slice(), used: 0, held: 0, received: 0 }
    }

    /// How many messages can be received. One slot remains for a message that one of them becomes.
    pub(crate) fn free(&self) -> usize {
        if self.received < BYTES { (SLOTS - 1).saturating_sub(self.used) } else { 0 }
    }

    /// The free slots, in order.
    pub(crate) fn slots(&mut self) -> impl Iterator<Item = &mut [u8]> {
        let free = self.bytes.get_mut(self.used * STRIDE..).unwrap_or_default();
        free.chunks_exact_mut(STRIDE).filter_map(|slot| slot.get_mut(..SLOT))
    }

    /// Holds the next `count` slots, which have been received into, until [`release`](Self::release). Says where the
    /// first begins.
    pub(crate) fn hold(&mut self, count: usize) -> usize {
        let start = self.used * STRIDE;
        self.used = (self.used + count).min(SLOTS);
        self.held = self.used;
        start
    }

    /// Where in the slot of this place, counted from the one that begins at `start`, `length` bytes are.
    pub(crate) fn in_slot(start: usize, place: usize, length: usize) -> Range<usize> {
        let start = start + place * STRIDE;
        start..start + length.min(SLOT)
    }

    /// A message that was received has so many bytes.
    pub(crate) fn count(&mut self, length: usize) {
        self.received += length;
    }

    /// What was held has been looked at.
    pub(crate) fn release(&mut self) {
        self.held = 0;
    }

    /// Room for one message; `None` when the arena has to be cleared first.
    pub(crate) fn room(&mut self) -> Option<&mut [u8]> {
        self.slots().next()
    }

    /// What is at `range`, and room for one more message.
    pub(crate) fn at_and_room(&mut self, range: Range<usize>) -> Option<(&[u8], &mut [u8])> {
        let (used, free) = self.bytes.split_at_mut_checked(self.used * STRIDE)?;
        Some((used.get(range)?, free.get_mut(..SLOT)?))
    }

    /// Keeps the first `length` bytes of [`room`](Self::room) and says where they are.
    pub(crate) fn keep(&mut self, length: usize) -> Range<usize> {
        let start = self.used * STRIDE;
        self.used += 1;
        Self::in_slot(start, 0, length)
    }

    /// What was kept at `range`; empty if nothing was.
    pub(crate) fn at(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Forgets all messages that are not held.
    pub(crate) fn clear(&mut self) {
        self.used = self.held;
        self.received = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_until_the_arena_is_cleared() {
        let mut arena = Arena::new();
        arena.room().unwrap()[..3].copy_from_slice(b"one");
        let one = arena.keep(3);
        arena.room().unwrap()[..3].copy_from_slice(b"two");
        let two = arena.keep(3);
        assert_eq!((arena.at(one), arena.at(two)), (&b"one"[..], &b"two"[..]));
    }

    #[test]
    fn what_is_held_stays_even_then() {
        let mut arena = Arena::new();
        for (slot, text) in arena.slots().zip([b"one", b"two"]) {
            slot[..3].copy_from_slice(text);
        }
        let start = arena.hold(2);
        arena.room().unwrap()[..5].copy_from_slice(b"three");
        arena.keep(5);
        arena.clear();
        arena.room().unwrap()[..4].copy_from_slice(b"four");
        let (two, room) = arena.at_and_room(Arena::in_slot(start, 1, 3)).unwrap();
        assert_eq!((two, &room[..5]), (&b"two"[..], &b"foure"[..]));
        arena.release();
        arena.clear();
        assert_eq!(arena.free(), SLOTS - 1);
    }

    #[test]
    fn room_is_for_the_largest_message_or_there_is_none() {
        let mut arena = Arena::new();
        let fitted = std::iter::from_fn(|| {
            assert!(arena.room()?.len() >= 65_535);
            Some(arena.keep(1200))
        });
        assert_eq!(fitted.count(), SLOTS);
        arena.clear();
        assert!(arena.room().is_some());
    }

    #[test]
    fn long_messages_leave_no_room_for_as_many_as_short_ones() {
        let mut arena = Arena::new();
        arena.count(BYTES - 1);
        assert_eq!(arena.free(), SLOTS - 1);
        arena.count(1);
        assert_eq!(arena.free(), 0);
        arena.clear();
        assert_eq!(arena.free(), SLOTS - 1);
    }

    #[test]
    fn a_slot_is_left_when_as_many_messages_came_as_can_be_received() {
        let mut arena = Arena::new();
        arena.hold(arena.free());
        assert_eq!(arena.free(), 0);
        assert!(arena.room().is_some());
    }
}
