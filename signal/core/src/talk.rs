//! What members say, and who hears it.

use std::time::Duration;

use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::record::EventAudience as Audience;
use causeway_protocol::{CloseCode, ErrorCode, PeerId};
use serde_json::Value;

use crate::effect::Effect;
use crate::input::SessionId;
use crate::members::Member;
use crate::rights;
use crate::room::{Room, Turn};

/// The least time between two `refresh-ice` of one connection. A guess: a network change and the retry after it
/// both pass within seconds, and minting costs microseconds.
pub const ICE_REFRESH_INTERVAL: Duration = Duration::from_secs(2);

impl Room {
    pub(crate) fn on_message(&mut self, session: SessionId, message: ClientMessage, turn: &mut Turn) {
        let Some(at) = self.position(session) else {
            // It may wait in the lobby; or it was still on its way when its sender was removed.
            return self.on_word_from_lobby(session, &message, turn);
        };
        if self.roll_call.is_some() {
            return self.hold_message(at, session, message, turn);
        }
        self.count(at, message.counts());
        self.take_message(at, session, message, turn);
    }

    pub(crate) fn on_unreadable(&mut self, session: SessionId, kind: Option<String>, turn: &mut Turn) {
        if let Some(at) = self.position(session) {
            self.count(at, true);
        }
        let code = ErrorCode::BadMessage;
        let message = code.sentence().to_owned();
        turn.send(session, ServerMessage::Error { code, message, refused: kind });
    }

    /// Whoever speaks on a connection has read how it was greeted, and has the token that came with it.
    pub(crate) fn count(&mut self, at: usize, counts: bool) {
        let member = &mut self.members[at];
        member.received += u64::from(counts);
        member.confirmed = member.pass.generation;
    }

    pub(crate) fn take_message(
        &mut self,
        at: usize,
        session: SessionId,
        message: ClientMessage,
        turn: &mut Turn,
    ) {
        let from = self.members[at].pass.peer.clone();
        let refused = message.kind();
        let can = self.members[at].pass.grants.can;
        match rights::needed(&message) {
            Some(grant) if !can.contains(grant) => {
                return turn.refuse(session, ErrorCode::NotAllowed, refused);
            }
            Some(_) if !self.delivery.may(turn.now.moment) => {
                return turn.refuse(session, ErrorCode::RateLimited, refused);
            }
            Some(_) | None => {}
        }
        match message {
            ClientMessage::Offer { to, sdp } => {
                self.pass_on(at, to, refused, |seq| ServerMessage::Offer { seq, from, sdp }, turn);
            }
            ClientMessage::Answer { to, sdp } => {
                self.pass_on(at, to, refused, |seq| ServerMessage::Answer { seq, from, sdp }, turn);
            }
            ClientMessage::Candidate { to, candidate } => {
                let message = |seq| ServerMessage::Candidate { seq, from, candidate };
                self.pass_on(at, to, refused, message, turn);
            }
            ClientMessage::EndOfCandidates { to } => {
                self.pass_on(at, to, refused, |seq| ServerMessage::EndOfCandidates { seq, from }, turn);
            }
            ClientMessage::App { to: Some(to), data } => {
                self.pass_on(at, to, refused, |seq| ServerMessage::App { seq, from, data }, turn);
            }
            ClientMessage::App { to: None, data } => {
                if self.members.len() > 1 {
                    let message = |seq| ServerMessage::App { seq, from: from.clone(), data };
                    self.tell(Audience::AllBut(from.clone()), message, turn);
                }
            }
            ClientMessage::SetState { key, value, ttl_seconds } => {
                let set = self.set_state(key, value, from, ttl_seconds, turn);
                set.unwrap_or_else(|code| turn.refuse(session, code, refused));
            }
            ClientMessage::Admit { peer } => self.on_admit(at, &peer, turn),
            ClientMessage::Deny { peer } => self.on_deny(at, &peer, turn),
            ClientMessage::Kick { peer, ban, reason } => self.on_kick(at, &peer, ban, reason, turn),
            ClientMessage::Lock { locked } => self.on_lock(at, locked, turn),
            ClientMessage::ClaimHost { token } => turn.push(Effect::VerifyHost { session, token }),
            ClientMessage::RefreshIce {} => {
                if turn.now.moment < self.members[at].next_refresh {
                    turn.refuse(session, ErrorCode::RateLimited, refused);
                } else {
                    self.members[at].next_refresh = turn.now.moment.plus(ICE_REFRESH_INTERVAL);
                    turn.push(Effect::GrantIce { to: session, peer: from });
                }
            }
            ClientMessage::Ping { nonce } => {
                let received = self.members[at].received;
                turn.send(session, ServerMessage::Pong { nonce, received });
            }
            ClientMessage::Leave {} => {
                self.remove(at, causeway_protocol::message::LeaveReason::Left, turn);
                turn.close(session, CloseCode::Left);
            }
            ClientMessage::Hello { .. } | ClientMessage::Resume { .. } => {
                turn.refuse(session, ErrorCode::BadMessage, refused);
            }
        }
    }

    fn pass_on(
        &mut self,
        sender: usize,
        to: PeerId,
        refused: &'static str,
        message: impl FnOnce(u64) -> ServerMessage,
        turn: &mut Turn,
    ) {
        let is_receiver = |(at, member): (usize, &Member)| at != sender && member.pass.peer == to;
        if self.members.iter().enumerate().any(is_receiver) {
            self.tell(Audience::Only(vec![to]), message, turn);
        } else if let Some(session) = self.members[sender].session() {
            turn.refuse(session, ErrorCode::PeerNotFound, refused);
        }
    }

    fn set_state(
        &mut self,
        key: String,
        value: Option<Value>,
        by: PeerId,
        ttl: Option<u64>,
        turn: &mut Turn,
    ) -> Result<(), ErrorCode> {
        let expires_at = match &value {
            Some(value) => self.state.set(&key, value, &by, ttl, turn.now)?,
            None if self.state.delete(&key)? => None,
            None => return Ok(()),
        };
        self.tell(Audience::All, |seq| ServerMessage::State { seq, key, value, by, expires_at }, turn);
        Ok(())
    }
}
