//! Which worker has a live relayed port, so that data between two relayed addresses of this process needs no kernel.
//!
//! ```text
//! | generation: 28 bits, never 0 | worker: 9 bits | slot: 27 bits |      0: nobody's
//! ```
//! One such word for each port of an IP, in pages that exist from the first use of one of their 64 ports on.

use std::num::NonZeroU64;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::tcp::WorkerNumber;

/// Ports of one page.
const PAGE: usize = 64;
/// Pages of one IP: 65,536 ports.
const PAGES: usize = 1024;

const SLOT_BITS: u32 = 27;
const WORKER_BITS: u32 = 9;
const SLOT_MASK: u64 = (1 << SLOT_BITS) - 1;
const WORKER_MASK: u64 = (1 << WORKER_BITS) - 1;
const GENERATION_MASK: u32 = (1 << 28) - 1;

/// Where a live relayed address is at home, and in which of its lives: a port that was given back and drawn again has
/// another. Generations come round after 2^28 relayed addresses of a worker, far beyond what can be on its way between
/// two workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Home(NonZeroU64);

impl Home {
    const fn new(worker: WorkerNumber, slot: u32, generation: u32) -> Option<Self> {
        let word = ((generation as u64) << (WORKER_BITS + SLOT_BITS))
            | ((worker.number() as u64) << SLOT_BITS)
            | (slot as u64 & SLOT_MASK);
        match NonZeroU64::new(word) {
            Some(word) => Some(Self(word)),
            None => None,
        }
    }

    /// The worker whose relay has the port.
    pub(crate) fn worker(self) -> WorkerNumber {
        let number = (self.0.get() >> SLOT_BITS) & WORKER_MASK;
        u16::try_from(number).ok().and_then(WorkerNumber::new).expect("nine bits hold a worker's number")
    }

    /// The slot that it has there. Whoever looks into it compares the address.
    pub(crate) fn slot(self) -> u32 {
        u32::try_from(self.0.get() & SLOT_MASK).unwrap_or(u32::MAX)
    }
}

/// Gives the homes of one worker's ports.
#[derive(Debug)]
pub(crate) struct Lives {
    worker: WorkerNumber,
    generation: u32,
}

impl Lives {
    pub(crate) const fn of(worker: WorkerNumber) -> Self {
        Self { worker, generation: 0 }
    }

    /// The home of the port that comes to life in this slot.
    pub(crate) fn begin(&mut self, slot: u32) -> Home {
        self.generation = self.generation.wrapping_add(1) & GENERATION_MASK;
        self.generation = self.generation.max(1);
        Home::new(self.worker, slot, self.generation).expect("a generation is never 0")
    }
}

/// The homes of one IP's live ports. `Relaxed` throughout: a home says nothing about other memory, and whoever acts on
/// it on another thread is checked there.
#[derive(Debug)]
pub(crate) struct Homes(Box<[OnceLock<Page>]>);

type Page = Box<[AtomicU64]>;

impl Homes {
    pub(crate) fn new() -> Self {
        Self((0..PAGES).map(|_| OnceLock::new()).collect())
    }

    /// Whose this port is.
    pub(crate) fn get(&self, port: u16) -> Option<Home> {
        let home = self.page(port)?.get()?.get(usize::from(port) % PAGE)?.load(Ordering::Relaxed);
        NonZeroU64::new(home).map(Home)
    }

    pub(crate) fn set(&self, port: u16, home: Home) {
        let Some(page) = self.page(port) else { return };
        let page = page.get_or_init(|| (0..PAGE).map(|_| AtomicU64::new(0)).collect());
        store(page, port, home.0.get());
    }

    pub(crate) fn clear(&self, port: u16) {
        if let Some(page) = self.page(port).and_then(OnceLock::get) {
            store(page, port, 0);
        }
    }

    fn page(&self, port: u16) -> Option<&OnceLock<Page>> {
        self.0.get(usize::from(port) / PAGE)
    }
}

fn store(page: &Page, port: u16, word: u64) {
    if let Some(home) = page.get(usize::from(port) % PAGE) {
        home.store(word, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_tells_worker_and_slot_of_every_port() {
        let homes = Homes::new();
        let mut lives = [0, 511].map(|number| Lives::of(WorkerNumber::new(number).unwrap()));
        for (worker, lives) in [0, 511].into_iter().zip(&mut lives) {
            for (port, slot) in [(0, 0), (63, 1), (64, 65_536), (65_535, (1 << SLOT_BITS) - 1)] {
                assert_eq!(homes.get(port), None);
                homes.set(port, lives.begin(slot));
                let home = homes.get(port).unwrap();
                assert_eq!((home.worker().number(), home.slot()), (worker, slot));
                homes.clear(port);
            }
        }
    }

    #[test]
    fn the_same_slot_is_another_home_in_another_life() {
        let mut lives = Lives::of(WorkerNumber::FIRST);
        assert_ne!(lives.begin(7), lives.begin(7));
    }

    #[test]
    fn after_the_last_generation_comes_the_first() {
        let mut lives = Lives { worker: WorkerNumber::FIRST, generation: GENERATION_MASK };
        assert_eq!(lives.begin(0), Lives::of(WorkerNumber::FIRST).begin(0));
    }
}
