//! The role of the node that owns a room: it numbers the events, and sends each to the sockets here and once to every other node
//! that has some.

use std::collections::{BTreeSet, VecDeque};

use bytestring::ByteString;
use causeway_protocol::message::{Greeting, Pass, ServerMessage};
use causeway_protocol::node::Say;
use causeway_protocol::{CloseCode, Epoch, ErrorCode, NodeId, Now};
use causeway_signal_core::{Effect, Ending, Gone, Input, Room, SessionId};

use tokio::sync::oneshot;

use super::desk::Desk;
use super::far::{Far, FarSocket};
use super::letters::Mail;
use super::seats::Seats;
use crate::kept::Kept;
use crate::metrics;
use crate::text;

/// A room that is ours.
pub(crate) struct Owner {
    pub(crate) room: Room,
    pub(crate) epoch: Epoch,
    pub(crate) far: Far,
    /// What the room keeps for those who come back, as the process counts it.
    kept: Kept,
    /// What waits until this node knows that the room is still its own.
    held: VecDeque<Held>,
    /// Whom a hand-over waits for, and who waits for it.
    pub(crate) leaving: Option<Leaving>,
}

/// What one input made necessary to tell the room.
#[derive(Default)]
struct Follows {
    stalled: Vec<SessionId>,
    verified: Vec<(SessionId, Result<(), ErrorCode>)>,
}

impl Follows {
    fn next(&mut self) -> Option<Input> {
        if let Some((session, verdict)) = self.verified.pop() {
            return Some(Input::HostVerified { session, verdict });
        }
        self.stalled.pop().map(|session| Input::Stalled { session })
    }
}

/// An input that waits.
pub(crate) enum Held {
    /// A socket of this node said something.
    Here(Say),
    /// Another node did.
    There(Mail),
}

/// A hand-over that has begun.
pub(crate) struct Leaving {
    /// Nodes that have not yet said that they pause.
    waiting: BTreeSet<NodeId>,
    /// Closes when all have.
    _all: oneshot::Sender<()>,
}

/// Inputs that are held at most. Beyond it sockets are told, and other nodes compare what they know.
const MOST_HELD: usize = 1024;

/// What an input touches beside the room.
pub(crate) struct Around<'a> {
    pub(crate) seats: &'a mut Seats,
    pub(crate) desk: &'a Desk,
    pub(crate) now: Now,
}

impl Owner {
    pub(crate) fn new(room: Room, epoch: Epoch) -> Self {
        let (far, kept, held) = (Far::default(), Kept::default(), VecDeque::new());
        Self { room, epoch, far, kept, held, leaving: None }
    }

    /// One input and everything that follows from it. Says how the room ended, if it did.
    pub(crate) fn take(&mut self, input: Input, around: &mut Around<'_>) -> Option<Ending> {
        let effects = self.room.apply(input, around.now);
        self.perform_all(effects, around)
    }

    /// Does what the room wants done, and what follows from that.
    pub(crate) fn perform_all(&mut self, effects: Vec<Effect>, around: &mut Around<'_>) -> Option<Ending> {
        let mut follows = Follows::default();
        let mut ended = self.perform(effects, around, &mut follows);
        while let Some(input) = follows.next() {
            let effects = self.room.apply(input, around.now);
            ended = ended.or(self.perform(effects, around, &mut follows));
        }
        if around.desk.signal.kept.is_over_budget(&mut self.kept, self.room.kept_bytes()) {
            self.room.apply(Input::Trim, around.now);
            around.desk.signal.kept.is_over_budget(&mut self.kept, self.room.kept_bytes());
        }
        ended
    }

    fn perform(
        &mut self,
        effects: Vec<Effect>,
        around: &mut Around<'_>,
        follows: &mut Follows,
    ) -> Option<Ending> {
        if effects.iter().any(|effect| matches!(effect, Effect::Ended(ending) if ending.revokes())) {
            // Before the first of them hears of it.
            around.desk.signal.rooms.set_over(&around.desk.room);
        }
        let stalled = &mut follows.stalled;
        let mut ended = None;
        for effect in effects {
            match effect {
                Effect::Event { to, event } => self.push(&to, Some(event.seq), &event.text, around, stalled),
                Effect::Send { to, message } => self.send(&to, &message, around, stalled),
                Effect::Greet { to, pass, greeting } => self.greet(to, pass, greeting, around, stalled),
                Effect::GrantIce { to, peer: _ } => self.grant_ice(to, around, stalled),
                Effect::VerifyHost { session, token } => {
                    let verdict = around.desk.verify_host(&token, around.now);
                    follows.verified.push((session, verdict));
                }
                Effect::Close { session, code } => self.close(session, code, around),
                Effect::Revoke { peer } => around.desk.revoke_peer(peer, self.room.expires_at(), around.now),
                Effect::Save => around.desk.save(&self.room.record(around.now), self.epoch),
                Effect::Ended(ending) => ended = Some(ending),
            }
        }
        ended
    }

