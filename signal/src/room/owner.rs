//! The role of the node that owns a room: it numbers the events, and sends each to the sockets here and once to every other node
//! that has some.

use bytestring::ByteString;
use causeway_protocol::message::{Greeting, Pass, ServerMessage};
use causeway_protocol::node::Say;
use causeway_protocol::{CloseCode, Epoch, ErrorCode, NodeId, Now};
use causeway_signal_core::{Effect, Ending, Gone, Input, Room, SessionId};

use super::desk::Desk;
use super::far::{Far, FarSocket};
use super::seats::Seats;
use crate::kept::Kept;
use crate::metrics;
use crate::password::PasswordHash;
use crate::text;

/// A room that is ours.
pub(crate) struct Owner {
    pub(crate) room: Room,
    pub(crate) epoch: Epoch,
    pub(crate) password: Option<PasswordHash>,
    pub(crate) far: Far,
    /// What the room keeps for those who come back, as the process counts it.
    kept: Kept,
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

/// What an input touches beside the room.
pub(crate) struct Around<'a> {
    pub(crate) seats: &'a mut Seats,
    pub(crate) desk: &'a Desk,
    pub(crate) now: Now,
}

impl Owner {
    pub(crate) fn new(room: Room, epoch: Epoch, password: Option<PasswordHash>) -> Self {
        Self { room, epoch, password, far: Far::default(), kept: Kept::default() }
    }

    /// One input and everything that follows from it. Says how the room ended, if it did.
    pub(crate) fn take(&mut self, input: Input, around: &mut Around<'_>) -> Option<Ending> {
        let mut follows = Follows::default();
        let mut ended = self.perform(input, around, &mut follows);
        while let Some(input) = follows.next() {
            ended = ended.or(self.perform(input, around, &mut follows));
        }
        if around.desk.signal.kept.is_over_budget(&mut self.kept, self.room.kept_bytes()) {
            self.room.apply(Input::Trim, around.now);
            around.desk.signal.kept.is_over_budget(&mut self.kept, self.room.kept_bytes());
        }
        ended
    }

    fn perform(&mut self, input: Input, around: &mut Around<'_>, follows: &mut Follows) -> Option<Ending> {
        let stalled = &mut follows.stalled;
        let mut ended = None;
        for effect in self.room.apply(input, around.now) {
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
                Effect::Revoke { peer } => around.desk.revoke(peer, self.room.expires_at(), around.now),
                Effect::Save => around.desk.save(&self.record(), self.epoch),
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
        if let Some(FarSocket { node, session }) = self.far.vacate(session) {
            around.desk.post(&node, self.epoch, Say::Close { session, code: code.number() });
        } else {
            around.seats.close(session, code);
        }
    }

    /// A node is gone, and with it all of its sockets.
    pub(crate) fn lose_node(&mut self, node: &NodeId, around: &mut Around<'_>) -> Option<Ending> {
        let mut ended = None;
        for session in self.far.of_node(node) {
            ended = ended.or(self.take(Input::Gone { session, why: Gone::Disconnected }, around));
            self.far.vacate(session);
        }
        self.far.part(node);
        ended
    }
}
