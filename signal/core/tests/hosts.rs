//! Lobby, lock, kick, ban, the host's role and the room's state: who may, what follows, and who hears of it.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::time::Duration;

use causeway_protocol::message::{ClientMessage, LeaveReason, Position, ServerMessage, Snapshot};
use causeway_protocol::node::ShownKey;
use causeway_protocol::token::{Grant, GrantSet, Grants, JoinClaims, RoomRole};
use causeway_protocol::{CloseCode, ErrorCode, Moment, Now, UnixSeconds};
use causeway_signal_core::{
    Door, Gone, Input, Join, MAX_WAITING, RefusedEntry, Resume, Room, RoomSettings, SessionId,
};
use common::{Done, done, guest, peer, settings};
use serde_json::{Value, json};

const HOST: SessionId = SessionId(1);
const BOB: SessionId = SessionId(2);
const CAROL: SessionId = SessionId(3);
const DAVE: SessionId = SessionId(4);

#[test]
fn in_a_lobby_a_guest_waits_also_when_no_host_is_there_and_a_hosts_arrival_admits_nobody() {
    let mut test = Test::with_lobby();
    let waits = test.join(BOB, "bob");
    assert!(
        matches!(&waits[..], [Done::Said { to, message: ServerMessage::Waiting {} }] if to == &[BOB]),
        "{waits:?}"
    );
    assert_eq!(test.room.peers(), 0);
    let arrives = test.join_host(HOST, "host");
    let Some(snapshot) = snapshot(&arrives) else { panic!("{arrives:?}") };
    assert_eq!((snapshot.lobby, snapshot.waiting.len()), (true, 1));
    assert_eq!(test.room.peers(), 1);
    let effects = test.say(HOST, json!({"type": "admit", "peer": "bob"}));
    let [gone, joined, welcome] = &effects[..] else { panic!("{effects:?}") };
    assert!(
        matches!(gone, Done::Said { message: ServerMessage::KnockGone { peer, .. }, .. } if peer.id.as_str() == "bob")
    );
    assert!(matches!(joined, Done::Said { to, message: ServerMessage::PeerJoined { .. } } if to == &[HOST]));
    assert!(matches!(welcome, Done::Said { to, message: ServerMessage::Welcome { snapshot, .. } }
        if to == &[BOB] && snapshot.waiting.is_empty()));
}

#[test]
fn hosts_alone_hear_of_a_knock_and_it_is_over_when_the_guest_goes() {
    let mut test = Test::with_lobby();
    test.join_host(HOST, "host");
    test.join(BOB, "bob");
    test.say(HOST, json!({"type": "admit", "peer": "bob"}));
    let knock = test.join(CAROL, "carol");
    assert!(matches!(&knock[1], Done::Said { to, message: ServerMessage::Knock { .. } } if to == &[HOST]));
    let gone = test.apply(Input::Gone { session: CAROL, why: Gone::Disconnected });
    assert!(
        matches!(&gone[..], [Done::Said { to, message: ServerMessage::KnockGone { .. } }] if to == &[HOST])
    );
    let leaves = {
        test.join(DAVE, "dave");
        test.say(DAVE, json!({"type": "leave"}))
    };
    assert!(matches!(&leaves[..], [_, Done::Closed { session: DAVE, code: CloseCode::Left }]), "{leaves:?}");
}

#[test]
fn who_is_denied_is_told_and_cannot_knock_with_the_same_token_again() {
    let mut test = Test::with_lobby();
    test.join_host(HOST, "host");
    test.join(BOB, "bob");
    let denied = test.say(HOST, json!({"type": "deny", "peer": "bob"}));
    check_sent_away(&denied, BOB, ErrorCode::EntryDenied);
    assert!(matches!(denied.last(), Some(Done::Saved)));
    check_sent_away(&test.join(CAROL, "bob"), CAROL, ErrorCode::Kicked);
}

#[test]
fn who_waits_may_show_life_and_nothing_else() {
    let mut test = Test::with_lobby();
    test.join(BOB, "bob");
    let pong = test.say(BOB, json!({"type": "ping", "nonce": 4}));
    assert!(matches!(&pong[..], [Done::Said { message: ServerMessage::Pong { nonce: 4, received: 0 }, .. }]));
    for message in [json!({"type": "app", "data": 1}), json!({"type": "admit", "peer": "bob"})] {
        check_refused(&test.say(BOB, message), BOB, ErrorCode::NotAllowed);
    }
    assert_eq!(test.room.peers(), 0);
}

