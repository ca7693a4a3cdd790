//! A timer wheel: one deadline per key, armed, moved and taken off in constant time.
//!
//! ```text
//! slot   0    1    2   …   4095        one second a slot, so the wheel turns once in 68 minutes
//!        ·    3 ─► 7       ·           keys of the slot as a doubly linked list through `nodes`
//!             ▲ current
//! ```
//! A deadline beyond one turn waits in the last slot and comes up early; whoever armed it looks at its own deadline
//! and arms it again. A timer comes up to one second late: what it guards is checked on use as well.

use std::time::Duration;

use causeway_protocol::Moment;

/// One turn is longer than the longest lifetime a client is given by default (3600 s).
const SLOTS: u32 = 4096;
/// A power of two, so that a second's slot is its low bits.
const SLOT_MASK: u64 = SLOTS as u64 - 1;
const WORD_BITS: u32 = 64;
const NONE: u32 = u32::MAX;

/// Timers by key; keys are small dense numbers. A shell may use one for its own.
#[derive(Debug)]
pub struct Wheel {
    /// The first key of each slot.
    heads: Box<[u32]>,
    /// A bit per slot that has keys.
    occupied: Box<[u64]>,
    nodes: Vec<Node>,
    /// The second whose slot is being emptied; everything before it is done.
    current: u64,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    previous: u32,
    next: u32,
    /// `NONE`: not armed.
    slot: u32,
}

impl Node {
    const IDLE: Self = Self { previous: NONE, next: NONE, slot: NONE };
}

impl Default for Wheel {
    fn default() -> Self {
        Self::new()
    }
}

impl Wheel {
    /// Without timers.
    #[must_use]
    pub fn new() -> Self {
        Self {
            heads: vec![NONE; SLOTS as usize].into(),
            occupied: vec![0; (SLOTS / WORD_BITS) as usize].into(),
            nodes: Vec::new(),
            current: 0,
        }
    }

    /// Sets the key's timer, whether it was armed or not.
    pub fn arm(&mut self, key: u32, deadline: Moment) {
        self.disarm(key);
        if self.nodes.len() <= key as usize {
            self.nodes.resize((key as usize).saturating_add(1), Node::IDLE);
        }
        let earliest = self.current.saturating_add(1);
        let latest = self.current.saturating_add(u64::from(SLOTS).saturating_sub(1));
        let slot = slot_of(second_at_or_after(deadline).clamp(earliest, latest));
        let next = self.head(slot);
        if let Some(node) = self.nodes.get_mut(key as usize) {
            *node = Node { previous: NONE, next, slot };
        }
        if let Some(node) = self.nodes.get_mut(next as usize) {
            node.previous = key;
        }
        self.set_head(slot, key);
    }

    /// Takes the key's timer off.
    pub fn disarm(&mut self, key: u32) {
        let Some(node) = self.nodes.get_mut(key as usize) else { return };
        let Node { previous, next, slot } = std::mem::replace(node, Node::IDLE);
        if slot == NONE {
            return;
        }
        if let Some(node) = self.nodes.get_mut(next as usize) {
            node.previous = previous;
        }
        match self.nodes.get_mut(previous as usize) {
            Some(node) => node.next = next,
            None => self.set_head(slot, next),
        }
    }

    /// Takes off one timer that is due; call until there is none.
    pub fn pop_due(&mut self, now: Moment) -> Option<u32> {
        let today = now.since_origin().as_secs();
        while self.current <= today {
            let key = self.head(slot_of(self.current));
            if key != NONE {
                self.disarm(key);
                return Some(key);
            }
            if self.current == today {
                break;
            }
            self.current = self.next_second().map_or(today, |second| second.min(today));
        }
        None
    }

    /// When the next timer is due, if one is armed.
    #[must_use]
    pub fn next(&self) -> Option<Moment> {
        let second = match self.head(slot_of(self.current)) {
            NONE => self.next_second()?,
            _ => self.current,
        };
        Some(Moment::from_origin(Duration::from_secs(second)))
    }

