//! What a link promises, over a network that loses, repeats and reorders.

use proptest::prelude::*;

use super::*;

#[test]
fn letters_that_were_posted_before_the_other_side_is_met_arrive() {
    let mut pair = Pair::new();
    for number in 0..3 {
        pair.post(A, number);
    }
    pair.run_until_quiet();
    assert_eq!(pair.log(B), [Said(0), Said(1), Said(2)]);
    assert_eq!(pair.log(A), []);
}

#[test]
fn a_conversation_costs_one_frame_for_each_bundle_and_its_acknowledgment() {
    let mut pair = Pair::new();
    pair.post(A, 0);
    pair.run_until_quiet();
    pair.frames = 0;
    for number in 1..=100 {
        pair.post(A, number);
    }
    pair.run_until_quiet();
    assert_eq!(pair.log(B).len(), 101);
    assert_eq!(pair.frames, 2);
}

#[test]
fn an_idle_link_says_nothing() {
    let mut pair = Pair::new();
    pair.post(A, 0);
    pair.run_until_quiet();
    assert!(pair.links.iter().all(|link| link.poll_timeout().is_none()));
}

#[test]
fn a_lost_letter_is_sent_again() {
    let mut pair = Pair::new();
    pair.post(A, 0);
    pair.run_until_quiet();
    pair.post(A, 1);
    pair.collect();
    assert_eq!(std::mem::take(&mut pair.network[B]).len(), 1, "lost");
    let posted = pair.now;
    pair.run_until_quiet();
    assert_eq!(pair.log(B), [Said(0), Said(1)]);
    assert_eq!(pair.links[A].take_retransmitted(), 1);
    assert!(pair.now.since(posted) >= RESEND_AFTER);
}

#[test]
fn after_a_reconnection_letters_are_sent_again_at_once() {
    let mut pair = Pair::new();
    pair.post(A, 0);
    pair.run_until_quiet();
    pair.post(A, 1);
    pair.collect();
    pair.network[B].clear();
    pair.links[A].on_reconnected(pair.now);
    pair.collect();
    pair.deliver_all();
    assert_eq!(pair.log(B), [Said(0), Said(1)]);
}

#[test]
fn too_much_that_waits_begins_anew_and_both_sides_hear_of_it() {
    let mut pair = Pair::new();
    pair.post(A, 0);
    pair.post(B, 0);
    pair.run_until_quiet();
    let most = u32::try_from(MOST_LETTERS).unwrap();
    assert_eq!((0..=most).find(|&number| !pair.post(A, number + 1)), Some(most));
    pair.network[B].clear();
    pair.post(A, 9999);
    pair.run_until_quiet();
    assert_eq!(pair.log(A), [Said(0), Reset]);
    assert_eq!(pair.log(B), [Said(0), Reset, Said(9999)]);
}

#[test]
fn overflow_before_the_first_meeting_is_told_as_well() {
    let mut pair = Pair::new();
    while pair.post(A, 1) {}
    pair.run_until_quiet();
    assert_eq!((pair.log(A), pair.log(B)), (vec![Reset], vec![Reset]));
}

#[test]
fn a_side_that_forgot_the_link_resets_the_other() {
    let mut pair = Pair::new();
    pair.post(A, 0);
    pair.post(B, 0);
    pair.run_until_quiet();
    pair.forget(B);
    pair.post(A, 1);
    pair.post(B, 1);
    pair.run_until_quiet();
    pair.post(A, 2);
    pair.run_until_quiet();
    assert_eq!(pair.log(A), [Said(0), Reset, Said(1)]);
    assert_eq!(pair.log(B), [Said(0), Said(2)]);
}

#[test]
fn recorded_frames_change_nothing_when_they_are_played_again() {
    let mut pair = Pair::new();
    pair.record = true;
    pair.post(A, 0);
    pair.post(B, 0);
    pair.run_until_quiet();
    while pair.post(A, 7) {}
    pair.run_until_quiet();
    let before = (pair.log(A), pair.log(B));
    pair.record = false;
    let recorded = pair.recorded.clone();
    for (to, frame) in recorded {
        // Whatever it says: no letter, no reset.
        let _refused = pair.links[to].on_frame(pair.now, frame);
        pair.run_until_quiet();
    }
    assert_eq!((pair.log(A), pair.log(B)), before);
    pair.post(A, 8);
    pair.run_until_quiet();
    assert_eq!(pair.log(B).last(), Some(&Said(8)));
}

