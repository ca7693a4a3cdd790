//! What a room does, one claim at a time. Time is moved by hand.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::time::Duration;

use causeway_protocol::bus::{RelayFacts, RelayUsage};
use causeway_protocol::message::{ClientMessage, LeaveReason, Politeness, ServerMessage, Snapshot};
use causeway_protocol::node::ShownKey;
use causeway_protocol::token::RoomRole;
use causeway_protocol::{CloseCode, Epoch, ErrorCode, Moment, Now, UnixSeconds};
use causeway_signal_core::{
    Ending, Gone, ICE_REFRESH_INTERVAL, Input, Join, RefusedEntry, ResumeLimits, Room, RoomSettings,
    SessionId,
};
use common::{Done, done, guest, peer, settings};

const TTL: Duration = Duration::from_secs(3600);
const ALICE: SessionId = SessionId(1);
const BOB: SessionId = SessionId(2);
const CAROL: SessionId = SessionId(3);

#[test]
fn the_newcomer_is_polite_and_those_present_are_not() {
    let mut test = TestRoom::with(&[(ALICE, "alice")]);
    let effects = test.join(BOB, "bob");
    let [Done::Said { to, message: ServerMessage::PeerJoined { seq: 2, peer } }, welcome] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!((to.as_slice(), peer.you_are), (&[ALICE][..], Politeness::Impolite));
    let Done::Said { to, message: ServerMessage::Welcome { snapshot, .. } } = welcome else {
        panic!("{welcome:?}");
    };
    assert_eq!(to[..], [BOB]);
    let Snapshot { seq: 2, epoch: Epoch(1), peers, .. } = &**snapshot else { panic!("{snapshot:?}") };
    assert_eq!((peers[0].id.as_str(), peers[0].you_are), ("alice", Politeness::Polite));
}

#[test]
fn a_signal_reaches_the_one_it_is_for_in_the_order_it_was_sent() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob"), (CAROL, "carol")]);
    for sdp in ["first", "second"] {
        let effects = test.say(ALICE, ClientMessage::Offer { to: peer("bob"), sdp: sdp.to_owned() });
        let [Done::Said { to, message: ServerMessage::Offer { from, sdp: passed, .. } }] = &effects[..]
        else {
            panic!("{effects:?}");
        };
        assert_eq!((to.as_slice(), from.as_str(), passed.as_str()), (&[BOB][..], "alice", sdp));
    }
}

#[test]
fn app_data_for_all_reaches_all_but_its_sender() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob"), (CAROL, "carol")]);
    let effects = test.say(BOB, ClientMessage::App { to: None, data: 7.into() });
    let [Done::Said { to, message: ServerMessage::App { from, .. } }] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!((to.as_slice(), from.as_str()), (&[ALICE, CAROL][..], "bob"));
    let mut alone = TestRoom::with(&[(ALICE, "alice")]);
    assert!(alone.say(ALICE, ClientMessage::App { to: None, data: 7.into() }).is_empty());
}

#[test]
fn an_empty_room_keeps_nothing_of_what_was_said() {
    let mut test = TestRoom::with(&[]);
    test.room = Room::new(settings(), test.now);
    test.join(ALICE, "alice");
    test.join(BOB, "bob");
    test.say(ALICE, ClientMessage::App { to: None, data: "hello".into() });
    test.apply(Input::Gone { session: ALICE, why: Gone::Closed });
    assert!(test.room.kept_bytes() > 0, "Bob may have missed it");
    test.apply(Input::Gone { session: BOB, why: Gone::Disconnected });
    assert!(test.room.kept_bytes() > 0, "and may come back");
    test.now.moment = test.now.moment.plus(test.room.grace());
    test.apply(Input::Tick);
    assert_eq!(test.room.kept_bytes(), 0);
}

#[test]
fn a_signal_to_nobody_is_told_to_its_sender_alone() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob")]);
    for to in ["carol", "alice"] {
        let effects = test.say(ALICE, ClientMessage::EndOfCandidates { to: peer(to) });
        check_refused(&effects, ALICE, ErrorCode::PeerNotFound, "end-of-candidates");
    }
}

#[test]
fn a_second_hello_is_refused_and_changes_nothing() {
    let mut test = TestRoom::with(&[(ALICE, "alice")]);
    let effects = test.say(ALICE, ClientMessage::Hello { version: 1, token: "t".to_owned() });
    check_refused(&effects, ALICE, ErrorCode::BadMessage, "hello");
    assert_eq!(test.room.peers(), 1);
}

#[test]
fn a_full_room_takes_nobody_but_a_peer_that_comes_back() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob"), (CAROL, "carol")]);
    let effects = test.join(SessionId(4), "dave");
    assert!(
        matches!(effects[..], [Done::Closed { session: SessionId(4), code: CloseCode::RoomFull }]),
        "{effects:?}"
    );
    assert_eq!(test.admit(ShownKey::None), Err(RefusedEntry::Full));
    test.join(SessionId(5), "alice");
    assert_eq!(test.room.peers(), 3);
}

