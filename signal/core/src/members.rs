//! Who is in the room: members come, lose their connection, come back, and go.

use causeway_protocol::ids::TokenId;
use causeway_protocol::message::{
    Greeting, Knocker, LeaveReason, Pass, PeerInfo, Politeness, Position, ServerMessage, Snapshot,
};
use causeway_protocol::record::EventAudience as Audience;
use causeway_protocol::token::{JoinClaims, RoomRole};
use causeway_protocol::{CloseCode, ErrorCode, Moment, PeerId, UnixSeconds};

use crate::effect::Effect;
use crate::input::{Gone, Join, Resume, SessionId};
use crate::room::{Room, Turn};

/// A member of a room.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) presence: Presence,
    /// With the number of the latest resume token.
    pub(crate) pass: Pass,
    /// The oldest resume token that is still good: the client has shown that it has this one.
    pub(crate) confirmed: u64,
    /// When the join token of the stay expires.
    pub(crate) token_expires: UnixSeconds,
    /// How many of its messages the room has taken.
    pub(crate) received: u64,
    /// The highest number of an event for it that is not kept any more.
    pub(crate) missed: u64,
    /// From when on `refresh-ice` is granted again.
    pub(crate) next_refresh: Moment,
}

/// Where a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// At the other end of this connection.
    Here(SessionId),
    /// Its connection broke, and the others have not been told.
    Away {
        /// How long it is waited for.
        until: Moment,
        /// What the others will be told then.
        why: LeaveReason,
    },
}

impl Member {
    pub(crate) const fn session(&self) -> Option<SessionId> {
        match self.presence {
            Presence::Here(session) => Some(session),
            Presence::Away { .. } => None,
        }
    }

    const fn waited_for_until(&self) -> Option<Moment> {
        match self.presence {
            Presence::Here(_) => None,
            Presence::Away { until, .. } => Some(until),
        }
    }

    fn seen_by(&self, you_are: Politeness) -> PeerInfo {
        let Pass { peer, name, role, .. } = &self.pass;
        PeerInfo { id: peer.clone(), name: name.clone(), role: *role, you_are }
    }
}

impl Room {
    pub(crate) fn on_join(&mut self, join: Join, turn: &mut Turn) {
        let session = join.session;
        if self.ended {
            return turn.close(session, CloseCode::RoomNotFound);
        }
        if self.roll_call.is_some() {
            return self.hold_join(join, turn);
        }
        let JoinClaims { sub: peer, jti: token, role, .. } = &join.claims;
        if let Some(why) = self.barred(peer, token) {
            return turn.turn_away(session, why, CloseCode::Kicked);
        }
        let is_inside = self.members.iter().any(|member| member.pass.peer == *peer);
        if is_inside || *role == RoomRole::Host {
            return if is_inside || self.has_place() {
                self.enter(join, turn);
            } else {
                turn.close(session, CloseCode::RoomFull);
            };
        }
        if self.locked {
            turn.turn_away(session, ErrorCode::RoomLocked, CloseCode::RoomLocked);
        } else if !self.has_place() {
            turn.close(session, CloseCode::RoomFull);
        } else if self.door.lobby {
            self.on_knock(join, turn);
        } else {
            self.enter(join, turn);
        }
    }

    /// Makes a member of somebody for whom there is a place. A member of the same name has connected anew and gives way.
    pub(crate) fn enter(&mut self, join: Join, turn: &mut Turn) {
        let Join { session, claims, series } = join;
        let JoinClaims { sub: peer, name, role, grants, jti: token, exp, aud: _, room: _ } = claims;
        if let Some(at) = self.members.iter().position(|member| member.pass.peer == peer) {
            let older = self.members[at].session();
            self.remove(at, LeaveReason::Displaced, turn);
            if let Some(older) = older {
                turn.close(older, CloseCode::Displaced);
            }
        }
        self.make_place(turn);
        let joined = Position { epoch: self.epoch, seq: self.seq + 1 };
        let epoch = self.epoch;
        let pass =
            Pass { peer, name, role, grants, token, series, generation: 0, counted_from: 0, joined, epoch };
        let at = self.add(session, pass, exp, turn);
        let snapshot = Box::new(self.snapshot_for(at));
        self.greet(at, session, Greeting::Welcome { snapshot }, turn);
    }

