//! The checker is fed what must not be, and has to say so; and what may be, and has to be silent.

use std::collections::BTreeSet;
use std::time::Duration;

use causeway_protocol::Moment;

use super::{Book, Event, Greeting, Violation};
use crate::said::{Said, Stay, To};

fn at(milliseconds: u64) -> Moment {
    Moment::from_origin(Duration::from_millis(milliseconds))
}

fn names(names: &[&str]) -> BTreeSet<Stay> {
    names.iter().map(|&name| name.into()).collect()
}

/// A room with Alice (member 0) and Bob (member 1) in epoch 1, at number 2.
struct Scene {
    book: Book,
    alice: Stay,
    bob: Stay,
    seq: u64,
}

impl Scene {
    fn new() -> Self {
        let (alice, bob) = (Stay::from("alice"), Stay::from("bob"));
        let mut book = Book::new(2, false);
        book.greeted(at(0), 0, &alice, Greeting::Welcome { epoch: 1, seq: 1, peers: names(&[]) });
        book.greeted(at(0), 1, &bob, Greeting::Welcome { epoch: 1, seq: 2, peers: names(&["alice"]) });
        book.heard(at(0), &alice, 2, Event::Joined(bob.clone()));
        Self { book, alice, bob, seq: 2 }
    }

    fn alice_says(&mut self, to: To) -> Said {
        self.book.say(at(1), &self.alice, to)
    }

    fn bob_hears(&mut self, said: &Said) {
        self.seq += 1;
        let event = Event::Said { from: said.by.clone(), said: said.clone() };
        self.book.heard(at(2), &self.bob, self.seq, event);
    }

    fn bob_is_told_anew(&mut self, epoch: u64, seq: u64) -> bool {
        let greeting = Greeting::Resync { epoch, seq, peers: names(&["alice"]) };
        self.book.greeted(at(3), 1, &self.bob, greeting)
    }

    /// Judges, and says what was found.
    fn found(mut self) -> Vec<Violation> {
        self.book.judge();
        self.book.findings().iter().map(|finding| finding.violation.clone()).collect()
    }
}

fn lost(hearer: &str, speaker: &str, to: &str, number: u64) -> Violation {
    Violation::Lost { hearer: hearer.into(), speaker: speaker.into(), to: to.to_owned(), number }
}

#[test]
fn what_arrives_once_and_in_order_is_fine() {
    let mut scene = Scene::new();
    let bob = To::One(scene.bob.clone());
    for to in [To::All, bob.clone(), To::All, bob] {
        let said = scene.alice_says(to);
        scene.bob_hears(&said);
    }
    assert_eq!(scene.book.missing(), []);
    assert_eq!((scene.book.tally().said, scene.book.tally().heard), (4, 4));
    assert_eq!(scene.found(), []);
}

#[test]
fn a_skipped_number_is_a_loss() {
    let mut scene = Scene::new();
    let [_first, second] = [To::All, To::All].map(|to| scene.alice_says(to));
    scene.bob_hears(&second);
    assert_eq!(scene.found(), [lost("bob", "alice", "all", 1)]);
}

#[test]
fn an_offer_that_is_skipped_is_a_loss_among_those_for_the_same_peer() {
    let mut scene = Scene::new();
    let bob = To::One(scene.bob.clone());
    let said = [bob.clone(), To::All, bob].map(|to| scene.alice_says(to));
    scene.bob_hears(&said[1]);
    scene.bob_hears(&said[2]);
    assert_eq!(scene.found(), [lost("bob", "alice", "bob", 1)]);
}

#[test]
fn what_never_arrives_is_missing_in_the_end() {
    let mut scene = Scene::new();
    let _said = scene.alice_says(To::All);
    assert_eq!(scene.book.missing(), [lost("bob", "alice", "all", 1)]);
}

#[test]
fn the_same_twice_is_a_violation_even_with_another_number_and_after_a_resync() {
    for resync in [false, true] {
        let mut scene = Scene::new();
        let said = scene.alice_says(To::All);
        scene.bob_hears(&said);
        if resync {
            assert!(scene.bob_is_told_anew(2, 1));
            scene.seq = 1;
        }
        scene.bob_hears(&said);
        assert!(matches!(scene.found()[..], [Violation::Again { .. }]));
    }
}

#[test]
fn what_was_said_later_must_not_be_heard_earlier_even_to_others() {
    let mut scene = Scene::new();
    let bob = To::One(scene.bob.clone());
    let [first, second] = [To::All, bob].map(|to| scene.alice_says(to));
    scene.bob_hears(&second);
    scene.bob_hears(&first);
    assert!(matches!(scene.found()[..], [Violation::Again { .. }]));
}

