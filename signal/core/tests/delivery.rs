//! What a room passes on is bounded, however many say it to however many.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::time::Duration;

use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::{ErrorCode, Moment, Now, UnixSeconds};
use causeway_signal_core::{DELIVERY_AHEAD, DELIVERY_PER_SECOND, Input, Join, Room, SessionId};
use common::{Done, done, guest, peer, settings};

const ALICE: SessionId = SessionId(1);
const BOB: SessionId = SessionId(2);
const CAROL: SessionId = SessionId(3);

#[test]
fn a_room_that_is_flooded_refuses_by_name_and_goes_on_when_it_has_caught_up() {
    let start = Now { moment: Moment::from_origin(Duration::from_secs(5)), unix: UnixSeconds(1_800_000_000) };
    let mut room = Room::new(settings(), start);
    for (session, name) in [(ALICE, "alice"), (BOB, "bob"), (CAROL, "carol")] {
        let join = Join { session, claims: guest(&peer(name)), series: format!("s{name}").parse().unwrap() };
        room.apply(Input::Join(join), start);
    }
    let len = 60_000;
    let flood = |room: &mut Room, now| {
        let message = ClientMessage::App { to: None, data: "x".repeat(len).into() };
        done(room.apply(Input::Message { session: ALICE, message }, now))
    };
    let mut passed: u64 = 0;
    let refused = loop {
        let effects = flood(&mut room, start);
        match &effects[..] {
            [Done::Said { message: ServerMessage::App { .. }, .. }] => passed += 1,
            _ => break effects,
        }
    };
    let bytes = passed * 2 * u64::try_from(len).unwrap();
    let allowed = DELIVERY_PER_SECOND * DELIVERY_AHEAD.as_secs();
    assert!((allowed * 9 / 10..allowed * 11 / 10).contains(&bytes), "{bytes}");
    let [
        Done::Said {
            to,
            message: ServerMessage::Error { code: ErrorCode::RateLimited, refused: Some(kind), .. },
        },
    ] = &refused[..]
    else {
        panic!("{refused:?}");
    };
    assert_eq!((to.as_slice(), kind.as_str()), (&[ALICE][..], "app"));
    let ping = Input::Message { session: BOB, message: ClientMessage::Ping { nonce: 1 } };
    let pong = done(room.apply(ping, start));
    assert!(matches!(&pong[..], [Done::Said { message: ServerMessage::Pong { .. }, .. }]), "{pong:?}");
    let later = flood(&mut room, start.plus(Duration::from_secs(1)));
    assert!(matches!(&later[..], [Done::Said { message: ServerMessage::App { .. }, .. }]));
}
