//! A room whose former owner died: this owner has its record alone, and the nodes that have sockets in it say who is there.
//!
//! While that goes on nothing happens in the room: what members say waits. Then everybody is told how the room stands.

use std::time::Duration;

use causeway_protocol::message::{ClientMessage, Greeting, Pass};
use causeway_protocol::record::{HeldMessage, RollCallState, WaitingState};
use causeway_protocol::{CloseCode, ErrorCode, Moment, PeerId};

use crate::effect::Effect;
use crate::input::{Announce, Join, SessionId};
use crate::members::Member;
use crate::room::{Room, Turn};

/// What waits for the end of a roll call at most: messages and joins, and bytes of messages. A guess: two seconds of a busy
/// room.
const MAX_HELD: usize = 1024;
const MAX_HELD_BYTES: usize = 1024 * 1024;

/// Stands for the connection of a member that is away: what is for it alone, such as a refusal, reaches nobody.
const NOBODY: SessionId = SessionId(u64::MAX);

#[derive(Debug)]
pub(crate) struct RollCall {
    until: Moment,
    held: Vec<Held>,
    bytes: usize,
}

#[derive(Debug)]
enum Held {
    Join(Join),
    Message(PeerId, ClientMessage),
}

impl RollCall {
    pub(crate) const fn new(until: Moment) -> Self {
        Self { until, held: Vec::new(), bytes: 0 }
    }

    /// What waits for its end, for the next owner: those who want in, and what was said.
    pub(crate) fn state(&self, now: Moment) -> (Vec<WaitingState>, RollCallState) {
        let (mut joins, mut messages) = (Vec::new(), Vec::new());
        for held in &self.held {
            match held {
                Held::Join(join) => joins.push(WaitingState { held: true, ..join.into() }),
                Held::Message(from, message) => {
                    let (from, message) = (from.clone(), message.clone());
                    messages.push(HeldMessage { after: joins.len(), from, message });
                }
            }
        }
        let left_ms = u64::try_from(self.until.since(now).as_millis()).unwrap_or(u64::MAX);
        (joins, RollCallState { left_ms, messages })
    }

    /// Goes on with a roll call that another owner began.
    pub(crate) fn restored(state: RollCallState, joins: Vec<Join>, now: Moment) -> Self {
        let (mut joined, mut joins) = (0, joins.into_iter());
        let mut held = Vec::new();
        for HeldMessage { after, from, message } in state.messages {
            let before = joins.by_ref().take(after.saturating_sub(joined));
            held.extend(before.map(Held::Join));
            joined = joined.max(after);
            held.push(Held::Message(from, message));
        }
        held.extend(joins.map(Held::Join));
        Self { until: now.plus(Duration::from_millis(state.left_ms)), held, bytes: 0 }
    }

    pub(crate) const fn ends(&self) -> Moment {
        self.until
    }

    /// Somebody who waits to come in has gone.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.held.retain(|held| !matches!(held, Held::Join(join) if join.session == session));
    }

    /// Those who wait to come in.
    pub(crate) fn into_joins(self) -> impl Iterator<Item = Join> {
        self.held.into_iter().filter_map(|held| match held {
            Held::Join(join) => Some(join),
            Held::Message(..) => None,
        })
    }
}

impl Room {
    /// How long nodes have to announce their sockets. A guess: their letters take milliseconds, and they hear of the new owner
    /// within the second in which they watch leases.
    pub const ROLL_CALL: Duration = Duration::from_secs(2);

    pub(crate) fn on_announce(&mut self, announce: Announce, turn: &mut Turn) {
        let Announce { session, pass, position, received } = announce;
        if self.ended {
            return turn.close(session, CloseCode::RoomNotFound);
        }
        let barred = self.barred(&pass.peer, &pass.token).or_else(|| self.barred(&pass.peer, &pass.series));
        if let Some(why) = barred {
            return turn.turn_away(session, why, CloseCode::Kicked);
        }
        if let Some(at) = self.members.iter().position(|member| member.pass.peer == pass.peer) {
            let known = &self.members[at].pass;
            // Two nodes may each think that they have the peer: the later connection has it.
            if (pass.joined, pass.generation) < (known.joined, known.generation) {
                return turn.close(session, CloseCode::ResumedElsewhere);
            }
            let is_same = pass.series == known.series;
            let is_whole = is_same && self.members[at].received == received && self.can_replay(at, position);
            self.members[at].pass = pass;
            self.members[at].received = received;
            self.seat(at, session, turn);
            if self.roll_call.is_some() {
                return;
            }
            if is_whole {
                return self.replay(at, session, position, turn);
            }
            // This number is nobody's event: who comes back with one before it has not heard that something may be lost.
            self.seq += 1;
            self.members[at].missed = self.seq;
            return self.resync(at, session, received, turn);
        }
        let at = self.add_known(session, pass, turn);
        self.members[at].received = received;
        if self.roll_call.is_none() {
            self.resync(at, session, received, turn);
        }
    }

