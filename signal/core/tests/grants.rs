//! Which messages a room takes from a member whose token grants less than usual.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::time::Duration;

use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::token::{Grant, GrantSet, Grants, JoinClaims, RoomRole};
use causeway_protocol::{ErrorCode, Moment, Now, UnixSeconds};
use causeway_signal_core::{Input, Join, Room, SessionId};
use common::{Done, done, guest, settings};
use serde_json::json;

const ALICE: SessionId = SessionId(1);
const BOB: SessionId = SessionId(2);
const NOW: Now = Now { moment: Moment::from_origin(Duration::ZERO), unix: UnixSeconds(1_800_000_000) };

#[test]
fn offers_answers_and_candidates_take_the_grant_to_signal() {
    for message in [
        json!({"type": "offer", "to": "bob", "sdp": "v=0"}),
        json!({"type": "answer", "to": "bob", "sdp": "v=0"}),
        json!({"type": "candidate", "to": "bob", "candidate": {"candidate": ""}}),
        json!({"type": "end-of-candidates", "to": "bob"}),
    ] {
        check(&message, Grant::Signal);
    }
}

#[test]
fn messages_of_the_application_take_the_grant_to_send_them() {
    for message in [json!({"type": "app", "data": 1}), json!({"type": "app", "to": "bob", "data": 1})] {
        check(&message, Grant::Message);
    }
}

#[test]
fn a_host_without_a_grant_is_refused_like_anybody() {
    let mut room = room_with(RoomRole::Host, GrantSet::of(&[Grant::Join]));
    assert!(is_refusal(&say(&mut room, &json!({"type": "app", "data": 1}))));
}

#[test]
fn whoever_is_inside_may_leave_refresh_and_show_life() {
    for message in
        [json!({"type": "ping", "nonce": 1}), json!({"type": "refresh-ice"}), json!({"type": "leave"})]
    {
        let effects = say(&mut room_with(RoomRole::Guest, GrantSet::NONE), &message);
        assert!(!effects.is_empty() && !is_refusal(&effects), "{message}: {effects:?}");
    }
}

/// Passes with the grant alone, and is refused with every other.
fn check(message: &serde_json::Value, needed: Grant) {
    let effects = say(&mut room_with(RoomRole::Guest, GrantSet::of(&[needed])), message);
    assert!(matches!(&effects[..], [Done::Said { to, .. }] if to == &[BOB]), "{message}: {effects:?}");
    let others: Vec<_> = Grant::ALL.into_iter().filter(|grant| *grant != needed).collect();
    let effects = say(&mut room_with(RoomRole::Guest, GrantSet::of(&others)), message);
    assert!(is_refusal(&effects), "{message}: {effects:?}");
}

fn is_refusal(effects: &[Done]) -> bool {
    matches!(
        effects,
        [Done::Said { to, message: ServerMessage::Error { code: ErrorCode::NotAllowed, refused: Some(_), .. } }]
            if to == &[ALICE]
    )
}

fn say(room: &mut Room, message: &serde_json::Value) -> Vec<Done> {
    let message: ClientMessage = serde_json::from_value(message.clone()).unwrap();
    done(room.apply(Input::Message { session: ALICE, message }, NOW))
}

/// Alice, who may do this, and Bob.
fn room_with(role: RoomRole, can: GrantSet) -> Room {
    let mut room = Room::new(settings(), NOW);
    for (session, peer, can) in [(ALICE, "alice", can), (BOB, "bob", GrantSet::PEER)] {
        let grants = Grants { can, ..Grants::default() };
        let claims = JoinClaims { role, grants, ..guest(&common::peer(peer)) };
        let join = Join { session, claims, series: peer.parse().unwrap() };
        room.apply(Input::Join(join), NOW);
    }
    room
}
