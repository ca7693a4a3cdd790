//! A room that was taken up from its record: who is there is what nodes announce and passes prove, and everybody is told how it
//! stands.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::time::Duration;

use causeway_protocol::message::{ClientMessage, Pass, Politeness, Position, ServerMessage};
use causeway_protocol::{CloseCode, Epoch, ErrorCode, Moment, Now, UnixSeconds};
use causeway_signal_core::{Announce, Gone, Input, Join, Resume, ResumeLimits, Room, SessionId};
use common::{Done, done, guest, peer, settings};

const ALICE: SessionId = SessionId(11);
const BOB: SessionId = SessionId(12);
const CAROL: SessionId = SessionId(13);

#[test]
fn after_the_roll_call_everybody_is_told_how_the_room_stands_in_the_order_of_their_arrival() {
    let mut test = Test::taken_up(Room::ROLL_CALL);
    // Bob came later, and is announced first.
    assert!(test.announce(BOB, &pass("bob", 2, 1), 4).is_empty());
    assert!(test.announce(ALICE, &pass("alice", 1, 1), 7).is_empty());
    assert_eq!(test.room.next_deadline(), test.now.plus(Room::ROLL_CALL).moment);
    test.now = test.now.plus(Room::ROLL_CALL);
    let effects = test.apply(Input::Tick);
    let told: Vec<_> = effects.iter().filter_map(resync).collect();
    assert_eq!(told, [(ALICE, Some(7), 1), (BOB, Some(4), 1)]);
    let Done::Said { message: ServerMessage::Resync { snapshot, .. }, .. } = &effects[1] else { panic!() };
    assert_eq!((snapshot.epoch, snapshot.peers[0].you_are), (Epoch(9), Politeness::Polite));
}

#[test]
fn what_is_said_during_the_roll_call_waits_for_its_end_and_is_counted() {
    let mut test = Test::taken_up(Room::ROLL_CALL);
    test.announce(ALICE, &pass("alice", 1, 1), 7);
    assert!(test.say(ALICE, ClientMessage::App { to: Some(peer("bob")), data: 1.into() }).is_empty());
    test.announce(BOB, &pass("bob", 2, 1), 4);
    // Its connection breaks meanwhile: what the room was given happens all the same.
    test.apply(Input::Gone { session: ALICE, why: Gone::Disconnected });
    test.now = test.now.plus(Room::ROLL_CALL);
    let effects = test.apply(Input::Tick);
    assert_eq!(effects.iter().filter_map(resync).collect::<Vec<_>>(), [(BOB, Some(4), 1)]);
    assert!(
        matches!(&effects[1], Done::Said { to, message: ServerMessage::App { data, .. } } if to == &[BOB] && data == 1)
    );
    let back = test.resume(CAROL, &pass("alice", 1, 1), Position { epoch: Epoch(9), seq: 0 });
    assert_eq!(back.iter().find_map(resync), Some((CAROL, Some(8), 1)));
}

#[test]
fn a_roll_call_goes_on_under_the_next_owner() {
    let mut test = Test::taken_up(Room::ROLL_CALL);
    test.announce(ALICE, &pass("alice", 1, 1), 7);
    test.announce(BOB, &pass("bob", 2, 1), 4);
    test.say(ALICE, ClientMessage::App { to: None, data: 1.into() });
    let join = Join { session: CAROL, claims: guest(&peer("carol")), series: "carol".parse().unwrap() };
    test.apply(Input::Join(join));
    let text = serde_json::to_string(&test.room.state(test.now)).unwrap();
    let state = serde_json::from_str(&text).unwrap();
    test.room = Room::restore(state, ResumeLimits::default(), Epoch(10), test.now).unwrap();
    assert_eq!(test.room.next_deadline(), test.now.plus(Room::ROLL_CALL).moment);
    test.now = test.now.plus(Room::ROLL_CALL);
    let effects = test.apply(Input::Tick);
    let told: Vec<_> = effects.iter().filter_map(resync).collect();
    assert_eq!(told, [(ALICE, Some(8), 1), (BOB, Some(4), 1)]);
    assert!(effects.iter().any(
        |effect| matches!(effect, Done::Said { to, message: ServerMessage::App { .. } } if to == &[BOB])
    ));
    assert!(effects.iter().any(
        |effect| matches!(effect, Done::Said { to, message: ServerMessage::Welcome { .. } } if to == &[CAROL])
    ));
}

