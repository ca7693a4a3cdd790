//! A member whose owner died with its node: nobody knows how much of what it said was taken, and it must hear so before the count
//! means anything to it. Found by the model test of @causeway/client.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::time::Duration;

use causeway_protocol::message::{ClientMessage, Greeting, Pass, Position};
use causeway_protocol::{Epoch, Moment, Now, UnixSeconds};
use causeway_signal_core::{Effect, Gone, Input, Resume, ResumeLimits, Room, SessionId};
use common::{guest, peer, settings};

const FIRST: SessionId = SessionId(1);
const SECOND: SessionId = SessionId(2);
const THIRD: SessionId = SessionId(3);

#[test]
fn who_did_not_hear_that_the_count_began_anew_is_told_again() {
    let mut room = taken_up(Duration::ZERO);
    let old = pass(4);
    let (unheard, received) = resume(&mut room, FIRST, &old);
    assert_eq!(received, None);
    // The connection breaks before that is read, so the client comes with the token that it has.
    gone(&mut room, FIRST);
    let (heard, received) = resume(&mut room, SECOND, &old);
    assert_eq!(received, None);
    assert!(heard.generation > unheard.generation);
    // From here on it knows: what it says counts, and is not to be said again.
    say(&mut room, SECOND);
    gone(&mut room, SECOND);
    assert_eq!(resume(&mut room, THIRD, &heard).1, Some(1));
}

#[test]
fn who_comes_during_the_roll_call_and_breaks_off_again_is_told_all_the_same() {
    let mut room = taken_up(Room::ROLL_CALL);
    assert!(greeting(&apply(&mut room, resumption(FIRST, &pass(4)))).is_none());
    gone(&mut room, FIRST);
    let after = Now { moment: now().moment.plus(Room::ROLL_CALL), ..now() };
    assert!(greeting(&room.apply(Input::Tick, after)).is_none());
    let (_, received) = resume(&mut room, SECOND, &pass(4));
    assert_eq!(received, None);
}

#[test]
fn a_hand_over_keeps_in_mind_since_when_is_counted() {
    let mut room = taken_up(Duration::ZERO);
    let old = pass(4);
    let _unheard = resume(&mut room, FIRST, &old);
    let mut next = Room::restore(room.state(now()), ResumeLimits::default(), Epoch(10), now()).unwrap();
    gone(&mut next, FIRST);
    assert_eq!(resume(&mut next, SECOND, &old).1, None);
}

/// The room's owner died, and this is the next.
fn taken_up(roll_call: Duration) -> Room {
    let record = Room::new(settings(), now()).record(now());
    Room::from_record(record, ResumeLimits::default(), Epoch(9), roll_call, now()).unwrap()
}

fn resumption(session: SessionId, pass: &Pass) -> Input {
    let position = Position { epoch: Epoch(1), seq: 50 };
    Input::Resume(Resume { session, pass: pass.clone(), position })
}

/// The pass and the count that a connection is greeted with.
fn resume(room: &mut Room, session: SessionId, pass: &Pass) -> (Pass, Option<u64>) {
    greeting(&apply(room, resumption(session, pass))).expect("it is greeted")
}

fn greeting(effects: &[Effect]) -> Option<(Pass, Option<u64>)> {
    effects.iter().find_map(|effect| match effect {
        Effect::Greet { pass, greeting: Greeting::Resync { received, .. }, .. } => {
            Some((pass.clone(), *received))
        }
        _ => None,
    })
}

fn say(room: &mut Room, session: SessionId) {
    apply(room, Input::Message { session, message: ClientMessage::App { to: None, data: 1.into() } });
}

fn gone(room: &mut Room, session: SessionId) {
    apply(room, Input::Gone { session, why: Gone::Disconnected });
}

fn apply(room: &mut Room, input: Input) -> Vec<Effect> {
    room.apply(input, now())
}

fn now() -> Now {
    Now { moment: Moment::default(), unix: UnixSeconds(1_800_000_000) }
}

fn pass(generation: u64) -> Pass {
    let claims = guest(&peer("alice"));
    Pass {
        peer: claims.sub,
        name: claims.name,
        role: claims.role,
        grants: claims.grants,
        token: claims.jti,
        series: "alice".parse().unwrap(),
        generation,
        counted_from: 0,
        joined: Position { epoch: Epoch(1), seq: 1 },
        epoch: Epoch(1),
    }
}
