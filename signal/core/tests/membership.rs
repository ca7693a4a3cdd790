//! Whatever happens, everybody in the room knows exactly who is in it.
//!
//! A naive model (a list of who is in) runs beside the room; every member's view is built only from the messages
//! that it was sent.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_protocol::message::{ClientMessage, PeerInfo, Politeness, ServerMessage};
use causeway_protocol::{CloseCode, Moment, Now, PeerId, UnixSeconds};
use causeway_signal_core::{Ending, Gone, Input, Join, ResumeLimits, Room, RoomSettings, SessionId};
use common::{Done, done, guest, settings};
use proptest::prelude::*;

const CAPACITY: u16 = 4;

/// One thing that happens; peers are numbers, sessions are picked from those that ever were.
#[derive(Clone, Copy, Debug)]
enum Step {
    Join { peer: u8 },
    Leave { pick: usize },
    Gone { pick: usize, why: Gone },
    Stalled { pick: usize },
    Offer { pick: usize, to: u8 },
    AppToAll { pick: usize },
    Tick,
    End,
}

fn step() -> impl Strategy<Value = Step> {
    let why =
        prop_oneof![Just(Gone::Disconnected), Just(Gone::TimedOut), Just(Gone::Stalled), Just(Gone::Refused)];
    prop_oneof![
        8 => (0..6_u8).prop_map(|peer| Step::Join { peer }),
        2 => (0..64_usize).prop_map(|pick| Step::Leave { pick }),
        3 => (0..64_usize, why).prop_map(|(pick, why)| Step::Gone { pick, why }),
        1 => (0..64_usize).prop_map(|pick| Step::Stalled { pick }),
        6 => (0..64_usize, 0..6_u8).prop_map(|(pick, to)| Step::Offer { pick, to }),
        3 => (0..64_usize).prop_map(|pick| Step::AppToAll { pick }),
        1 => Just(Step::Tick),
        1 => prop_oneof![30 => Just(Step::Tick), 1 => Just(Step::End)],
    ]
}

proptest! {
    #[test]
    fn every_members_view_is_the_rooms_membership(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        for step in steps {
            world.take(step);
            world.check();
        }
    }
}

#[test]
fn two_peers_that_come_and_go_a_thousand_times_still_agree() {
    let mut world = World::new();
    for round in 0..1000_usize {
        world.take(Step::Join { peer: 0 });
        world.take(Step::Join { peer: 1 });
        world.take(Step::Gone { pick: 2 * round, why: Gone::Disconnected });
        world.check();
    }
}

/// What one connection was told.
#[derive(Debug, Default)]
struct View {
    welcomed: bool,
    seq: u64,
    others: BTreeMap<PeerId, Politeness>,
    closed: Option<CloseCode>,
}

impl View {
    fn take(&mut self, seq: u64) {
        assert!(seq > self.seq, "{seq} after {}", self.seq);
        self.seq = seq;
    }
}

struct World {
    room: Room,
    now: Now,
    /// All sessions that ever were, and the peer of each.
    sessions: Vec<PeerId>,
    /// The model: who is in, in order.
    inside: Vec<usize>,
    over: bool,
    views: Vec<View>,
}