#[test]
fn whoever_did_not_read_its_latest_greeting_comes_back_with_the_token_before() {
    let mut test = Test::taken_up(Room::ROLL_CALL);
    test.announce(ALICE, &pass("alice", 1, 5), 0);
    test.apply(Input::Gone { session: ALICE, why: Gone::Disconnected });
    test.now = test.now.plus(Room::ROLL_CALL);
    let back = test.resume(BOB, &pass("alice", 1, 4), Position { epoch: Epoch(1), seq: 50 });
    assert_eq!(back.iter().find_map(resync), Some((BOB, Some(0), 0)));
    // Once it has spoken it is known what it has.
    test.say(BOB, ClientMessage::Ping { nonce: 1 });
    let replayed = test.resume(CAROL, &pass("alice", 1, 4), Position { epoch: Epoch(9), seq: 0 });
    assert!(matches!(replayed.last(), Some(Done::Closed { code: CloseCode::ResumeRefused, .. })));
}

#[test]
fn somebody_who_comes_during_the_roll_call_is_welcomed_after_it_unless_it_went() {
    let mut test = Test::taken_up(Room::ROLL_CALL);
    test.announce(ALICE, &pass("alice", 1, 1), 0);
    for (session, name) in [(BOB, "bob"), (CAROL, "carol")] {
        let series = name.parse().unwrap();
        let join = Join { session, claims: guest(&peer(name)), series };
        assert!(test.apply(Input::Join(join)).is_empty());
    }
    test.apply(Input::Gone { session: CAROL, why: Gone::Disconnected });
    test.now = test.now.plus(Room::ROLL_CALL);
    let effects = test.apply(Input::Tick);
    let welcomed = effects.iter().filter_map(|effect| match effect {
        Done::Said { to, message: ServerMessage::Welcome { .. } } => Some(to[0]),
        _ => None,
    });
    assert_eq!(welcomed.collect::<Vec<_>>(), [BOB]);
    assert_eq!(test.room.peers(), 2);
}

#[test]
fn of_two_nodes_that_announce_one_peer_the_later_connection_has_it() {
    for later_first in [false, true] {
        let mut test = Test::taken_up(Room::ROLL_CALL);
        let (older, newer) = ((ALICE, pass("alice", 1, 1)), (BOB, pass("alice", 1, 2)));
        let order = if later_first { [newer, older] } else { [older, newer] };
        let mut closed = Vec::new();
        for (session, pass) in order {
            closed.extend(test.announce(session, &pass, 0));
        }
        assert!(matches!(closed[..], [Done::Closed { session: ALICE, code: CloseCode::ResumedElsewhere }]));
        assert_eq!(test.room.peers(), 1);
    }
}

#[test]
fn a_pass_is_believed_soon_after_the_room_changed_hands_and_not_later() {
    let mut test = Test::taken_up(Duration::ZERO);
    let old = Position { epoch: Epoch(1), seq: 50 };
    let back = test.resume(ALICE, &pass("alice", 1, 3), old);
    assert_eq!(back.iter().find_map(resync), Some((ALICE, None, 0)));
    let back = test.resume(BOB, &pass("bob", 2, 1), old);
    assert!(
        matches!(&back[0], Done::Said { to, message: ServerMessage::PeerJoined { .. } } if to == &[ALICE])
    );
    assert_eq!(back.iter().find_map(resync), Some((BOB, None, 1)));
    test.now = test.now.plus(ResumeLimits::default().grace);
    let late = test.resume(CAROL, &pass("carol", 3, 1), old);
    assert!(matches!(
        late[..],
        [
            Done::Said { message: ServerMessage::Error { code: ErrorCode::ResumeRefused, .. }, .. },
            Done::Closed { code: CloseCode::ResumeRefused, .. }
        ]
    ));
}