#[test]
fn a_frame_recorded_before_the_link_was_forgotten_is_no_proof() {
    let mut pair = Pair::new();
    pair.record = true;
    pair.post(A, 0);
    pair.run_until_quiet();
    pair.forget(B);
    for (to, frame) in pair.recorded.clone() {
        if to == B {
            assert_eq!(pair.links[B].on_frame(pair.now, frame), Err(Refusal::Greeting));
        }
    }
    assert_eq!(pair.links[B].poll_letter(), None);
}

#[test]
fn an_acknowledgment_of_what_was_never_sent_is_passed_over() {
    let mut pair = Pair::new();
    pair.post(A, 0);
    pair.run_until_quiet();
    pair.post(A, 1);
    let (sender, receiver) = (pair.links[B].mine, pair.links[A].mine);
    let lie =
        Frame { sender, receiver, met: true, gave_up: false, acknowledged: 99, first: 1, letters: vec![] };
    pair.links[A].on_frame(pair.now, lie).unwrap();
    pair.run_until_quiet();
    assert_eq!(pair.log(B), [Said(0), Said(1)]);
}

#[derive(Clone, Debug)]
enum Event {
    Post(usize),
    /// Posts until it overflows.
    Flood(usize),
    /// The frame at this place of the network to this side arrives.
    Arrive(usize, usize),
    /// It arrives, and will again.
    Repeat(usize, usize),
    Lose(usize, usize),
    Pass(u16),
    Reconnect(usize),
    Forget(usize),
}