impl World {
    fn new() -> Self {
        let now = Now { moment: Moment::default(), unix: UnixSeconds(1_800_000_000) };
        // Nobody is waited for: `resume.rs` is about that.
        let resume = ResumeLimits { grace: Duration::ZERO, ..ResumeLimits::default() };
        let settings = RoomSettings { capacity: CAPACITY, resume, ..settings() };
        Self {
            room: Room::new(settings, now),
            now,
            sessions: Vec::new(),
            inside: Vec::new(),
            over: false,
            views: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) {
        self.now = self.now.plus(Duration::from_millis(300));
        let Some(input) = self.foretell(step) else { return };
        for effect in done(self.room.apply(input, self.now)) {
            self.perform(effect);
        }
    }

    /// Moves the model, and says what the room is told.
    fn foretell(&mut self, step: Step) -> Option<Input> {
        let session =
            |pick: usize, sessions: &[PeerId]| (!sessions.is_empty()).then(|| pick % sessions.len());
        Some(match step {
            Step::Join { peer } => {
                let peer = peer_id(peer);
                self.sessions.push(peer.clone());
                self.views.push(View::default());
                let at = self.sessions.len() - 1;
                if !self.over {
                    let displaced = self.inside.iter().position(|&other| self.sessions[other] == peer);
                    if let Some(displaced) = displaced {
                        self.inside.remove(displaced);
                    }
                    if self.inside.len() < usize::from(CAPACITY) {
                        self.inside.push(at);
                    }
                }
                let series = format!("s{at}").parse().unwrap();
                Input::Join(Join { session: id(at), claims: guest(&peer), series })
            }
            Step::Leave { pick } => {
                let at = session(pick, &self.sessions)?;
                self.inside.retain(|&other| other != at);
                Input::Message { session: id(at), message: ClientMessage::Leave {} }
            }
            Step::Gone { pick, why } => {
                let at = session(pick, &self.sessions)?;
                self.inside.retain(|&other| other != at);
                Input::Gone { session: id(at), why }
            }
            Step::Stalled { pick } => {
                let at = session(pick, &self.sessions)?;
                self.inside.retain(|&other| other != at);
                Input::Stalled { session: id(at) }
            }
            Step::Offer { pick, to } => {
                let message = ClientMessage::Offer { to: peer_id(to), sdp: "v=0".to_owned() };
                Input::Message { session: id(session(pick, &self.sessions)?), message }
            }
            Step::AppToAll { pick } => {
                let message = ClientMessage::App { to: None, data: serde_json::Value::Null };
                Input::Message { session: id(session(pick, &self.sessions)?), message }
            }
            Step::Tick => Input::Tick,
            Step::End => {
                self.over = true;
                self.inside.clear();
                Input::End(Ending::Closed)
            }
        })
    }

    fn perform(&mut self, effect: Done) {
        match effect {
            Done::Said { to, message } => {
                assert!(!to.is_empty(), "{message:?} for nobody");
                for session in to {
                    self.hear(at(session), message.clone());
                }
            }
            Done::Closed { session, code } => {
                let view = &mut self.views[at(session)];
                assert_eq!(view.closed, None, "closed twice");
                view.closed = Some(code);
            }
            Done::Granted { .. }
            | Done::Asked { .. }
            | Done::Revoked { .. }
            | Done::Saved
            | Done::Ended(_) => {}
        }
    }

    fn hear(&mut self, at: usize, message: ServerMessage) {
        let view = &mut self.views[at];
        assert_eq!(view.closed, None, "{message:?} after the close");
        assert!(
            view.welcomed || matches!(message, ServerMessage::Welcome { .. }),
            "{message:?} before welcome"
        );
        match message {
            ServerMessage::Welcome { snapshot, .. } => {
                assert!(!view.welcomed, "welcomed twice");
                assert_eq!(snapshot.peer, self.sessions[at]);
                view.welcomed = true;
                view.seq = snapshot.seq;
                let others = snapshot.peers.into_iter();
                view.others = others.map(|PeerInfo { id, you_are, .. }| (id, you_are)).collect();
            }
            ServerMessage::PeerJoined { seq, peer } => {
                view.take(seq);
                assert_eq!(view.others.insert(peer.id, peer.you_are), None, "joined twice");
            }
            ServerMessage::PeerLeft { seq, peer, .. } => {
                view.take(seq);
                assert!(view.others.remove(&peer).is_some(), "{peer} left without having joined");
            }
            ServerMessage::Offer { seq, from, .. } | ServerMessage::App { seq, from, .. } => {
                view.take(seq);
                assert!(view.others.contains_key(&from), "a signal from {from}, who is not there");
            }
            ServerMessage::Error { .. } => {}
            other => panic!("{other:?} was not asked for"),
        }
    }

    fn check(&self) {
        let inside: Vec<&PeerId> = self.inside.iter().map(|&at| &self.sessions[at]).collect();
        assert_eq!(usize::from(self.room.peers()), inside.len());
        for &member in &self.inside {
            let view = &self.views[member];
            assert!(view.welcomed && view.closed.is_none());
            let mut expected: Vec<_> =
                inside.iter().copied().filter(|peer| **peer != self.sessions[member]).collect();
            expected.sort();
            assert_eq!(view.others.keys().collect::<Vec<_>>(), expected);
            for &other in &self.inside {
                if other != member {
                    let here = view.others[&self.sessions[other]];
                    let there = self.views[other].others[&self.sessions[member]];
                    assert_ne!(here, there, "exactly one of a pair is polite");
                }
            }
        }
    }
}

fn peer_id(n: u8) -> PeerId {
    format!("peer{n}").parse().unwrap()
}

fn id(at: usize) -> SessionId {
    SessionId(u64::try_from(at).unwrap())
}

fn at(session: SessionId) -> usize {
    usize::try_from(session.0).unwrap()
}
