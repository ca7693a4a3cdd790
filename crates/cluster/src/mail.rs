//! Letters between nodes: what is sent, what arrives, and the bounded box they wait in.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use causeway_protocol::NodeId;
use tokio::sync::Notify;

/// The longest letter in bytes: a room with its ring of events (1 MiB) and its state (64 KiB), twice over.
pub const LONGEST_LETTER: usize = 4 * 1024 * 1024;
/// Letters that wait for one node, or in one mailbox. A guess: a busy node's second.
pub const MOST_LETTERS: usize = 4096;
/// The bytes of letters that wait for one node, or in one mailbox.
pub const MOST_BYTES: usize = 8 * 1024 * 1024;

/// Why a letter was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// Too much waits for that node. It is all given up: both sides get [`Arrival::Reset`].
    #[error("too many letters wait for that node; they are given up")]
    Full,
    /// Longer than [`LONGEST_LETTER`].
    #[error("the letter is longer than {LONGEST_LETTER} bytes")]
    TooLarge,
    /// No other live node has that name.
    #[error("there is no such node any more")]
    UnknownNode,
}

/// What comes out of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A letter.
    Letter {
        /// Who posted it.
        from: NodeId,
        /// What it says.
        bytes: Bytes,
    },
    /// Letters to or from this node may be lost, up to here: whoever keeps state about it synchronizes anew.
    Reset {
        /// The other node.
        node: NodeId,
    },
}

/// What other nodes send to this one.
pub struct Mailbox(pub(crate) Arc<Letterbox>);

impl Mailbox {
    /// The next arrival; `None` after the cluster is gone. Cancel safe.
    pub async fn next(&mut self) -> Option<Arrival> {
        loop {
            let arrived = self.0.arrived.notified();
            if let Some(arrival) = self.0.take() {
                return Some(arrival);
            }
            if self.0.closed.load(Ordering::Acquire) {
                return None;
            }
            arrived.await;
        }
    }
}

/// Both ends of a mailbox.
#[derive(Default)]
pub(crate) struct Letterbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
    taken: AtomicBool,
    closed: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    arrivals: VecDeque<Arrival>,
    letters: usize,
    bytes: usize,
    /// Resets that wait and that no letter of the same node came after: one is enough.
    resets: HashSet<NodeId>,
}

/// There is no room for another letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Letterbox {
    /// Its only mailbox, the first time.
    pub(crate) fn mailbox(self: &Arc<Self>) -> Option<Mailbox> {
        (!self.taken.swap(true, Ordering::AcqRel)).then(|| Mailbox(Arc::clone(self)))
    }

    pub(crate) fn letter(&self, from: NodeId, bytes: Bytes) -> Result<(), Full> {
        if !self.has_room_for(1, bytes.len()) {
            return Err(Full);
        }
        self.accept(from, bytes);
        Ok(())
    }

    /// Whether letters of this length in all have a place. An empty box takes any.
    pub(crate) fn has_room_for(&self, letters: usize, bytes: usize) -> bool {
        let waiting = self.lock();
        letters == 0
            || waiting.letters == 0
            || (waiting.letters + letters <= MOST_LETTERS && waiting.bytes + bytes <= MOST_BYTES)
    }

    /// Takes a letter that was found to have a place.
    pub(crate) fn accept(&self, from: NodeId, bytes: Bytes) {
        let mut waiting = self.lock();
        waiting.letters += 1;
        waiting.bytes += bytes.len();
        waiting.resets.remove(&from);
        waiting.arrivals.push_back(Arrival::Letter { from, bytes });
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Has a place always: there are at most as many as nodes and letters.
    pub(crate) fn reset(&self, node: NodeId) {
        let mut waiting = self.lock();
        if waiting.resets.insert(node.clone()) {
            waiting.arrivals.push_back(Arrival::Reset { node });
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    /// Nothing more will come.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.arrived.notify_one();
    }

    fn take(&self) -> Option<Arrival> {
        let mut waiting = self.lock();
        let arrival = waiting.arrivals.pop_front()?;
        match &arrival {
            Arrival::Letter { bytes, .. } => {
                waiting.letters -= 1;
                waiting.bytes -= bytes.len();
            }
            Arrival::Reset { node } => {
                waiting.resets.remove(node);
            }
        }
        Some(arrival)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_box_takes_no_letter_but_every_reset() {
        let (inside, mut mailbox) = boxed();
        for _ in 0..MOST_LETTERS {
            inside.letter(node("a"), Bytes::from_static(b"x")).unwrap();
        }
        assert_eq!(inside.letter(node("a"), Bytes::new()), Err(Full));
        inside.reset(node("a"));
        inside.reset(node("a"));
        for _ in 0..MOST_LETTERS {
            assert!(matches!(mailbox.next().await, Some(Arrival::Letter { .. })));
        }
        assert_eq!(mailbox.next().await, Some(Arrival::Reset { node: node("a") }));
        inside.close();
        assert_eq!(mailbox.next().await, None, "the second reset said nothing new");
    }

    #[tokio::test]
    async fn a_reset_after_a_letter_is_a_reset_of_its_own() {
        let (inside, mut mailbox) = boxed();
        inside.reset(node("a"));
        inside.letter(node("a"), Bytes::from_static(b"x")).unwrap();
        inside.reset(node("a"));
        assert_eq!(mailbox.next().await, Some(Arrival::Reset { node: node("a") }));
        assert!(matches!(mailbox.next().await, Some(Arrival::Letter { .. })));
        assert_eq!(mailbox.next().await, Some(Arrival::Reset { node: node("a") }));
    }

    #[test]
    fn the_bytes_are_bounded_too() {
        let (inside, _mailbox) = boxed();
        let half = Bytes::from(vec![0; LONGEST_LETTER]);
        inside.letter(node("a"), half.clone()).unwrap();
        inside.letter(node("a"), half.clone()).unwrap();
        assert_eq!(inside.letter(node("a"), half), Err(Full));
    }

    #[test]
    fn there_is_one_mailbox() {
        let (inside, _mailbox) = boxed();
        assert!(inside.mailbox().is_none());
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let (inside, mut mailbox) = boxed();
        let waiting = tokio::spawn(async move { mailbox.next().await });
        tokio::task::yield_now().await;
        inside.reset(node("b"));
        assert_eq!(waiting.await.unwrap(), Some(Arrival::Reset { node: node("b") }));
    }

    fn boxed() -> (Arc<Letterbox>, Mailbox) {
        let inside = Arc::new(Letterbox::default());
        let mailbox = inside.mailbox().unwrap();
        (inside, mailbox)
    }

    fn node(name: &str) -> NodeId {
        name.parse().unwrap()
    }
}