    fn send(
        &self,
        to: &[SessionId],
        message: &ServerMessage,
        around: &mut Around<'_>,
        stalled: &mut Vec<SessionId>,
    ) {
        if let ServerMessage::Error { code, .. } = message {
            metrics::refused(code.as_str());
        }
        self.push(to, None, &text::of(message), around, stalled);
    }

    fn push(
        &self,
        to: &[SessionId],
        seq: Option<u64>,
        text: &ByteString,
        around: &mut Around<'_>,
        stalled: &mut Vec<SessionId>,
    ) {
        let mut elsewhere = false;
        for session in to {
            match around.seats.push(*session, seq, text.clone()) {
                Some(Ok(())) => {}
                Some(Err(_full)) => stalled.push(*session),
                None => elsewhere = true,
            }
        }
        if elsewhere {
            for (node, to) in self.far.by_node(to) {
                around.desk.post(node, self.epoch, Say::Tell { to, seq, text: text.to_string() });
            }
        }
    }

    fn greet(
        &self,
        to: SessionId,
        pass: Pass,
        greeting: Greeting,
        around: &mut Around<'_>,
        stalled: &mut Vec<SessionId>,
    ) {
        let room_ends = self.room.expires_at();
        if let Some(FarSocket { node, session }) = self.far.of(to) {
            let (pass, greeting) = (Box::new(pass), Box::new(greeting));
            let greet = Say::Greet { to: *session, pass, greeting, room_ends };
            return around.desk.post(node, self.epoch, greet);
        }
        if let Some(Err(_full)) = around.seats.greet(to, pass, greeting, room_ends, around.desk, around.now) {
            stalled.push(to);
        }
    }

    fn grant_ice(&self, to: SessionId, around: &mut Around<'_>, stalled: &mut Vec<SessionId>) {
        let room_ends = self.room.expires_at();
        if let Some(FarSocket { node, session }) = self.far.of(to) {
            return around.desk.post(node, self.epoch, Say::Ice { to: *session, room_ends });
        }
        if let Some(message) = around.seats.fresh_ice(to, room_ends, around.desk, around.now) {
            self.send(&[to], &message, around, stalled);
        }
    }

    fn close(&mut self, session: SessionId, code: CloseCode, around: &mut Around<'_>) {
        if let Some(FarSocket { node, session }) = self.far.close(session) {
            around.desk.post(&node, self.epoch, Say::Close { session, code: code.number() });
        } else {
            around.seats.close(session, code);
        }
    }

    /// The ownership after this one that somebody has heard of, if this shows it.
    pub(crate) fn overtaken_by(&self, say: &Say) -> Option<Epoch> {
        say.shows_epoch().filter(|shown| *shown > self.epoch)
    }

    /// Keeps an input until it is known whose the room is, or gives it back: there is no place.
    pub(crate) fn hold(&mut self, held: Held) -> Option<Held> {
        if self.held.len() >= MOST_HELD {
            return Some(held);
        }
        self.held.push_back(held);
        None
    }

    /// Keeps what the room's next owner is to hear behind everything else from here.
    pub(crate) fn hold_last(&mut self, say: Say) {
        self.held.push_back(Held::Here(say));
    }

    /// Whether something waits, behind which everything else has to wait too.
    pub(crate) fn holds(&self) -> bool {
        !self.held.is_empty()
    }

    pub(crate) fn take_held(&mut self) -> VecDeque<Held> {
        std::mem::take(&mut self.held)
    }

    /// What sockets of this node said, for the room's next owner. Other nodes say it to that one themselves.
    pub(crate) fn held_here(&mut self) -> VecDeque<Say> {
        let here = |held| match held {
            Held::Here(say) => Some(say),
            Held::There(_) => None,
        };
        self.take_held().into_iter().filter_map(here).collect()
    }

    /// Asks all other nodes to hold what their sockets say. What is returned closes when they do.
    pub(crate) fn pause_edges(&mut self, desk: &Desk) -> oneshot::Receiver<()> {
        let (all, paused) = oneshot::channel();
        let waiting: BTreeSet<_> = self.far.edges().cloned().collect();
        for node in &waiting {
            desk.post(node, self.epoch, Say::Pause {});
        }
        self.leaving = (!waiting.is_empty()).then_some(Leaving { waiting, _all: all });
        paused
    }

    /// A node holds what its sockets say.
    pub(crate) fn on_paused(&mut self, node: &NodeId) {
        if let Some(leaving) = &mut self.leaving {
            leaving.waiting.remove(node);
            if leaving.waiting.is_empty() {
                self.leaving = None;
            }
        }
    }

    /// A node is gone, and with it all of its sockets.
    pub(crate) fn lose_node(&mut self, node: &NodeId, around: &mut Around<'_>) -> Option<Ending> {
        self.far.part(node);
        self.on_paused(node);
        self.lose_sockets(node, around)
    }

    /// All sockets of a node are gone, until it says otherwise.
    pub(crate) fn lose_sockets(&mut self, node: &NodeId, around: &mut Around<'_>) -> Option<Ending> {
        let mut ended = None;
        for session in self.far.of_node(node) {
            ended = ended.or(self.take(Input::Gone { session, why: Gone::Disconnected }, around));
            self.far.vacate(session);
        }
        ended
    }
}