#[test]
fn a_lobby_has_an_end_and_a_second_knock_of_one_peer_replaces_the_first() {
    let mut test = Test::with_lobby();
    for n in 0..MAX_WAITING {
        test.join(SessionId(100 + u64::try_from(n).unwrap()), &format!("guest{n}"));
    }
    let full = test.join(BOB, "bob");
    assert!(matches!(full[..], [Done::Closed { session: BOB, code: CloseCode::RoomFull }]), "{full:?}");
    let again = test.join(CAROL, "guest0");
    assert!(
        matches!(again[0], Done::Closed { session: SessionId(100), code: CloseCode::Displaced }),
        "{again:?}"
    );
}

#[test]
fn nobody_is_admitted_to_a_full_room() {
    let mut test = Test::with_lobby();
    test.join_host(HOST, "host");
    for (session, name) in [(BOB, "bob"), (CAROL, "carol"), (DAVE, "dave")] {
        test.join(session, name);
    }
    test.say(HOST, json!({"type": "admit", "peer": "bob"}));
    test.say(HOST, json!({"type": "admit", "peer": "carol"}));
    check_refused(&test.say(HOST, json!({"type": "admit", "peer": "dave"})), HOST, ErrorCode::RoomFull);
    check_refused(&test.say(HOST, json!({"type": "admit", "peer": "erin"})), HOST, ErrorCode::PeerNotFound);
}

#[test]
fn guests_neither_admit_nor_deny_nor_lock_nor_kick() {
    let mut test = Test::open();
    test.join_host(HOST, "host");
    test.join(BOB, "bob");
    for message in [
        json!({"type": "admit", "peer": "x"}),
        json!({"type": "deny", "peer": "x"}),
        json!({"type": "lock", "locked": true}),
        json!({"type": "kick", "peer": "host"}),
    ] {
        check_refused(&test.say(BOB, message), BOB, ErrorCode::NotAllowed);
    }
}

#[test]
fn a_locked_room_takes_no_newcomer_but_hosts_and_those_who_are_in() {
    let mut test = Test::open();
    test.join_host(HOST, "host");
    test.join(BOB, "bob");
    let locked = test.say(HOST, json!({"type": "lock", "locked": true}));
    assert!(matches!(
        &locked[..],
        [Done::Said { to, message: ServerMessage::Locked { locked: true, .. } }, Done::Saved] if to == &[HOST, BOB]
    ));
    assert!(test.say(HOST, json!({"type": "lock", "locked": true})).is_empty());
    let newcomer = test.join(CAROL, "carol");
    assert!(matches!(
        newcomer[..],
        [
            Done::Said { message: ServerMessage::Error { code: ErrorCode::RoomLocked, .. }, .. },
            Done::Closed { code: CloseCode::RoomLocked, .. }
        ]
    ));
    assert_eq!(test.room.admit(ShownKey::None, test.now).unwrap_err(), RefusedEntry::Locked);
    assert_eq!(test.room.admit(ShownKey::Host, test.now).unwrap().role, RoomRole::Host);
    assert!(snapshot(&test.join(DAVE, "bob")).is_some_and(|snapshot| snapshot.locked));
    test.say(HOST, json!({"type": "lock", "locked": false}));
    assert!(snapshot(&test.join(CAROL, "carol")).is_some());
}

#[test]
fn a_kick_ends_the_session_and_both_tokens_and_the_relays_credential() {
    let mut test = Test::open();
    test.join_host(HOST, "host");
    test.join(BOB, "bob");
    let effects = test.say(HOST, json!({"type": "kick", "peer": "bob", "reason": "Too loud."}));
    let [left, told, closed, revoked, saved] = &effects[..] else { panic!("{effects:?}") };
    assert!(
        matches!(left, Done::Said { to, message: ServerMessage::PeerLeft { reason: LeaveReason::Kicked, .. } } if to == &[HOST])
    );
    assert!(
        matches!(told, Done::Said { to, message: ServerMessage::Error { code: ErrorCode::Kicked, message, .. } }
        if to == &[BOB] && message == "Too loud.")
    );
    assert!(matches!(closed, Done::Closed { session: BOB, code: CloseCode::Kicked }));
    assert!(matches!(revoked, Done::Revoked { peer } if peer.as_str() == "bob"));
    assert!(matches!(saved, Done::Saved));
    check_sent_away(&test.join(CAROL, "bob"), CAROL, ErrorCode::Kicked);
    check_sent_away(&test.resume(DAVE, "bob"), DAVE, ErrorCode::Kicked);
    // Another token is another matter: whoever is not banned may ask at the door again.
    let claims = JoinClaims { jti: "another".parse().unwrap(), ..guest(&peer("bob")) };
    assert!(snapshot(&test.join_with(CAROL, claims)).is_some());
}