#[test]
fn a_node_that_announces_late_brings_its_members_all_the_same() {
    let mut test = Test::taken_up(Duration::ZERO);
    test.announce(ALICE, &pass("alice", 1, 1), 0);
    test.now = test.now.plus(Duration::from_secs(600));
    let late = test.announce(BOB, &pass("bob", 2, 1), 5);
    assert!(
        matches!(&late[0], Done::Said { to, message: ServerMessage::PeerJoined { .. } } if to == &[ALICE])
    );
    assert_eq!(late.iter().find_map(resync), Some((BOB, Some(5), 1)));
}

#[test]
fn after_a_link_lost_letters_who_missed_nothing_goes_on_and_who_may_have_is_told() {
    for (received, whole) in [(1, true), (2, false)] {
        let mut test = Test::taken_up(Duration::ZERO);
        test.announce(ALICE, &pass("alice", 1, 1), 0);
        test.announce(BOB, &pass("bob", 2, 1), 0);
        let seen = Position { epoch: Epoch(9), seq: 2 };
        test.say(BOB, ClientMessage::App { to: None, data: 1.into() });
        test.apply(Input::Gone { session: BOB, why: Gone::Disconnected });
        test.say(ALICE, ClientMessage::App { to: None, data: 2.into() });
        let announce = Announce { session: CAROL, pass: pass("bob", 2, 1), position: seen, received };
        let effects = test.apply(Input::Announce(announce));
        let replayed =
            matches!(&effects[..], [Done::Said { to, message: ServerMessage::App { .. } }] if to == &[CAROL]);
        assert_eq!(replayed, whole, "{effects:?}");
        assert_eq!(effects.iter().find_map(resync).is_some(), !whole, "{effects:?}");
    }
}

/// Found by random faults: a failover, and a drain of the new owner a few seconds later.
#[test]
fn a_pass_is_believed_by_the_next_owner_as_long_as_by_the_one_before() {
    let mut test = Test::taken_up(Duration::ZERO);
    test.now = test.now.plus(Duration::from_secs(10));
    let text = serde_json::to_string(&test.room.state(test.now)).unwrap();
    let state = serde_json::from_str(&text).unwrap();
    test.room = Room::restore(state, ResumeLimits::default(), Epoch(10), test.now).unwrap();
    let position = Position { epoch: Epoch(1), seq: 50 };
    test.now = test.now.plus(Duration::from_secs(19));
    let back = test.resume(ALICE, &pass("alice", 1, 1), position);
    assert_eq!(back.iter().find_map(resync), Some((ALICE, None, 0)));
    test.now = test.now.plus(Duration::from_secs(2));
    let late = test.resume(BOB, &pass("bob", 2, 1), position);
    assert!(matches!(late.last(), Some(Done::Closed { code: CloseCode::ResumeRefused, .. })), "{late:?}");
}

/// Found by random faults: an edge that had slept passed on what its sockets had said, the link lost it, and the sockets were gone.
#[test]
fn who_may_have_lost_something_is_told_until_it_has_heard_so() {
    let mut test = Test::taken_up(Duration::ZERO);
    test.announce(ALICE, &pass("alice", 1, 1), 0);
    test.announce(BOB, &pass("bob", 2, 1), 0);
    let latest = |test: &Test| Position { epoch: Epoch(9), seq: test.room.state(test.now).seq };
    let seen = latest(&test);
    let announce = Announce { session: CAROL, pass: pass("bob", 2, 1), position: seen, received: 8 };
    assert!(test.apply(Input::Announce(announce)).iter().any(|effect| resync(effect).is_some()));
    let told = latest(&test);
    test.apply(Input::Gone { session: CAROL, why: Gone::Disconnected });
    let unaware = test.resume(BOB, &pass("bob", 2, 1), seen);
    assert_eq!(unaware.iter().find_map(resync), Some((BOB, Some(8), 1)));
    let aware = test.resume(CAROL, &pass("bob", 2, 1), told);
    assert!(aware.iter().all(|effect| resync(effect).is_none()), "{aware:?}");
}

