//! The latest events of a room, kept for members that come back: bounded by number, bytes and age.

use std::collections::VecDeque;
use std::time::Duration;

use causeway_protocol::record::EventAudience as Audience;
use causeway_protocol::{Moment, PeerId};

use crate::effect::Event;

/// How much a room keeps for those who come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingLimits {
    /// Events.
    pub events: usize,
    /// Bytes of events as they travel.
    pub bytes: usize,
    /// How old an event may become.
    pub age: Duration,
}

/// A call's set-up of a full room, which is a few hundred messages, fits; and longer than anybody is waited for, nothing
/// needs to be kept.
impl Default for RingLimits {
    fn default() -> Self {
        Self { events: 256, bytes: 1024 * 1024, age: Duration::from_secs(60) }
    }
}

/// Between two sweeps of what is too old: memory may wait, so that timers are few.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);

/// An event that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) event: Event,
    pub(crate) audience: Audience,
    pub(crate) at: Moment,
}

#[derive(Debug)]
pub(crate) struct Ring {
    limits: RingLimits,
    events: VecDeque<Kept>,
    bytes: usize,
    /// When the next sweep is due, while anything is kept.
    sweep: Option<Moment>,
}

impl Ring {
    pub(crate) const fn new(limits: RingLimits) -> Self {
        Self { limits, events: VecDeque::new(), bytes: 0, sweep: None }
    }

    /// Keeps an event; `fallen` hears of each that had to go for it, this one itself included if it alone is too large.
    pub(crate) fn keep(&mut self, kept: Kept, mut fallen: impl FnMut(&Kept)) {
        let sweep = self.sweep.unwrap_or_else(|| kept.at.plus(SWEEP_INTERVAL));
        self.bytes += kept.event.text.len();
        self.events.push_back(kept);
        while self.events.len() > self.limits.events || self.bytes > self.limits.bytes {
            self.drop_oldest(&mut fallen);
        }
        self.sweep = (!self.events.is_empty()).then_some(sweep);
    }

    /// Forgets what is too old.
    pub(crate) fn sweep(&mut self, now: Moment, mut fallen: impl FnMut(&Kept)) {
        if self.sweep.is_none_or(|sweep| now < sweep) {
            return;
        }
        while self.events.front().is_some_and(|oldest| now.since(oldest.at) >= self.limits.age) {
            self.drop_oldest(&mut fallen);
        }
        self.sweep = (!self.events.is_empty()).then(|| now.plus(SWEEP_INTERVAL));
        // What a burst needed is given back: most rooms are calm most of the time.
        if self.events.len() <= self.events.capacity() / 4 {
            self.events.shrink_to(self.events.len() * 2);
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, mut fallen: impl FnMut(&Kept)) {
        while !self.events.is_empty() {
            self.drop_oldest(&mut fallen);
        }
        self.events = VecDeque::new();
        self.sweep = None;
    }

    fn drop_oldest(&mut self, fallen: &mut impl FnMut(&Kept)) {
        if let Some(oldest) = self.events.pop_front() {
            self.bytes -= oldest.event.text.len();
            fallen(&oldest);
        }
    }

    /// What was kept for `peer` with a number above `seq`, in order.
    pub(crate) fn after<'a>(&'a self, seq: u64, peer: &'a PeerId) -> impl Iterator<Item = &'a Event> + 'a {
        let first = self.events.partition_point(|kept| kept.event.seq <= seq);
        self.events.range(first..).filter(|kept| kept.audience.includes(peer)).map(|kept| &kept.event)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Kept> {
        self.events.iter()
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) const fn next_deadline(&self) -> Option<Moment> {
        self.sweep
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_by_number_and_by_bytes_and_what_falls_out_is_told() {
        let mut ring = Ring::new(RingLimits { events: 3, bytes: 10, age: Duration::from_secs(60) });
        let mut fallen = Vec::new();
        for (seq, len) in [(1, 1), (2, 1), (3, 1), (4, 1), (5, 8), (6, 11)] {
            ring.keep(kept(seq, len, 0), |kept| fallen.push(kept.event.seq));
        }
        assert_eq!(fallen, [1, 2, 3, 4, 5, 6]);
        assert_eq!((ring.bytes(), ring.iter().count()), (0, 0));
    }

    #[test]
    fn what_is_too_old_goes_with_the_sweep() {
        let mut ring = Ring::new(RingLimits { age: Duration::from_secs(60), ..RingLimits::default() });
        ring.keep(kept(1, 1, 0), |_| {});
        ring.keep(kept(2, 1, 50), |_| {});
        assert_eq!(ring.next_deadline(), Some(at(15)));
        let mut fallen = Vec::new();
        for second in [15, 30, 45, 60, 75] {
            ring.sweep(at(second), |kept| fallen.push((second, kept.event.seq)));
        }
        assert_eq!(fallen, [(60, 1)]);
        ring.sweep(at(200), |kept| fallen.push((200, kept.event.seq)));
        assert_eq!((fallen.len(), ring.next_deadline()), (2, None));
    }

    #[test]
    fn a_burst_leaves_no_memory_behind() {
        let mut ring = Ring::new(RingLimits::default());
        for seq in 0..200 {
            ring.keep(kept(seq, 1, 0), |_| {});
        }
        ring.keep(kept(200, 1, 50), |_| {});
        ring.sweep(at(60), |_| {});
        assert!(ring.iter().count() == 1 && ring.events.capacity() <= 8, "{}", ring.events.capacity());
        ring.sweep(at(120), |_| {});
        assert_eq!(ring.events.capacity(), 0);
    }

    #[test]
    fn a_peer_is_given_what_was_for_it_and_nothing_else() {
        let mut ring = Ring::new(RingLimits::default());
        let (alice, bob): (PeerId, PeerId) = ("alice".parse().unwrap(), "bob".parse().unwrap());
        for (seq, audience) in [
            (1, Audience::All),
            (2, Audience::AllBut(alice.clone())),
            (4, Audience::Only(vec![alice.clone()])),
            (7, Audience::All),
        ] {
            ring.keep(Kept { audience, ..kept(seq, 1, 0) }, |_| {});
        }
        let after = |seq, peer| ring.after(seq, peer).map(|event| event.seq).collect::<Vec<_>>();
        assert_eq!(after(0, &alice), [1, 4, 7]);
        assert_eq!(after(1, &bob), [2, 7]);
        assert_eq!(after(5, &bob), [7]);
        assert!(after(7, &alice).is_empty());
    }

    fn kept(seq: u64, len: usize, second: u64) -> Kept {
        Kept { event: Event { seq, text: "x".repeat(len).into() }, audience: Audience::All, at: at(second) }
    }

    fn at(second: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(second))
    }
}
