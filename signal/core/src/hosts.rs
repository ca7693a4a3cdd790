//! What hosts decide: who comes in from the lobby, who has to go, whether the room is closed; and who is a host.

use causeway_protocol::message::{ClientMessage, LeaveReason, MAX_REASON_LEN, ServerMessage};
use causeway_protocol::record::{Ban, EventAudience as Audience};
use causeway_protocol::token::{Grant, RoomRole};
use causeway_protocol::{CloseCode, ErrorCode, PeerId};

use crate::effect::Effect;
use crate::input::{Dismissal, Join, SessionId};
use crate::members::knocker;
use crate::room::{Room, Turn};

/// Who may wait in a lobby at a time. A guess: a full room of the largest kind.
pub const MAX_WAITING: usize = 64;

/// Bans of one room. A guess far above any real room; a host who needs more locks it.
pub const MAX_BANS: usize = 1000;

impl Room {
    /// Somebody has to wait, also if nobody is there to let it in.
    pub(crate) fn on_knock(&mut self, join: Join, turn: &mut Turn) {
        if let Some(at) = self.waiting.iter().position(|other| other.claims.sub == join.claims.sub) {
            let older = self.waiting[at].session;
            self.forget_knock(at, turn);
            turn.close(older, CloseCode::Displaced);
        }
        if self.waiting.len() >= MAX_WAITING {
            return turn.close(join.session, CloseCode::RoomFull);
        }
        turn.send(join.session, ServerMessage::Waiting {});
        let peer = knocker(&join);
        self.waiting.push(join);
        self.tell_hosts(|seq| ServerMessage::Knock { seq, peer }, turn);
    }

    /// Who waits may show life, and go.
    pub(crate) fn on_word_from_lobby(
        &mut self,
        session: SessionId,
        message: &ClientMessage,
        turn: &mut Turn,
    ) {
        let Some(at) = self.waiting.iter().position(|join| join.session == session) else { return };
        match message {
            ClientMessage::Ping { nonce } => {
                turn.send(session, ServerMessage::Pong { nonce: *nonce, received: 0 });
            }
            ClientMessage::Leave {} => {
                self.forget_knock(at, turn);
                turn.close(session, CloseCode::Left);
            }
            ClientMessage::Hello { .. }
            | ClientMessage::Resume { .. }
            | ClientMessage::Offer { .. }
            | ClientMessage::Answer { .. }
            | ClientMessage::Candidate { .. }
            | ClientMessage::EndOfCandidates { .. }
            | ClientMessage::App { .. }
            | ClientMessage::SetState { .. }
            | ClientMessage::Admit { .. }
            | ClientMessage::Deny { .. }
            | ClientMessage::Kick { .. }
            | ClientMessage::Lock { .. }
            | ClientMessage::ClaimHost { .. }
            | ClientMessage::RefreshIce {} => turn.refuse(session, ErrorCode::NotAllowed, message.kind()),
        }
    }

    pub(crate) fn forget_knock(&mut self, at: usize, turn: &mut Turn) -> Join {
        let join = self.waiting.remove(at);
        let peer = knocker(&join);
        self.tell_hosts(|seq| ServerMessage::KnockGone { seq, peer }, turn);
        join
    }

    pub(crate) fn on_admit(&mut self, host: usize, peer: &PeerId, turn: &mut Turn) {
        let Some(session) = self.members[host].session() else { return };
        let waits = self.waiting.iter().position(|join| join.claims.sub == *peer);
        let refused = match waits {
            _ if !self.is_host(host) => ErrorCode::NotAllowed,
            None => ErrorCode::PeerNotFound,
            Some(_) if !self.has_place() => ErrorCode::RoomFull,
            Some(at) => {
                let join = self.forget_knock(at, turn);
                return self.enter(join, turn);
            }
        };
        turn.refuse(session, refused, "admit");
    }

    pub(crate) fn on_deny(&mut self, host: usize, peer: &PeerId, turn: &mut Turn) {
        let Some(session) = self.members[host].session() else { return };
        let waits = self.waiting.iter().position(|join| join.claims.sub == *peer);
        match waits {
            _ if !self.is_host(host) => turn.refuse(session, ErrorCode::NotAllowed, "deny"),
            None => turn.refuse(session, ErrorCode::PeerNotFound, "deny"),
            Some(at) => self.send_from_lobby(at, ErrorCode::EntryDenied, None, turn),
        }
    }

    /// Its join token ends with it.
    fn send_from_lobby(&mut self, at: usize, why: ErrorCode, reason: Option<String>, turn: &mut Turn) {
        let Join { session, claims, series: _ } = self.forget_knock(at, turn);
        self.revoked.force(claims.jti, claims.exp, turn.now.unix);
        self.unsaved = true;
        say_goodbye(session, why, reason, turn);
    }

    /// Ends everything that the peer has of the room: session, join and resume token, relay credential.
    pub(crate) fn on_kick(
        &mut self,
        by: usize,
        peer: &PeerId,
        ban: bool,
        reason: Option<String>,
        turn: &mut Turn,
    ) {
        let Some(session) = self.members[by].session() else { return };
        if let Err(code) = self.may_kick(by, peer, ban, reason.as_deref()) {
            return turn.refuse(session, code, "kick");
        }
        let by = self.members[by].pass.peer.clone();
        self.send_away(peer, by, ban, reason, turn);
    }

    /// The app that made the room sends a peer away. What [`Room::may_dismiss`] refuses changes nothing.
    pub(crate) fn on_dismissal(&mut self, dismissal: Dismissal, turn: &mut Turn) {
        if self.may_dismiss(&dismissal).is_ok() {
            let Dismissal { by, peer, ban, reason } = dismissal;
            self.send_away(&peer, by, ban, reason, turn);
        }
    }

