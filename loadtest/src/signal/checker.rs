//! Knows every event that each member has to hear, and from each other member in which order. Pure.
//!
//! From one member another first hears that it came, then each of its messages, then that it went: exactly once each, and
//! in this order.

use std::collections::{HashMap, HashSet, VecDeque};

use serde::Serialize;

/// What one member hears of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Event {
    /// It came.
    Joined,
    /// Its message with this number.
    Said(u64),
    /// It went.
    Left,
}

/// What went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Faults {
    /// Events that never arrived.
    pub lost: u64,
    /// Events that arrived again, or at somebody who was not to hear them.
    pub duplicated: u64,
    /// Events that arrived after later ones of the same member, or with a lower number than an earlier one of the room.
    pub disordered: u64,
}

impl Faults {
    /// Whether nothing went wrong.
    pub fn none(self) -> bool {
        self == Self::default()
    }
}

/// What is still to be heard.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    receivers: HashMap<u32, Receiver>,
    outstanding: u64,
    faults: Faults,
}

/// What one member is still to hear.
#[derive(Debug, Default)]
struct Receiver {
    /// By sender, in the order in which it was said.
    expected: HashMap<u32, VecDeque<Event>>,
    /// What may come or not, by sender.
    pardoned: HashSet<(u32, Event)>,
    /// Owner's epoch and number of the latest event of the room.
    position: (u64, u64),
}

impl Receiver {
    /// Expects nothing any more of those senders, and minds nothing of what it did. Returns how much that was.
    fn pardon(&mut self, of: impl Fn(u32) -> bool) -> u64 {
        let before = self.pardoned.len();
        self.expected.retain(|&sender, queue| {
            if of(sender) {
                self.pardoned.extend(queue.iter().map(|&event| (sender, event)));
            }
            !of(sender)
        });
        (self.pardoned.len() - before) as u64
    }
}

impl Checker {
    /// `receiver` is to hear this of `sender`, after all that it was to hear of it before.
    pub(crate) fn expect(&mut self, receiver: u32, sender: u32, event: Event) {
        let expected = &mut self.receivers.entry(receiver).or_default().expected;
        expected.entry(sender).or_default().push_back(event);
        self.outstanding += 1;
    }

    /// `receiver` has heard this of `sender`. Says whether it was to.
    pub(crate) fn heard(&mut self, receiver: u32, sender: u32, event: Event) -> bool {
        let receiver = self.receivers.entry(receiver).or_default();
        if receiver.pardoned.remove(&(sender, event)) {
            return true;
        }
        let expected = &mut receiver.expected;
        let found = expected.get_mut(&sender).and_then(|queue| {
            let place = queue.iter().position(|&waiting| waiting == event)?;
            queue.remove(place);
            Some(place)
        });
        if expected.get(&sender).is_some_and(VecDeque::is_empty) {
            expected.remove(&sender);
        }
        match found {
            None => self.faults.duplicated += 1,
            Some(place) => {
                self.outstanding -= 1;
                // What was to come before comes later, or never.
                self.faults.disordered += u64::from(place > 0);
            }
        }
        found.is_some()
    }

    /// An event of the room had this number under the owner with this epoch.
    pub(crate) fn numbered(&mut self, receiver: u32, epoch: u64, seq: u64) {
        let receiver = self.receivers.entry(receiver).or_default();
        if (epoch, seq) <= receiver.position {
            self.faults.disordered += 1;
        } else {
            receiver.position = (epoch, seq);
        }
    }

    /// `receiver` begins at this position.
    pub(crate) fn begins(&mut self, receiver: u32, epoch: u64, seq: u64) {
        self.receivers.entry(receiver).or_default().position = (epoch, seq);
    }

    /// Where `receiver` is: epoch and number of the latest event.
    pub(crate) fn position(&self, receiver: u32) -> (u64, u64) {
        self.receivers.get(&receiver).map_or((0, 0), |receiver| receiver.position)
    }

    /// `receiver` starts over from a snapshot: what it was to hear until now may come or not. Returns how much that was.
    pub(crate) fn pardon(&mut self, receiver: u32) -> u64 {
        let count = self.receivers.entry(receiver).or_default().pardon(|_| true);
        self.outstanding -= count;
        count
    }