    /// Somebody comes back whom this owner never saw. Soon after the room changed hands its pass is believed: its own node may
    /// have died with the owner.
    pub(crate) fn adopt(&mut self, session: SessionId, pass: Pass, turn: &mut Turn) {
        let in_time = self.adopts_until.is_some_and(|until| turn.now.moment < until);
        if !in_time || !self.has_place() {
            return turn.turn_away(session, ErrorCode::ResumeRefused, CloseCode::ResumeRefused);
        }
        self.make_place(turn);
        let shown = pass.generation;
        let at = self.add_known(session, pass, turn);
        self.members[at].confirmed = shown;
        self.members[at].pass.counted_from = shown + 1;
        if self.roll_call.is_none() {
            self.greet_uncounted(at, session, turn);
        }
    }

    fn add_known(&mut self, session: SessionId, pass: Pass, turn: &mut Turn) -> usize {
        // When its join token expires is not known; it does not live longer than the room.
        let token_expires = self.ends.unix;
        self.add(session, pass, token_expires, turn)
    }

    /// Says how the room stands to somebody who may be in the middle of a sentence: the resume token is the one that it has,
    /// since what it says next does not show that it has read this.
    fn resync(&mut self, at: usize, to: SessionId, received: u64, turn: &mut Turn) {
        let snapshot = Box::new(self.snapshot_for(at));
        self.members[at].pass.epoch = self.epoch;
        let pass = self.members[at].pass.clone();
        let greeting = Greeting::Resync { received: Some(received), snapshot };
        turn.push(Effect::Greet { to, pass, greeting });
    }

    pub(crate) fn hold_join(&mut self, join: Join, turn: &mut Turn) {
        let session = join.session;
        match &mut self.roll_call {
            Some(roll) if roll.held.len() < MAX_HELD => roll.held.push(Held::Join(join)),
            Some(_) | None => turn.turn_away(session, ErrorCode::Unavailable, CloseCode::Internal),
        }
    }

    pub(crate) fn hold_message(
        &mut self,
        at: usize,
        session: SessionId,
        message: ClientMessage,
        turn: &mut Turn,
    ) {
        // What waits here is the room's to keep: it is counted, and happens also if the connection breaks meanwhile.
        self.count(at, message.counts());
        let Some(roll) = &mut self.roll_call else { return };
        let bytes = weight(&message);
        if roll.held.len() >= MAX_HELD || roll.bytes + bytes > MAX_HELD_BYTES {
            return turn.refuse(session, ErrorCode::Unavailable, message.kind());
        }
        roll.bytes += bytes;
        roll.held.push(Held::Message(self.members[at].pass.peer.clone(), message));
    }

    /// Everybody is told how the room stands, and what waited happens.
    pub(crate) fn finish_roll_call(&mut self, turn: &mut Turn) {
        let Some(RollCall { held, .. }) = self.roll_call.take() else { return };
        self.members.sort_by_key(|member| member.pass.joined);
        for at in 0..self.members.len() {
            self.members[at].missed = self.seq;
            let Some(session) = self.members[at].session() else { continue };
            let Member { pass, received, confirmed, .. } = &self.members[at];
            // An announced socket reads what it was greeted with before this. Somebody who came with a token has read what came with that.
            let came_with_token = *confirmed != 0;
            if came_with_token && *confirmed < pass.counted_from {
                self.greet_uncounted(at, session, turn);
            } else {
                self.resync(at, session, *received, turn);
            }
        }
        for held in held {
            match held {
                Held::Join(join) => self.on_join(join, turn),
                Held::Message(peer, message) => {
                    let at = self.members.iter().position(|member| member.pass.peer == peer);
                    if let Some(at) = at {
                        let session = self.members[at].session().unwrap_or(NOBODY);
                        self.take_message(at, session, message, turn);
                    }
                }
            }
        }
    }
}

/// What a message that waits takes, roughly.
fn weight(message: &ClientMessage) -> usize {
    match message {
        ClientMessage::Offer { sdp, .. } | ClientMessage::Answer { sdp, .. } => sdp.len(),
        ClientMessage::Candidate { candidate, .. } => candidate.candidate.len(),
        ClientMessage::App { data, .. } => data.to_string().len(),
        ClientMessage::SetState { value, .. } => value.as_ref().map_or(0, |value| value.to_string().len()),
        ClientMessage::Hello { token, .. }
        | ClientMessage::Resume { token, .. }
        | ClientMessage::ClaimHost { token } => token.len(),
        ClientMessage::Kick { .. }
        | ClientMessage::EndOfCandidates { .. }
        | ClientMessage::Admit { .. }
        | ClientMessage::Deny { .. }
        | ClientMessage::Lock { .. }
        | ClientMessage::RefreshIce {}
        | ClientMessage::Ping { .. }
        | ClientMessage::Leave {} => 0,
    }
}
