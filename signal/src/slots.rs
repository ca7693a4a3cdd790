//! How many WebSockets and how many TCP connections are open, in all and by stranger.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::metrics;
use crate::stranger::Stranger;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counted {
    /// WebSockets.
    Sessions,
    /// TCP connections, those of WebSockets among them.
    Connections,
}

struct Taken {
    total: usize,
    by_stranger: HashMap<Stranger, usize>,
    max_total: usize,
    max_per_stranger: usize,
}

/// Counts what is open.
pub(crate) struct Slots {
    what: Counted,
    taken: Mutex<Taken>,
    emptied: Notify,
}

/// One that is open; dropping it frees the place.
pub(crate) struct Slot {
    slots: Arc<Slots>,
    stranger: Stranger,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSlot {
    /// The server is full.
    Server,
    /// This stranger has enough.
    Stranger,
}

impl Slots {
    pub(crate) fn new(what: Counted, max_total: usize, max_per_stranger: usize) -> Arc<Self> {
        let taken = Taken { total: 0, by_stranger: HashMap::new(), max_total, max_per_stranger };
        Arc::new(Self { what, taken: Mutex::new(taken), emptied: Notify::new() })
    }

    /// Other numbers from here on; what is open stays, even beyond them.
    pub(crate) fn resize(&self, max_total: usize, max_per_stranger: usize) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        (taken.max_total, taken.max_per_stranger) = (max_total, max_per_stranger);
    }

    pub(crate) fn take(self: &Arc<Self>, stranger: Stranger) -> Result<Slot, NoSlot> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.total >= taken.max_total {
            return Err(NoSlot::Server);
        }
        if taken.by_stranger.get(&stranger).is_some_and(|count| *count >= taken.max_per_stranger) {
            return Err(NoSlot::Stranger);
        }
        *taken.by_stranger.entry(stranger).or_default() += 1;
        taken.total += 1;
        drop(taken);
        metrics::opened(self.what);
        Ok(Slot { slots: Arc::clone(self), stranger })
    }

    /// Waits until none is open.
    pub(crate) async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.taken.lock().unwrap_or_else(PoisonError::into_inner).total == 0 {
                return;
            }
            emptied.await;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.total -= 1;
        if let Some(count) = taken.by_stranger.get_mut(&self.stranger) {
            *count -= 1;
            if *count == 0 {
                taken.by_stranger.remove(&self.stranger);
            }
        }
        if taken.total == 0 {
            self.slots.emptied.notify_waiters();
        }
        drop(taken);
        metrics::ended(self.slots.what);
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn places_are_counted_by_stranger_and_in_all_and_given_back() {
        let slots = Slots::new(Counted::Sessions, 3, 2);
        let (alice, bob) = (stranger("192.0.2.1"), stranger("192.0.2.2"));
        let first = slots.take(alice).ok().unwrap();
        let _second = slots.take(alice).ok().unwrap();
        assert_eq!(slots.take(alice).err(), Some(NoSlot::Stranger));
        let _third = slots.take(bob).ok().unwrap();
        assert_eq!(slots.take(bob).err(), Some(NoSlot::Server));
        drop(first);
        assert!(slots.take(alice).is_ok());
    }

    #[test]
    fn who_has_left_is_forgotten() {
        let slots = Slots::new(Counted::Sessions, 3, 2);
        drop(slots.take(stranger("192.0.2.1")).ok().unwrap());
        let taken = slots.taken.lock().unwrap();
        assert_eq!(taken.total, 0);
        assert!(taken.by_stranger.is_empty());
    }

    fn stranger(address: &str) -> Stranger {
        address.parse::<IpAddr>().unwrap().into()
    }
}