#[test]
fn who_is_banned_does_not_come_back_with_any_token() {
    let mut test = Test::open();
    test.join_host(HOST, "host");
    test.join(BOB, "bob");
    let effects = test.say(HOST, json!({"type": "kick", "peer": "bob", "ban": true}));
    check_sent_away(&effects[1..], BOB, ErrorCode::Banned);
    let claims = JoinClaims { jti: "another".parse().unwrap(), ..guest(&peer("bob")) };
    check_sent_away(&test.join_with(CAROL, claims), CAROL, ErrorCode::Banned);
    // Nor in the room as it is taken up from its record.
    let record = test.room.record(test.now);
    let resume = settings().resume;
    let epoch = causeway_protocol::Epoch(2);
    test.room = Room::from_record(record, resume, epoch, Duration::ZERO, test.now).unwrap();
    let claims = JoinClaims { jti: "another".parse().unwrap(), ..guest(&peer("bob")) };
    check_sent_away(&test.join_with(CAROL, claims)[..2], CAROL, ErrorCode::Banned);
}

#[test]
fn the_grant_to_kick_reaches_guests_and_not_hosts() {
    let mut test = Test::open();
    test.join_host(HOST, "host");
    let can = GrantSet::of(&[Grant::Join, Grant::Kick]);
    let grants = Grants { can, ..Grants::default() };
    test.join_with(BOB, JoinClaims { grants, ..guest(&peer("bob")) });
    test.join(CAROL, "carol");
    check_refused(&test.say(BOB, json!({"type": "kick", "peer": "host"})), BOB, ErrorCode::NotAllowed);
    check_refused(&test.say(BOB, json!({"type": "kick", "peer": "bob"})), BOB, ErrorCode::PeerNotFound);
    check_refused(&test.say(BOB, json!({"type": "kick", "peer": "nobody"})), BOB, ErrorCode::PeerNotFound);
    check_sent_away(&test.say(BOB, json!({"type": "kick", "peer": "carol"}))[1..], CAROL, ErrorCode::Kicked);
}

#[test]
fn somebody_who_is_away_can_be_kicked_and_finds_the_door_closed() {
    let mut test = Test::open();
    test.join_host(HOST, "host");
    test.join(BOB, "bob");
    assert!(test.apply(Input::Gone { session: BOB, why: Gone::Disconnected }).is_empty());
    let effects = test.say(HOST, json!({"type": "kick", "peer": "bob"}));
    assert!(
        matches!(&effects[..], [Done::Said { to, .. }, Done::Revoked { .. }, Done::Saved] if to == &[HOST])
    );
    check_sent_away(&test.resume(DAVE, "bob"), DAVE, ErrorCode::Kicked);
}

#[test]
fn a_reason_is_a_short_line() {
    let mut test = Test::open();
    test.join_host(HOST, "host");
    test.join(BOB, "bob");
    for reason in ["x".repeat(257), "two\nlines".to_owned()] {
        let effects = test.say(HOST, json!({"type": "kick", "peer": "bob", "reason": reason}));
        check_refused(&effects, HOST, ErrorCode::BadMessage);
    }
}

#[test]
fn a_claim_is_looked_at_by_the_shell_and_makes_a_host_who_hears_who_waits() {
    let mut test = Test::with_lobby();
    test.join_host(HOST, "host");
    test.join(BOB, "bob");
    test.say(HOST, json!({"type": "admit", "peer": "bob"}));
    test.join(CAROL, "carol");
    let asked = test.say(BOB, json!({"type": "claim-host", "token": "t"}));
    assert!(matches!(asked[..], [Done::Asked { session: BOB }]), "{asked:?}");
    let refused = test.apply(Input::HostVerified { session: BOB, verdict: Err(ErrorCode::TokenInvalid) });
    check_refused(&refused, BOB, ErrorCode::TokenInvalid);
    let claimed = test.apply(Input::HostVerified { session: BOB, verdict: Ok(()) });
    let [Done::Said { to, message: ServerMessage::PeerRole { role: RoomRole::Host, .. } }, knock] =
        &claimed[..]
    else {
        panic!("{claimed:?}")
    };
    assert_eq!(to[..], [HOST, BOB]);
    assert!(matches!(knock, Done::Said { to, message: ServerMessage::Knock { .. } } if to == &[BOB]));
    assert!(test.apply(Input::HostVerified { session: BOB, verdict: Ok(()) }).is_empty());
    test.say(BOB, json!({"type": "admit", "peer": "carol"}));
    assert_eq!(test.room.peers(), 3);
}

