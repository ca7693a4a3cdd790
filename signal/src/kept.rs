//! How much all rooms of this process keep for members that come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what rooms keep.
#[derive(Debug, Default)]
pub(crate) struct KeptBytes {
    total: Arc<AtomicUsize>,
    /// At most.
    budget: AtomicUsize,
}

/// What one room has counted. Dropping it gives it back.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    bytes: usize,
    counted_in: Option<Arc<AtomicUsize>>,
}

impl KeptBytes {
    pub(crate) fn new(budget: usize) -> Self {
        Self { total: Arc::default(), budget: AtomicUsize::new(budget) }
    }

    pub(crate) fn set_budget(&self, budget: usize) {
        self.budget.store(budget, Ordering::Relaxed);
    }

    /// Counts what a room keeps by now; whether all rooms together keep too much, and this one has to let go.
    pub(crate) fn is_over_budget(&self, room: &mut Kept, bytes: usize) -> bool {
        if bytes == room.bytes {
            return false;
        }
        room.counted_in.get_or_insert_with(|| Arc::clone(&self.total));
        let total = if bytes > room.bytes {
            let more = bytes - room.bytes;
            self.total.fetch_add(more, Ordering::Relaxed) + more
        } else {
            let less = room.bytes - bytes;
            self.total.fetch_sub(less, Ordering::Relaxed) - less
        };
        let grows = bytes > room.bytes;
        room.bytes = bytes;
        grows && total > self.budget.load(Ordering::Relaxed)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(total) = &self.counted_in {
            total.fetch_sub(self.bytes, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_that_grows_beyond_the_budget_of_all_has_to_let_go() {
        let all = KeptBytes::new(100);
        let (mut kitchen, mut cellar) = (Kept::default(), Kept::default());
        assert!(!all.is_over_budget(&mut kitchen, 80));
        assert!(!all.is_over_budget(&mut cellar, 20));
        assert!(all.is_over_budget(&mut cellar, 21));
        assert!(!all.is_over_budget(&mut cellar, 0));
        assert!(!all.is_over_budget(&mut kitchen, 100));
        drop(kitchen);
        assert!(!all.is_over_budget(&mut cellar, 100));
    }
}