#[test]
fn a_number_twice_is_a_violation() {
    let mut scene = Scene::new();
    let [first, second] = [To::All, To::All].map(|to| scene.alice_says(to));
    scene.bob_hears(&first);
    scene.seq -= 1;
    scene.bob_hears(&second);
    assert!(matches!(scene.found()[..], [Violation::NumberBack { .. }]));
}

#[test]
fn a_resync_excuses_what_was_said_before_it() {
    let mut scene = Scene::new();
    let _lost = scene.alice_says(To::All);
    assert!(scene.bob_is_told_anew(2, 10));
    scene.seq = 10;
    let said = scene.alice_says(To::All);
    scene.bob_hears(&said);
    assert_eq!(scene.book.missing(), []);
    assert_eq!(scene.found(), []);
}

#[test]
fn a_resync_does_not_excuse_what_was_said_after_it() {
    let mut scene = Scene::new();
    assert!(scene.bob_is_told_anew(2, 10));
    scene.seq = 10;
    let [_lost, said] = [To::All, To::All].map(|to| scene.alice_says(to));
    scene.bob_hears(&said);
    assert_eq!(scene.found(), [lost("bob", "alice", "all", 1)]);
}

#[test]
fn a_resync_does_not_excuse_a_gap_behind_what_came_after_it() {
    let mut scene = Scene::new();
    let said = [To::All, To::All, To::All].map(|to| scene.alice_says(to));
    assert!(scene.bob_is_told_anew(2, 10));
    scene.seq = 10;
    scene.bob_hears(&said[0]);
    scene.bob_hears(&said[2]);
    assert_eq!(scene.found(), [lost("bob", "alice", "all", 2)]);
}

#[test]
fn a_speaker_that_was_told_excuses_what_was_not_confirmed_whenever_it_hears_of_it() {
    let mut scene = Scene::new();
    let [unsure, said] = [To::All, To::All].map(|to| scene.alice_says(to));
    scene.bob_hears(&said);
    scene.book.doubt(&[unsure]);
    assert_eq!(scene.found(), []);
}

#[test]
fn after_a_failover_a_speaker_is_sure_of_what_it_keeps_only() {
    let mut scene = Scene::new();
    let said = [To::All, To::All, To::All].map(|to| scene.alice_says(to));
    let alice = scene.alice.clone();
    scene.book.doubt_all_but(&alice, [said[1].clone()].iter());
    scene.bob_hears(&said[2]);
    assert_eq!(scene.found(), [lost("bob", "alice", "all", 2)]);
}

#[test]
fn two_events_with_one_number_mean_two_owners() {
    let mut scene = Scene::new();
    let said = scene.alice_says(To::All);
    scene.bob_hears(&said);
    let alice = scene.alice.clone();
    scene.book.heard(at(2), &alice, 3, Event::Left(scene.bob.clone()));
    assert!(matches!(scene.found()[..], [Violation::TwoEvents { epoch: 1, seq: 3, .. }]));
}

#[test]
fn numbers_go_on_over_a_hand_over() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice.clone(), scene.bob.clone());
    let said = scene.alice_says(To::All);
    scene.bob_hears(&said);
    // Alice is resumed in epoch 2 before she hears number 3, as something else.
    assert!(scene.book.greeted(at(3), 0, &alice, Greeting::Resumed { epoch: 2 }));
    scene.book.heard(at(3), &alice, 3, Event::Left(bob));
    assert!(matches!(scene.found()[..], [Violation::TwoEvents { seq: 3, .. }]));
}

#[test]
fn conflicts_show_when_two_epochs_turn_out_to_be_one_lineage() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice.clone(), scene.bob.clone());
    let said = scene.alice_says(To::All);
    let greeting = Greeting::Resync { epoch: 2, seq: 2, peers: names(&["bob"]) };
    assert!(scene.book.greeted(at(3), 0, &alice, greeting));
    scene.book.heard(at(3), &alice, 3, Event::Left(bob.clone()));
    scene.bob_hears(&said);
    assert_eq!(scene.book.findings().len(), 0, "epochs 1 and 2 have their own numbers so far");
    assert!(scene.book.greeted(at(3), 1, &bob, Greeting::Resumed { epoch: 2 }));
    assert!(matches!(scene.found()[..], [Violation::TwoEvents { seq: 3, .. }]));
}