    /// Who is there hears of the newcomer before any signal from it can arrive, and never gives way to it.
    pub(crate) fn add(
        &mut self,
        session: SessionId,
        pass: Pass,
        token_expires: UnixSeconds,
        turn: &mut Turn,
    ) -> usize {
        let newcomer = Member {
            presence: Presence::Here(session),
            // Nobody has shown yet which token it has: the latest greeting may not have arrived.
            confirmed: 0,
            pass,
            token_expires,
            received: 0,
            missed: 0,
            next_refresh: turn.now.moment,
        };
        let (id, peer) = (newcomer.pass.peer.clone(), newcomer.seen_by(Politeness::Impolite));
        self.members.push(newcomer);
        self.tell(Audience::AllBut(id), |seq| ServerMessage::PeerJoined { seq, peer }, turn);
        let at = self.members.len() - 1;
        // What was before is not for it, whatever position it names.
        self.members[at].missed = self.seq;
        at
    }

    pub(crate) fn on_resume(&mut self, resume: Resume, turn: &mut Turn) {
        let Resume { session, pass, position } = resume;
        if self.ended {
            return turn.close(session, CloseCode::RoomNotFound);
        }
        let barred = self.barred(&pass.peer, &pass.token).or_else(|| self.barred(&pass.peer, &pass.series));
        if let Some(why) = barred {
            return turn.turn_away(session, why, CloseCode::Kicked);
        }
        let Some(at) = self.members.iter().position(|member| member.pass.peer == pass.peer) else {
            return self.adopt(session, pass, turn);
        };
        let member = &mut self.members[at];
        if member.pass.series != pass.series || pass.generation < member.confirmed {
            return turn.turn_away(session, ErrorCode::ResumeRefused, CloseCode::ResumeRefused);
        }
        member.confirmed = pass.generation;
        self.seat(at, session, turn);
        if self.roll_call.is_some() {
            return;
        }
        let Some(received) = self.counted(at) else { return self.greet_uncounted(at, session, turn) };
        if !self.can_replay(at, position) {
            let snapshot = Box::new(self.snapshot_for(at));
            return self.greet(at, session, Greeting::Resync { received: Some(received), snapshot }, turn);
        }
        self.greet(at, session, Greeting::Resumed { epoch: self.epoch, seq: self.seq, received }, turn);
        self.replay(at, session, position, turn);
    }

    /// Puts a member on a connection. One that it may still have, half open, gives way.
    pub(crate) fn seat(&mut self, at: usize, session: SessionId, turn: &mut Turn) {
        let older = self.members[at].session().filter(|older| *older != session);
        self.members[at].presence = Presence::Here(session);
        if let Some(older) = older {
            turn.close(older, CloseCode::ResumedElsewhere);
        }
    }

    /// Whether everything for this member behind the position is still kept.
    pub(crate) fn can_replay(&self, at: usize, position: Position) -> bool {
        // A position of another numbering says nothing about this one.
        let is_ours = self.lineage.contains(&position.epoch);
        is_ours && (self.members[at].missed..=self.seq).contains(&position.seq)
    }

    /// How many of a member's messages the room has taken, if the member knows since when that is counted.
    pub(crate) fn counted(&self, at: usize) -> Option<u64> {
        let member = &self.members[at];
        (member.confirmed >= member.pass.counted_from).then_some(member.received)
    }

    /// Nobody knows how much of what it said was taken: the count begins anew, with the token that comes with this.
    pub(crate) fn greet_uncounted(&mut self, at: usize, session: SessionId, turn: &mut Turn) {
        let member = &mut self.members[at];
        (member.received, member.pass.counted_from) = (0, member.pass.generation + 1);
        let snapshot = Box::new(self.snapshot_for(at));
        self.greet(at, session, Greeting::Resync { received: None, snapshot }, turn);
    }

    /// Sends what a member has missed.
    pub(crate) fn replay(&self, at: usize, session: SessionId, position: Position, turn: &mut Turn) {
        for event in self.ring.after(position.seq, &self.members[at].pass.peer) {
            turn.push(Effect::Event { to: vec![session], event: event.clone() });
        }
    }

    /// Greets with a resume token that has not been given out before.
    pub(crate) fn greet(&mut self, at: usize, to: SessionId, greeting: Greeting, turn: &mut Turn) {
        let pass = &mut self.members[at].pass;
        pass.generation += 1;
        pass.epoch = self.epoch;
        turn.push(Effect::Greet { to, pass: pass.clone(), greeting });
    }