fn event() -> impl Strategy<Value = Event> {
    let (side, place) = (0usize..2, 0usize..8);
    prop_oneof![
        12 => side.clone().prop_map(Event::Post),
        1 => side.clone().prop_map(Event::Flood),
        20 => (side.clone(), place.clone()).prop_map(|(side, place)| Event::Arrive(side, place)),
        4 => (side.clone(), place.clone()).prop_map(|(side, place)| Event::Repeat(side, place)),
        4 => (side.clone(), place).prop_map(|(side, place)| Event::Lose(side, place)),
        8 => (1u16..700).prop_map(Event::Pass),
        2 => side.clone().prop_map(Event::Reconnect),
        1 => side.prop_map(Event::Forget),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_without_a_reset_and_nothing_comes_twice(events in proptest::collection::vec(event(), 1..120)) {
        let mut pair = Pair::new();
        let mut number = 0;
        for event in events {
            match event {
                Event::Post(side) => {
                    number += 1;
                    pair.post(side, number);
                }
                Event::Flood(side) => {
                    number += 1;
                    while pair.post(side, number) {
                        number += 1;
                    }
                }
                Event::Arrive(side, place) => pair.arrive(side, place, false),
                Event::Repeat(side, place) => pair.arrive(side, place, true),
                Event::Lose(side, place) => {
                    if place < pair.network[side].len() {
                        pair.network[side].remove(place);
                    }
                }
                Event::Pass(milliseconds) => pair.pass(Duration::from_millis(milliseconds.into())),
                Event::Reconnect(side) => pair.links[side].on_reconnected(pair.now),
                Event::Forget(side) => pair.forget(side),
            }
            pair.collect();
        }
        pair.run_until_quiet();
        for (from, to) in [(A, B), (B, A)] {
            check(&pair.posted[from], &pair.logs[to])?;
        }
        // Whatever happened, the link works.
        for from in [A, B] {
            pair.post(from, u32::MAX);
        }
        pair.run_until_quiet();
        // A side that had forgotten the other may be told of it only now, and then posts again.
        for from in [A, B] {
            pair.post(from, u32::MAX);
        }
        pair.run_until_quiet();
        for to in [A, B] {
            prop_assert_eq!(pair.logs[to].last(), Some(&Said(u32::MAX)));
        }
    }
}

/// What was posted came in order and once; a letter is missing only where a reset, or a link that was forgotten, stands in the receiver's log.
fn check(posted: &[u32], log: &[Logged]) -> Result<(), TestCaseError> {
    let (mut next, mut excused) = (0, false);
    for entry in log {
        match entry {
            Reset | Forgot => excused = true,
            Said(number) => {
                let place = posted.iter().position(|posted| posted == number);
                let place = place.expect("only what was posted arrives");
                prop_assert!(place >= next, "{} came twice or late", number);
                prop_assert!(place == next || excused, "{} is missing before {}", posted[next], number);
                (next, excused) = (place + 1, false);
            }
        }
    }
    prop_assert!(next == posted.len() || excused, "the end is missing");
    Ok(())
}

const A: usize = 0;
const B: usize = 1;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Logged {
    Said(u32),
    Reset,
    /// This side or the other one forgot the link, as after a node seemed to be gone: its shell knows.
    Forgot,
}
use Logged::{Forgot, Reset, Said};

/// Two links, and what is on its way to each.
struct Pair {
    now: Moment,
    links: [Link; 2],
    network: [Vec<Frame>; 2],
    posted: [Vec<u32>; 2],
    logs: [Vec<Logged>; 2],
    sessions: u64,
    frames: usize,
    record: bool,
    recorded: Vec<(usize, Frame)>,
}

impl Pair {
    fn new() -> Self {
        Self {
            now: Moment::from_origin(Duration::from_secs(1)),
            links: [Link::new(1), Link::new(2)],
            network: Default::default(),
            posted: Default::default(),
            logs: Default::default(),
            sessions: 2,
            frames: 0,
            record: false,
            recorded: Vec::new(),
        }
    }

    fn post(&mut self, from: usize, number: u32) -> bool {
        self.sessions += 1;
        let letter = Bytes::copy_from_slice(&number.to_be_bytes());
        let posted = self.links[from].on_post(self.now, letter, self.sessions).is_ok();
        if posted {
            self.posted[from].push(number);
        }
        self.read(from);
        posted
    }

    fn forget(&mut self, side: usize) {
        self.sessions += 1;
        self.links[side] = Link::new(self.sessions);
        for log in &mut self.logs {
            log.push(Forgot);
        }
    }

    /// Brings what is to be sent onto the network.
    fn collect(&mut self) {
        for from in [A, B] {
            while let Some(frame) = self.links[from].poll_frame(self.now) {
                self.frames += 1;
                if self.record {
                    self.recorded.push((1 - from, frame.clone()));
                }
                self.network[1 - from].push(frame);
            }
        }
    }

    fn arrive(&mut self, to: usize, place: usize, again: bool) {
        if place >= self.network[to].len() {
            return;
        }
        let frame = if again { self.network[to][place].clone() } else { self.network[to].remove(place) };
        // What is refused is refused.
        let _refused = self.links[to].on_frame(self.now, frame);
        self.read(to);
    }

    fn read(&mut self, side: usize) {
        while let Some(delivered) = self.links[side].poll_letter() {
            self.logs[side].push(match delivered {
                Delivered::Letter(bytes) => Said(u32::from_be_bytes(bytes[..].try_into().unwrap())),
                Delivered::Reset => Reset,
            });
        }
    }

    fn deliver_all(&mut self) {
        for to in [A, B] {
            while !self.network[to].is_empty() {
                self.arrive(to, 0, false);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        for link in &mut self.links {
            link.on_timeout(self.now);
        }
    }

    /// Over a network that works, until nobody waits for anything.
    fn run_until_quiet(&mut self) {
        for _ in 0..10_000 {
            self.collect();
            if self.network.iter().any(|waiting| !waiting.is_empty()) {
                self.deliver_all();
                continue;
            }
            let Some(at) = self.links.iter().filter_map(Link::poll_timeout).min() else { return };
            self.pass(at.since(self.now));
        }
        panic!("they never fall silent");
    }

    fn log(&self, side: usize) -> Vec<Logged> {
        self.logs[side].iter().filter(|entry| **entry != Forgot).cloned().collect()
    }
}