    /// Whether an app may send this peer away. It may keep out whoever is not there.
    ///
    /// # Errors
    /// Why not.
    pub fn may_dismiss(&self, dismissal: &Dismissal) -> Result<(), ErrorCode> {
        let Dismissal { by: _, peer, ban, reason } = dismissal;
        if !fits(reason.as_deref()) {
            return Err(ErrorCode::BadMessage);
        }
        let here = self.members.iter().map(|member| &member.pass.peer);
        let mut known = here.chain(self.waiting.iter().map(|join| &join.claims.sub));
        match known.any(|known| known == peer) {
            false if !ban => Err(ErrorCode::PeerNotFound),
            true | false if *ban && self.bans.len() >= MAX_BANS => Err(ErrorCode::StateFull),
            true | false => Ok(()),
        }
    }

    fn send_away(&mut self, peer: &PeerId, by: PeerId, ban: bool, reason: Option<String>, turn: &mut Turn) {
        if ban && !self.bans.iter().any(|ban| ban.peer == *peer) {
            self.bans.push(Ban { peer: peer.clone(), by, at: turn.now.unix });
            self.unsaved = true;
        }
        let why = if ban { ErrorCode::Banned } else { ErrorCode::Kicked };
        if let Some(at) = self.waiting.iter().position(|join| join.claims.sub == *peer) {
            return self.send_from_lobby(at, why, reason, turn);
        }
        let Some(at) = self.members.iter().position(|member| member.pass.peer == *peer) else { return };
        let member = &self.members[at];
        let (session, until) = (member.session(), member.token_expires);
        let (token, series) = (member.pass.token.clone(), member.pass.series.clone());
        self.revoked.force(token, until, turn.now.unix);
        self.revoked.force(series, self.ends.unix, turn.now.unix);
        self.unsaved = true;
        self.remove(at, LeaveReason::Kicked, turn);
        if let Some(session) = session {
            say_goodbye(session, why, reason, turn);
        }
        turn.push(Effect::Revoke { peer: peer.clone() });
    }

    fn may_kick(&self, by: usize, peer: &PeerId, ban: bool, reason: Option<&str>) -> Result<(), ErrorCode> {
        let by_host = self.is_host(by);
        if !by_host && !self.members[by].pass.grants.can.contains(Grant::Kick) {
            return Err(ErrorCode::NotAllowed);
        }
        if !fits(reason) {
            return Err(ErrorCode::BadMessage);
        }
        let member = self.members.iter().position(|member| member.pass.peer == *peer);
        let waits = self.waiting.iter().any(|join| join.claims.sub == *peer);
        match member {
            // To go oneself there is `leave`.
            Some(at) if at == by => Err(ErrorCode::PeerNotFound),
            Some(at) if self.is_host(at) && !by_host => Err(ErrorCode::NotAllowed),
            None if !waits => Err(ErrorCode::PeerNotFound),
            Some(_) | None if ban && self.bans.len() >= MAX_BANS => Err(ErrorCode::StateFull),
            Some(_) | None => Ok(()),
        }
    }

    pub(crate) fn on_lock(&mut self, host: usize, locked: bool, turn: &mut Turn) {
        let Some(session) = self.members[host].session() else { return };
        if !self.is_host(host) {
            return turn.refuse(session, ErrorCode::NotAllowed, "lock");
        }
        if self.locked == locked {
            return;
        }
        (self.locked, self.unsaved) = (locked, true);
        let by = self.members[host].pass.peer.clone();
        self.tell(Audience::All, |seq| ServerMessage::Locked { seq, locked, by }, turn);
    }

    /// The shell has looked at the host token that a member showed.
    pub(crate) fn on_claim(&mut self, session: SessionId, verdict: Result<(), ErrorCode>, turn: &mut Turn) {
        let Some(at) = self.position(session) else { return };
        if let Err(code) = verdict {
            return turn.refuse(session, code, "claim-host");
        }
        if self.is_host(at) {
            return;
        }
        self.members[at].pass.role = RoomRole::Host;
        let peer = self.members[at].pass.peer.clone();
        let role = RoomRole::Host;
        let message = |seq| ServerMessage::PeerRole { seq, peer: peer.clone(), role };
        self.tell(Audience::All, message, turn);
        for waiting in self.waiting.iter().map(knocker).collect::<Vec<_>>() {
            let to = Audience::Only(vec![peer.clone()]);
            self.tell(to, |seq| ServerMessage::Knock { seq, peer: waiting }, turn);
        }
    }

    fn tell_hosts(&mut self, message: impl FnOnce(u64) -> ServerMessage, turn: &mut Turn) {
        let hosts = self.members.iter().filter(|member| member.pass.role == RoomRole::Host);
        let hosts = hosts.map(|member| member.pass.peer.clone()).collect();
        self.tell(Audience::Only(hosts), message, turn);
    }

    fn is_host(&self, at: usize) -> bool {
        self.members[at].pass.role == RoomRole::Host
    }
}

/// Whether a reason is short, and text.
fn fits(reason: Option<&str>) -> bool {
    reason.is_none_or(|text| text.len() <= MAX_REASON_LEN && !text.chars().any(char::is_control))
}

/// The last thing that somebody hears who is sent away: the host's words, or ours.
fn say_goodbye(session: SessionId, code: ErrorCode, reason: Option<String>, turn: &mut Turn) {
    let message = reason.unwrap_or_else(|| code.sentence().to_owned());
    turn.send(session, ServerMessage::Error { code, message, refused: None });
    turn.close(session, CloseCode::Kicked);
}