    /// The first second after the current one whose slot has keys: at most 65 words are looked at.
    fn next_second(&self) -> Option<u64> {
        let mut ahead: u32 = 1;
        while ahead < SLOTS {
            let slot = slot_of(self.current.saturating_add(u64::from(ahead)));
            let bit = slot % WORD_BITS;
            let word = self.occupied.get((slot / WORD_BITS) as usize).copied().unwrap_or(0) >> bit;
            if word != 0 {
                let ahead = ahead.saturating_add(word.trailing_zeros());
                return (ahead < SLOTS).then(|| self.current.saturating_add(u64::from(ahead)));
            }
            ahead = ahead.saturating_add(WORD_BITS.saturating_sub(bit));
        }
        None
    }

    fn head(&self, slot: u32) -> u32 {
        self.heads.get(slot as usize).copied().unwrap_or(NONE)
    }

    fn set_head(&mut self, slot: u32, key: u32) {
        if let Some(head) = self.heads.get_mut(slot as usize) {
            *head = key;
        }
        if let Some(word) = self.occupied.get_mut((slot / WORD_BITS) as usize) {
            let bit = 1 << (slot % WORD_BITS);
            *word = if key == NONE { *word & !bit } else { *word | bit };
        }
    }
}

const fn slot_of(second: u64) -> u32 {
    (second & SLOT_MASK) as u32
}

fn second_at_or_after(moment: Moment) -> u64 {
    let since_origin = moment.since_origin();
    since_origin.as_secs().saturating_add(u64::from(since_origin.subsec_nanos() != 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_timer_comes_up_when_its_second_is_over() {
        let mut wheel = Wheel::new();
        wheel.arm(3, at(1_500));
        assert_eq!(wheel.next(), Some(at(2_000)));
        assert_eq!(wheel.pop_due(at(1_999)), None);
        assert_eq!(wheel.pop_due(at(2_000)), Some(3));
        assert_eq!(wheel.pop_due(at(2_000)), None);
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_timer_beyond_one_turn_comes_up_early_and_not_never() {
        let mut wheel = Wheel::new();
        wheel.arm(0, at(10_000_000));
        assert_eq!(wheel.next(), Some(at(4_095_000)));
        assert_eq!(wheel.pop_due(at(10_000_000)), Some(0));
    }

    #[test]
    fn a_timer_taken_off_does_not_come_up() {
        let mut wheel = Wheel::new();
        for key in 0..3 {
            wheel.arm(key, at(1_000));
        }
        wheel.disarm(1);
        let mut due = vec![];
        while let Some(key) = wheel.pop_due(at(1_000)) {
            due.push(key);
        }
        due.sort_unstable();
        assert_eq!(due, [0, 2]);
    }

    #[test]
    fn a_timer_armed_for_the_past_comes_up_with_the_next_second() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.pop_due(at(9_000)), None);
        wheel.arm(0, at(5_000));
        assert_eq!(wheel.pop_due(at(9_500)), None);
        assert_eq!(wheel.pop_due(at(10_000)), Some(0));
    }

    proptest! {
        #[test]
        fn timers_come_up_as_a_sorted_list_says(
            steps in prop::collection::vec((0u32..20, 0u64..6_000_000, 0u64..900_000, any::<bool>()), 1..80),
        ) {
            let mut wheel = Wheel::new();
            let mut model: Vec<Option<u64>> = vec![None; 20];
            let mut now = 0;
            for (key, ahead, pass, arm) in steps {
                if arm {
                    wheel.arm(key, at(now + ahead));
                    model[key as usize] = Some(now + ahead);
                } else {
                    wheel.disarm(key);
                    model[key as usize] = None;
                }
                now += pass;
                while let Some(key) = wheel.pop_due(at(now)) {
                    let deadline = model[key as usize].expect("only armed timers come up");
                    if deadline > now {
                        wheel.arm(key, at(deadline));
                    } else {
                        model[key as usize] = None;
                    }
                }
                for deadline in model.iter().flatten() {
                    prop_assert!(*deadline + 1_000 > now, "{deadline} is overdue at {now}");
                    prop_assert!(wheel.next().unwrap() <= at(deadline.max(&(now)) + 1_000));
                }
            }
        }
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::from_origin(Duration::from_millis(milliseconds))
    }
}