/// Found by random faults: what fell out of the ring was older than what was lost with the link.
#[test]
fn who_may_have_lost_something_is_told_so_also_when_older_events_fall_out_of_the_ring() {
    let mut test = Test::taken_up(Duration::ZERO);
    test.announce(ALICE, &pass("alice", 1, 1), 0);
    test.announce(BOB, &pass("bob", 2, 1), 0);
    let says = |test: &mut Test, times: u32| {
        for number in 0..times {
            test.say(ALICE, ClientMessage::App { to: None, data: number.into() });
        }
    };
    says(&mut test, 10);
    let seen = Position { epoch: Epoch(9), seq: test.room.state(test.now).seq };
    let announce = Announce { session: CAROL, pass: pass("bob", 2, 1), position: seen, received: 8 };
    test.apply(Input::Announce(announce));
    test.apply(Input::Gone { session: CAROL, why: Gone::Disconnected });
    // The ring has 256 places: some of what was said before falls out of it.
    says(&mut test, 250);
    let unaware = test.resume(BOB, &pass("bob", 2, 1), seen);
    assert_eq!(unaware.iter().find_map(resync), Some((BOB, Some(8), 1)));
}

struct Test {
    room: Room,
    now: Now,
}

impl Test {
    /// The room's owner died, and this is the next.
    fn taken_up(roll_call: Duration) -> Self {
        let now = Now { moment: Moment::default(), unix: UnixSeconds(1_800_000_000) };
        let record = Room::new(settings(), now).record(now);
        let mut room = Room::from_record(record, ResumeLimits::default(), Epoch(9), roll_call, now).unwrap();
        // What is kept is written anew, in the new owner's name.
        let saved = room.apply(Input::Tick, now);
        assert_eq!(room.record(now).epoch, Epoch(9));
        assert!(matches!(saved[..], [causeway_signal_core::Effect::Save]));
        Self { room, now }
    }

    fn announce(&mut self, session: SessionId, pass: &Pass, received: u64) -> Vec<Done> {
        let position = Position { epoch: Epoch(1), seq: 50 };
        self.apply(Input::Announce(Announce { session, pass: pass.clone(), position, received }))
    }

    fn resume(&mut self, session: SessionId, pass: &Pass, position: Position) -> Vec<Done> {
        self.apply(Input::Resume(Resume { session, pass: pass.clone(), position }))
    }

    fn say(&mut self, session: SessionId, message: ClientMessage) -> Vec<Done> {
        self.apply(Input::Message { session, message })
    }

    fn apply(&mut self, input: Input) -> Vec<Done> {
        done(self.room.apply(input, self.now))
    }
}

/// Whom a `resync` is for, what it says was received, and how many others are there.
fn resync(effect: &Done) -> Option<(SessionId, Option<u64>, usize)> {
    match effect {
        Done::Said { to, message: ServerMessage::Resync { received, snapshot, .. } } => {
            Some((to[0], *received, snapshot.peers.len()))
        }
        _ => None,
    }
}

fn pass(name: &str, joined: u64, generation: u64) -> Pass {
    let claims = guest(&peer(name));
    Pass {
        peer: claims.sub,
        name: claims.name,
        role: claims.role,
        grants: claims.grants,
        token: claims.jti,
        series: name.parse().unwrap(),
        generation,
        counted_from: 0,
        joined: Position { epoch: Epoch(1), seq: joined },
        epoch: Epoch(1),
    }
}