#[test]
fn what_is_set_everybody_hears_its_author_too_and_newcomers_find_it() {
    let mut test = Test::open();
    test.join(BOB, "bob");
    test.join(CAROL, "carol");
    let set = test.say(BOB, json!({"type": "set-state", "key": "slide", "value": 7, "ttlSeconds": 10}));
    assert!(
        matches!(&set[..], [Done::Said { to, message: ServerMessage::State { value: Some(value), expires_at: Some(at), .. } }]
        if to == &[BOB, CAROL] && value == 7 && *at == test.now.unix.plus(10))
    );
    let welcome = test.join(DAVE, "dave");
    let found = snapshot(&welcome).unwrap().state.clone();
    assert_eq!((found.len(), found[0].key.as_str(), found[0].by.as_str()), (1, "slide", "bob"));
    let deadline = test.now.plus(Duration::from_secs(10));
    assert!(test.room.next_deadline() <= deadline.moment);
    test.now = deadline;
    let over = test.apply(Input::Tick);
    assert!(
        matches!(&over[..], [Done::Said { to, message: ServerMessage::State { value: None, .. } }] if to.len() == 3)
    );
}

#[test]
fn a_key_that_is_not_there_is_deleted_in_silence() {
    let mut test = Test::open();
    test.join(BOB, "bob");
    assert!(test.say(BOB, json!({"type": "set-state", "key": "k"})).is_empty());
    assert_eq!(test.say(BOB, json!({"type": "set-state", "key": "k", "value": 1})).len(), 1);
    assert_eq!(test.say(BOB, json!({"type": "set-state", "key": "k", "value": null})).len(), 1);
    check_refused(
        &test.say(BOB, json!({"type": "set-state", "key": "", "value": 1})),
        BOB,
        ErrorCode::BadMessage,
    );
}

struct Test {
    room: Room,
    now: Now,
}

impl Test {
    fn open() -> Self {
        Self::new(false)
    }

    fn with_lobby() -> Self {
        Self::new(true)
    }

    fn new(lobby: bool) -> Self {
        let now = Now { moment: Moment::default(), unix: UnixSeconds(1_800_000_000) };
        let door = Door { password: false, invite_only: false, lobby };
        Self { room: Room::new(RoomSettings { door, ..settings() }, now), now }
    }

    fn join(&mut self, session: SessionId, name: &str) -> Vec<Done> {
        self.join_with(session, guest(&peer(name)))
    }

    fn join_host(&mut self, session: SessionId, name: &str) -> Vec<Done> {
        self.join_with(session, JoinClaims { role: RoomRole::Host, ..guest(&peer(name)) })
    }

    /// The stay is named after the peer.
    fn join_with(&mut self, session: SessionId, claims: JoinClaims) -> Vec<Done> {
        let series = claims.sub.as_str().parse().unwrap();
        self.apply(Input::Join(Join { session, claims, series }))
    }

    fn resume(&mut self, session: SessionId, name: &str) -> Vec<Done> {
        let JoinClaims { sub: peer, name: called, role, grants, jti: token, .. } = guest(&peer(name));
        let position = Position { epoch: self.room.epoch(), seq: 1 };
        let pass = causeway_protocol::message::Pass {
            series: peer.as_str().parse().unwrap(),
            peer,
            name: called,
            role,
            grants,
            token,
            generation: 1,
            counted_from: 0,
            joined: position,
            epoch: position.epoch,
        };
        self.apply(Input::Resume(Resume { session, pass, position }))
    }

    fn say(&mut self, session: SessionId, message: Value) -> Vec<Done> {
        let message: ClientMessage = serde_json::from_value(message).unwrap();
        self.apply(Input::Message { session, message })
    }

    fn apply(&mut self, input: Input) -> Vec<Done> {
        done(self.room.apply(input, self.now))
    }
}

fn snapshot(effects: &[Done]) -> Option<&Snapshot> {
    effects.iter().find_map(|effect| match effect {
        Done::Said { message: ServerMessage::Welcome { snapshot, .. }, .. } => Some(&**snapshot),
        _ => None,
    })
}

fn check_refused(effects: &[Done], to: SessionId, expected: ErrorCode) {
    let [Done::Said { to: told, message: ServerMessage::Error { code, .. } }] = effects else {
        panic!("{effects:?}")
    };
    assert_eq!((told.as_slice(), *code), (&[to][..], expected));
}

/// Somebody is told why, and closed with 4403.
fn check_sent_away(effects: &[Done], whom: SessionId, why: ErrorCode) {
    let told = effects.iter().any(|effect| {
        matches!(effect, Done::Said { to, message: ServerMessage::Error { code, .. } } if to == &[whom] && *code == why)
    });
    let closed = effects.iter().any(
        |effect| matches!(effect, Done::Closed { session, code: CloseCode::Kicked } if *session == whom),
    );
    assert!(told && closed, "{effects:?}");
}