#[test]
fn after_a_failover_numbers_mean_something_else() {
    let mut scene = Scene::new();
    let said = scene.alice_says(To::All);
    scene.bob_hears(&said);
    let (alice, bob) = (scene.alice.clone(), scene.bob.clone());
    let greeting = Greeting::Resync { epoch: 2, seq: 2, peers: names(&["bob"]) };
    assert!(scene.book.greeted(at(3), 0, &alice, greeting));
    scene.book.heard(at(3), &alice, 3, Event::Left(bob));
    assert_eq!(scene.found(), []);
}

#[test]
fn an_owner_from_before_is_not_accepted() {
    let mut scene = Scene::new();
    assert!(scene.bob_is_told_anew(5, 10));
    assert!(!scene.bob_is_told_anew(4, 20));
    let bob = scene.bob.clone();
    assert!(!scene.book.greeted(at(3), 1, &bob, Greeting::Resumed { epoch: 4 }));
    assert_eq!(scene.book.position(&bob), (5, 10));
    let back = |epoch| Violation::EpochBack { hearer: bob.clone(), epoch, known: 5 };
    assert_eq!(scene.found(), [back(4), back(4)]);
}

#[test]
fn who_is_not_there_cannot_speak_and_nobody_comes_or_goes_twice() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice.clone(), scene.bob.clone());
    let said = scene.alice_says(To::All);
    scene.book.heard(at(2), &bob, 3, Event::Left(alice.clone()));
    scene.seq = 3;
    scene.bob_hears(&said);
    scene.book.heard(at(2), &bob, 5, Event::Left(alice.clone()));
    scene.book.heard(at(2), &bob, 6, Event::Joined(alice.clone()));
    scene.book.heard(at(2), &bob, 7, Event::Joined(alice.clone()));
    let (hearer, peer) = (bob.clone(), alice.clone());
    assert_eq!(
        scene.found(),
        [
            Violation::Stranger { hearer: hearer.clone(), speaker: alice },
            Violation::WentTwice { hearer: hearer.clone(), peer: peer.clone() },
            Violation::CameTwice { hearer, peer }
        ]
    );
}

#[test]
fn what_nobody_said_or_said_to_another_is_forged() {
    let mut scene = Scene::new();
    let bob = scene.bob.clone();
    let never = Said { by: scene.alice.clone(), to: To::All, number: 9, order: 9 };
    scene.bob_hears(&never);
    let for_another = scene.alice_says(To::One("carol".into()));
    scene.bob_hears(&for_another);
    let said = scene.alice_says(To::All);
    scene.book.heard(at(2), &bob, 9, Event::Said { from: "mallory".into(), said });
    let found = scene.found();
    assert!(matches!(
        found[..],
        [Violation::Forged { .. }, Violation::Forged { .. }, Violation::Forged { .. }]
    ));
}

#[test]
fn a_room_works_when_everybody_stands_and_has_heard_everybody() {
    let mut scene = Scene::new();
    let (alice, bob) = (scene.alice.clone(), scene.bob.clone());
    let said = scene.alice_says(To::All);
    scene.bob_hears(&said);
    assert!(!scene.book.works_since(at(0)), "Alice has heard nothing yet");
    let said = scene.book.say(at(1), &bob, To::All);
    scene.book.heard(at(2), &alice, 4, Event::Said { from: bob.clone(), said });
    assert!(scene.book.works_since(at(1)));
    assert!(!scene.book.works_since(at(2)));
    scene.book.broke(at(3), &bob, "cut");
    assert!(!scene.book.works_since(at(1)));
    assert_eq!(scene.found(), []);
}

#[test]
fn a_stay_that_is_over_leaves_no_debts_but_what_was_confirmed() {
    let mut scene = Scene::new();
    let alice = scene.alice.clone();
    let confirmed = scene.alice_says(To::All);
    let unconfirmed = scene.alice_says(To::All);
    scene.book.over(at(3), &alice, &[unconfirmed]);
    assert_eq!(scene.book.missing(), [lost("bob", "alice", "all", confirmed.number)]);
}

#[test]
fn a_room_on_one_node_must_not_notice_anything_while_nothing_happens_to_that_node() {
    let mut scene = Scene::new();
    scene.book.set_undisturbed(Some(at(0)));
    let bob = scene.bob.clone();
    scene.book.degraded(at(2), &bob);
    scene.book.broke(at(2), &bob, "cut");
    assert!(scene.bob_is_told_anew(2, 10));
    scene.seq = 10;
    let said = scene.alice_says(To::All);
    let event = Event::Said { from: said.by.clone(), said };
    scene.book.heard(at(5_000), &bob, 11, event);
    let found = scene.found();
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found.iter().all(|violation| matches!(violation, Violation::Noticed { .. })));
}