#[test]
fn a_peer_that_connects_again_displaces_its_older_connection() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob")]);
    let effects = test.join(SessionId(9), "alice");
    let [
        Done::Said { to, message: ServerMessage::PeerLeft { seq: 3, peer, reason: LeaveReason::Displaced } },
        Done::Closed { session: ALICE, code: CloseCode::Displaced },
        Done::Said { message: ServerMessage::PeerJoined { seq: 4, peer: again }, .. },
        Done::Said { message: ServerMessage::Welcome { .. }, .. },
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(
        (to.as_slice(), peer, &again.id),
        (&[BOB][..], &common::peer("alice"), &common::peer("alice"))
    );
    // What the older connection still had on its way is nobody's.
    assert!(test.say(ALICE, ClientMessage::Leave {}).is_empty());
    assert!(test.apply(Input::Gone { session: ALICE, why: Gone::Disconnected }).is_empty());
    assert_eq!(test.room.peers(), 2);
}

#[test]
fn the_reason_for_going_is_passed_on() {
    for (why, expected) in [
        (Gone::Disconnected, LeaveReason::Disconnected),
        (Gone::TimedOut, LeaveReason::TimedOut),
        (Gone::Stalled, LeaveReason::Stalled),
        (Gone::Refused, LeaveReason::Refused),
    ] {
        let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob")]);
        let effects = test.apply(Input::Gone { session: BOB, why });
        let [Done::Said { message: ServerMessage::PeerLeft { reason, .. }, .. }] = &effects[..] else {
            panic!("{effects:?}");
        };
        assert_eq!(*reason, expected);
    }
}

#[test]
fn a_peer_whose_queue_is_full_is_closed_and_the_others_are_told() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob")]);
    let effects = test.apply(Input::Stalled { session: BOB });
    assert!(
        matches!(
            &effects[..],
            [
                Done::Said { message: ServerMessage::PeerLeft { reason: LeaveReason::Stalled, .. }, .. },
                Done::Closed { session: BOB, code: CloseCode::Stalled },
            ]
        ),
        "{effects:?}"
    );
}

#[test]
fn an_empty_room_stays_until_its_time_is_over() {
    let mut test = TestRoom::with(&[(ALICE, "alice")]);
    test.say(ALICE, ClientMessage::Leave {});
    test.now = test.start.plus(TTL - Duration::from_millis(1));
    assert!(test.apply(Input::Tick).is_empty());
    assert_eq!(test.admit(ShownKey::None), Ok(RoomRole::Guest));
}

#[test]
fn a_room_ends_at_its_time_with_everybody_in_it() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob")]);
    assert_eq!(test.room.next_deadline(), test.start.plus(TTL).moment);
    test.now = test.start.plus(TTL);
    let effects = test.apply(Input::Tick);
    assert!(
        matches!(
            effects[..],
            [
                Done::Closed { session: ALICE, code: CloseCode::RoomClosed },
                Done::Closed { session: BOB, code: CloseCode::RoomClosed },
                Done::Ended(Ending::Expired),
            ]
        ),
        "{effects:?}"
    );
    assert!(test.apply(Input::Tick).is_empty());
}

#[test]
fn a_room_is_over_at_its_time_even_if_the_timer_is_late() {
    let mut test = TestRoom::with(&[(ALICE, "alice")]);
    test.now = test.start.plus(TTL);
    assert_eq!(test.admit(ShownKey::Host), Err(RefusedEntry::Ended));
    let effects = test.join(BOB, "bob");
    assert!(
        matches!(
            effects[..],
            [
                Done::Closed { session: ALICE, code: CloseCode::RoomClosed },
                Done::Ended(Ending::Expired),
                Done::Closed { session: BOB, code: CloseCode::RoomNotFound },
            ]
        ),
        "{effects:?}"
    );
}

#[test]
fn draining_asks_everybody_to_come_back_and_revokes_nothing() {
    let mut test = TestRoom::with(&[(ALICE, "alice")]);
    let effects = test.apply(Input::End(Ending::Draining));
    assert!(
        matches!(
            effects[..],
            [Done::Closed { code: CloseCode::Draining, .. }, Done::Ended(Ending::Draining)]
        ),
        "{effects:?}"
    );
    assert!(!Ending::Draining.revokes() && Ending::Closed.revokes() && Ending::Expired.revokes());
}

#[test]
fn ice_servers_are_renewed_on_request_but_not_in_a_hurry() {
    let mut test = TestRoom::with(&[(ALICE, "alice")]);
    let effects = test.say(ALICE, ClientMessage::RefreshIce {});
    assert!(matches!(&effects[..], [Done::Granted { to: ALICE }]), "{effects:?}");
    test.now = test.now.plus(ICE_REFRESH_INTERVAL - Duration::from_millis(1));
    let hasty = test.say(ALICE, ClientMessage::RefreshIce {});
    check_refused(&hasty, ALICE, ErrorCode::RateLimited, "refresh-ice");
    test.now = test.now.plus(Duration::from_millis(1));
    let effects = test.say(ALICE, ClientMessage::RefreshIce {});
    assert!(matches!(&effects[..], [Done::Granted { to: ALICE }]), "{effects:?}");
}

