//! The memory that received datagrams stay in, packed densely, until the sends planned from them have left.
//!
//! ```text
//! | datagram | pad | datagram | pad | …        free: at least one largest datagram, or full |
//! ```

use std::ops::Range;

/// The largest UDP payload is 65 507 bytes over IPv4 and 65 527 over IPv6: with this much room nothing is cut.
const LARGEST_DATAGRAM: usize = 65_536;
/// Room for the datagrams of one pass at usual sizes: about 150 of 1.2 kB. A guess that fits a core's L2 cache.
const SIZE: usize = 4 * LARGEST_DATAGRAM;
/// Datagrams start on a cache line.
const ALIGNMENT: usize = 64;

/// One worker's receive memory, allocated once.
pub(crate) struct Arena {
    bytes: Box<[u8]>,
    used: usize,
}

impl Arena {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; SIZE].into_boxed_slice(), used: 0 }
    }

    /// Room for one datagram of any size; `None` when the arena has to be cleared first.
    pub(crate) fn room(&mut self) -> Option<&mut [u8]> {
        self.bytes.get_mut(self.used..)?.get_mut(..LARGEST_DATAGRAM)
    }

    /// Keeps the first `length` bytes of [`room`](Self::room) and says where they are.
    pub(crate) fn keep(&mut self, length: usize) -> Range<usize> {
        let start = self.used;
        let end = start + length;
        self.used = end.next_multiple_of(ALIGNMENT);
        start..end
    }

    /// What was kept at `range`; empty if nothing was.
    pub(crate) fn at(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).unwrap_or_default()
    }

    /// Forgets all datagrams.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
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
    fn room_is_for_the_largest_datagram_or_there_is_none() {
        let mut arena = Arena::new();
        let mut kept = 0;
        while let Some(room) = arena.room() {
            assert_eq!(room.len(), LARGEST_DATAGRAM);
            arena.keep(1200);
            kept += 1;
        }
        assert!(kept > 100, "{kept}");
        arena.clear();
        assert!(arena.room().is_some());
    }

    #[test]
    fn the_largest_datagrams_fill_it_without_a_gap() {
        let mut arena = Arena::new();
        let fitted =
            std::iter::from_fn(|| arena.room().is_some().then(|| arena.keep(LARGEST_DATAGRAM))).count();
        assert_eq!(fitted, SIZE / LARGEST_DATAGRAM);
    }
}