    /// What `sender` said until now may come or not, wherever it was to be heard. Returns how much that was.
    pub(crate) fn pardon_from(&mut self, sender: u32) -> u64 {
        let count =
            self.receivers.values_mut().map(|receiver| receiver.pardon(|other| other == sender)).sum();
        self.outstanding -= count;
        count
    }

    /// `receiver` hears nothing any more: what it was to hear is forgotten. Returns how much that was.
    pub(crate) fn forget(&mut self, receiver: u32) -> u64 {
        let gone = self.receivers.remove(&receiver).unwrap_or_default();
        let count = gone.expected.values().map(|queue| queue.len() as u64).sum();
        self.outstanding -= count;
        count
    }

    /// How much is still to be heard.
    pub(crate) fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// What went wrong, if nothing arrives any more.
    pub(crate) fn faults(&self) -> Faults {
        Faults { lost: self.outstanding, ..self.faults }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Event::{Joined, Left, Said};

    const ALICE: u32 = 1;
    const BOB: u32 = 2;
    const CAROL: u32 = 3;

    /// What goes wrong if Alice is to hear some things of Bob and hears others.
    fn faults(expected: &[Event], heard: &[Event]) -> Faults {
        let mut checker = Checker::default();
        expected.iter().for_each(|&event| checker.expect(ALICE, BOB, event));
        heard.iter().for_each(|&event| {
            checker.heard(ALICE, BOB, event);
        });
        checker.faults()
    }

    #[test]
    fn what_arrives_once_and_in_order_is_right() {
        let all = [Joined, Said(1), Said(2), Left];
        assert!(faults(&all, &all).none());
    }

    #[test]
    fn what_does_not_arrive_is_lost() {
        assert_eq!(faults(&[Said(1)], &[]), Faults { lost: 1, ..Faults::default() });
    }

    #[test]
    fn a_gap_is_a_loss_and_shows_where_the_next_arrives() {
        let gap = faults(&[Said(1), Said(2)], &[Said(2)]);
        assert_eq!(gap, Faults { lost: 1, disordered: 1, duplicated: 0 });
    }

    #[test]
    fn what_arrives_again_is_a_duplicate() {
        let again = faults(&[Said(1), Said(2)], &[Said(1), Said(1), Said(2)]);
        assert_eq!(again, Faults { duplicated: 1, ..Faults::default() });
    }

    #[test]
    fn a_message_before_its_sender_is_out_of_order() {
        let early = faults(&[Joined, Said(1)], &[Said(1), Joined]);
        assert_eq!(early, Faults { disordered: 1, ..Faults::default() });
    }

    #[test]
    fn what_was_said_to_another_is_a_duplicate() {
        let mut checker = Checker::default();
        checker.expect(ALICE, BOB, Said(1));
        assert!(!checker.heard(CAROL, BOB, Said(1)));
        assert_eq!(checker.faults(), Faults { duplicated: 1, lost: 1, disordered: 0 });
    }

    #[test]
    fn who_goes_is_to_hear_nothing_more() {
        let mut checker = Checker::default();
        checker.expect(ALICE, BOB, Said(1));
        checker.expect(ALICE, CAROL, Left);
        checker.expect(BOB, CAROL, Left);
        assert_eq!(checker.forget(ALICE), 2);
        assert_eq!(checker.outstanding(), 1);
    }

    #[test]
    fn what_is_pardoned_may_come_once_or_not_at_all() {
        let mut checker = Checker::default();
        for (receiver, sender) in [(ALICE, BOB), (ALICE, CAROL), (BOB, CAROL)] {
            checker.expect(receiver, sender, Said(1));
        }
        assert_eq!((checker.pardon(ALICE), checker.pardon_from(CAROL)), (2, 1));
        assert!(checker.heard(ALICE, BOB, Said(1)));
        assert!(checker.faults().none());
        assert!(!checker.heard(ALICE, BOB, Said(1)));
        assert_eq!(checker.faults().duplicated, 1);
    }

    #[test]
    fn numbers_of_a_room_only_grow_and_a_new_owner_may_begin_anywhere() {
        let mut checker = Checker::default();
        checker.begins(ALICE, 1, 5);
        checker.numbered(ALICE, 1, 6);
        checker.numbered(ALICE, 1, 9);
        checker.numbered(ALICE, 2, 1);
        assert!(checker.faults().none());
        checker.numbered(ALICE, 2, 1);
        checker.numbered(ALICE, 1, 10);
        assert_eq!(checker.faults().disordered, 2);
    }
}