#[test]
fn what_a_relay_counted_for_a_member_is_told_to_all_members() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob")]);
    let effects = test.apply(Input::RelayUsage(usage("alice", 1)));
    let [Done::Said { to, message: ServerMessage::RelayUsage { sent_bytes: 1, .. } }] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(to[..], [ALICE, BOB]);
    assert!(test.apply(Input::RelayUsage(usage("alice", 2))).is_empty());
    let deadline = test.room.next_deadline();
    assert_eq!(deadline, test.now.plus(Duration::from_secs(1)).moment);
    test.now = test.now.plus(Duration::from_secs(1));
    assert_eq!(test.apply(Input::Tick).len(), 1);
    assert_eq!(test.room.next_deadline(), test.start.plus(TTL).moment);
}

#[test]
fn what_was_told_of_a_peer_is_forgotten_when_it_goes() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob")]);
    assert_eq!(test.apply(Input::RelayUsage(usage("alice", 1))).len(), 1);
    test.apply(Input::RelayUsage(usage("alice", 2)));
    test.say(ALICE, ClientMessage::Leave {});
    assert_eq!(test.room.next_deadline(), test.start.plus(TTL).moment);
    test.join(CAROL, "alice");
    assert_eq!(test.apply(Input::RelayUsage(usage("alice", 1))).len(), 1);
}

#[test]
fn what_a_relay_counted_for_strangers_or_other_rooms_is_nobodys_business() {
    let mut test = TestRoom::with(&[(ALICE, "alice")]);
    assert!(test.apply(Input::RelayUsage(usage("mallory", 1))).is_empty());
    let elsewhere = RelayUsage { room: "cellar".parse().unwrap(), ..usage("alice", 1) };
    assert!(test.apply(Input::RelayUsage(elsewhere)).is_empty());
}

#[test]
fn an_invite_shown_at_a_full_room_is_not_used_up() {
    let mut test = TestRoom::with(&[(ALICE, "alice"), (BOB, "bob"), (CAROL, "carol")]);
    let invite = ShownKey::Invite { id: "i".parse().unwrap(), expires_at: test.now.unix.plus(60) };
    assert_eq!(test.admit(invite.clone()), Err(RefusedEntry::Full));
    test.say(CAROL, ClientMessage::Leave {});
    assert_eq!(test.admit(invite.clone()), Ok(RoomRole::Guest));
    assert_eq!(test.admit(invite), Err(RefusedEntry::InviteInvalid));
}

struct TestRoom {
    room: Room,
    start: Now,
    now: Now,
}

impl TestRoom {
    fn with(members: &[(SessionId, &str)]) -> Self {
        let start =
            Now { moment: Moment::from_origin(Duration::from_secs(5)), unix: UnixSeconds(1_800_000_000) };
        // Nobody is waited for: `resume.rs` is about that.
        let resume = ResumeLimits { grace: Duration::ZERO, ..ResumeLimits::default() };
        let settings = RoomSettings { resume, ..settings() };
        let mut test = Self { room: Room::new(settings, start), start, now: start };
        for (session, name) in members {
            test.join(*session, name);
        }
        test
    }

    fn admit(&mut self, key: ShownKey) -> Result<RoomRole, RefusedEntry> {
        self.room.admit(key, self.now).map(|admission| admission.role)
    }

    fn join(&mut self, session: SessionId, name: &str) -> Vec<Done> {
        let series = format!("s{}", session.0).parse().unwrap();
        self.apply(Input::Join(Join { session, claims: guest(&peer(name)), series }))
    }

    fn say(&mut self, session: SessionId, message: ClientMessage) -> Vec<Done> {
        self.apply(Input::Message { session, message })
    }

    fn apply(&mut self, input: Input) -> Vec<Done> {
        done(self.room.apply(input, self.now))
    }
}

fn usage(peer: &str, sent_bytes: u64) -> RelayUsage {
    RelayUsage {
        node: "n".parse().unwrap(),
        room: "kitchen".parse().unwrap(),
        peer: peer.parse().unwrap(),
        allocations: 1,
        sent_bytes,
        received_bytes: 0,
        facts: RelayFacts::default(),
    }
}

fn check_refused(effects: &[Done], to: SessionId, code: ErrorCode, kind: &str) {
    let [Done::Said { to: told, message: ServerMessage::Error { code: said, refused, .. } }] = effects else {
        panic!("{effects:?}");
    };
    assert_eq!((told.as_slice(), *said, refused.as_deref()), (&[to][..], code, Some(kind)));
}