    /// How the room stands for this member.
    pub(crate) fn snapshot_for(&self, at: usize) -> Snapshot {
        let you = &self.members[at];
        let others = self.members.iter().enumerate().filter(|(other, _)| *other != at);
        let seen = |(other, member): (usize, &Member)| {
            member.seen_by(if other < at { Politeness::Polite } else { Politeness::Impolite })
        };
        Snapshot {
            room: self.id.clone(),
            peer: you.pass.peer.clone(),
            role: you.pass.role,
            epoch: self.epoch,
            seq: self.seq,
            peers: others.map(seen).collect(),
            state: self.state.entries(),
            locked: self.locked,
            lobby: self.door.lobby,
            waiting: match you.pass.role {
                RoomRole::Host => self.waiting.iter().map(knocker).collect(),
                RoomRole::Guest => Vec::new(),
            },
            expires_at: self.ends.unix,
        }
    }

    pub(crate) fn on_gone(&mut self, session: SessionId, why: Gone, turn: &mut Turn) {
        if let Some(roll) = &mut self.roll_call {
            roll.forget(session);
        }
        if let Some(at) = self.waiting.iter().position(|join| join.session == session) {
            self.forget_knock(at, turn);
        }
        let Some(at) = self.position(session) else { return };
        match why {
            Gone::Closed => self.remove(at, LeaveReason::Disconnected, turn),
            Gone::Refused => self.remove(at, LeaveReason::Refused, turn),
            Gone::Disconnected => self.wait_for(at, LeaveReason::Disconnected, turn),
            Gone::TimedOut => self.wait_for(at, LeaveReason::TimedOut, turn),
            Gone::Stalled => self.wait_for(at, LeaveReason::Stalled, turn),
        }
    }

    /// The connection is closed; what did not fit is kept for the next one.
    pub(crate) fn on_stalled(&mut self, session: SessionId, turn: &mut Turn) {
        let is_known = self.position(session).is_some();
        if is_known || self.waiting.iter().any(|join| join.session == session) {
            self.on_gone(session, Gone::Stalled, turn);
            turn.close(session, CloseCode::Stalled);
        }
    }

    fn wait_for(&mut self, at: usize, why: LeaveReason, turn: &mut Turn) {
        if self.resume.grace.is_zero() {
            return self.remove(at, why, turn);
        }
        let until = turn.now.moment.plus(self.resume.grace);
        self.members[at].presence = Presence::Away { until, why };
    }

    /// Removes those who did not come back in time.
    pub(crate) fn lose_patience(&mut self, turn: &mut Turn) {
        let now = turn.now.moment;
        let is_over = |member: &Member| match member.presence {
            Presence::Away { until, why } if until <= now => Some(why),
            Presence::Away { .. } | Presence::Here(_) => None,
        };
        while let Some((at, why)) =
            self.members.iter().enumerate().find_map(|(at, member)| is_over(member).map(|why| (at, why)))
        {
            self.remove(at, why, turn);
        }
    }

    /// When the next member is given up.
    pub(crate) fn next_patience(&self) -> Option<Moment> {
        self.members.iter().filter_map(Member::waited_for_until).min()
    }

    /// Whether a newcomer finds a place, if need be that of somebody who is away.
    pub(crate) fn has_place(&self) -> bool {
        let here = self.members.iter().filter(|member| member.session().is_some()).count();
        here < usize::from(self.capacity)
    }

    /// Who is there counts for more than who is away: in a full room the one who has been away longest gives way.
    pub(crate) fn make_place(&mut self, turn: &mut Turn) {
        if self.members.len() < usize::from(self.capacity) {
            return;
        }
        let away = self.members.iter().enumerate();
        let away = away.filter_map(|(at, member)| member.waited_for_until().map(|until| (until, at)));
        if let Some((_, at)) = away.min() {
            self.remove(at, LeaveReason::Disconnected, turn);
        }
    }

    pub(crate) fn remove(&mut self, at: usize, reason: LeaveReason, turn: &mut Turn) {
        let peer = self.members.remove(at).pass.peer;
        self.usage.forget(&peer);
        self.tell(Audience::All, |seq| ServerMessage::PeerLeft { seq, peer, reason }, turn);
        if self.members.is_empty() {
            // There is nobody for whom anything was kept.
            self.ring.clear(|_| {});
        }
    }

    /// Why this peer, or this token of its, does not get in.
    pub(crate) fn barred(&self, peer: &PeerId, token: &TokenId) -> Option<ErrorCode> {
        if self.bans.iter().any(|ban| ban.peer == *peer) {
            return Some(ErrorCode::Banned);
        }
        self.revoked.contains(token).then_some(ErrorCode::Kicked)
    }
}

/// Somebody in the lobby, as hosts see it.
pub(crate) fn knocker(join: &Join) -> Knocker {
    Knocker { id: join.claims.sub.clone(), name: join.claims.name.clone() }
}
