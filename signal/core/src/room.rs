//! The room itself: members, numbered events, and the one function that moves them.

use std::time::Duration;

use bytestring::ByteString;
use causeway_protocol::bus::RelayUsage;
use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::message::{
    ClientMessage, Greeting, LeaveReason, Pass, PeerInfo, Politeness, Position, ServerMessage, Snapshot,
};
use causeway_protocol::token::{JoinClaims, RoomRole};
use causeway_protocol::{CloseCode, ErrorCode, Moment, Now, PeerId, RoomId, UnixSeconds};

use crate::door::{Door, Key, RefusedEntry, UsedInvites};
use crate::effect::{Effect, Ending, Event};
use crate::input::{Gone, Input, Join, SessionId};
use crate::rights;
use crate::usage::UsageBoard;

/// The least time between two `refresh-ice` of one connection. A guess: a network change and the retry after it
/// both pass within seconds, and minting costs microseconds.
pub const ICE_REFRESH_INTERVAL: Duration = Duration::from_secs(2);

/// What a room is made with.
#[derive(Clone, Debug)]
pub struct RoomSettings {
    /// Its name.
    pub id: RoomId,
    /// Which owner numbers its events: 1 for the first.
    pub epoch: u64,
    /// How many peers it holds.
    pub capacity: u16,
    /// How long it lives.
    pub ttl: Duration,
    /// Who may come in.
    pub door: Door,
    /// The key of the app that made it; `None`: people did.
    pub app: Option<ApiKeyId>,
}

#[derive(Debug)]
struct Member {
    session: SessionId,
    pass: Pass,
    /// How many of its messages the room has taken.
    received: u64,
    /// From when on `refresh-ice` is granted again.
    next_refresh: Moment,
}

impl Member {
    fn seen_by(&self, you_are: Politeness) -> PeerInfo {
        PeerInfo { id: self.pass.peer.clone(), name: self.pass.name.clone(), role: self.pass.role, you_are }
    }
}

/// One room. It lives until its time is over, also while nobody is in it: the link stays valid.
#[derive(Debug)]
pub struct Room {
    settings: RoomSettings,
    /// The number of the latest event.
    seq: u64,
    /// In the order of their arrival. Rooms are small; looking through them beats an index.
    members: Vec<Member>,
    used_invites: UsedInvites,
    usage: UsageBoard,
    ends: Now,
    ended: bool,
}

impl Room {
    /// An empty room whose time begins at `now`.
    #[must_use]
    pub fn new(settings: RoomSettings, now: Now) -> Self {
        Self::with_used_invites(settings, UsedInvites::default(), now)
    }

    pub(crate) fn with_used_invites(settings: RoomSettings, used_invites: UsedInvites, now: Now) -> Self {
        let ends = now.plus(settings.ttl);
        Self {
            settings,
            seq: 0,
            members: Vec::new(),
            used_invites,
            usage: UsageBoard::default(),
            ends,
            ended: false,
        }
    }

    /// The room's name.
    #[must_use]
    pub const fn id(&self) -> &RoomId {
        &self.settings.id
    }

    /// Who may come in.
    #[must_use]
    pub const fn door(&self) -> Door {
        self.settings.door
    }

    pub(crate) const fn used_invites(&self) -> &UsedInvites {
        &self.used_invites
    }

    /// The key of the app that made it; `None`: people did.
    #[must_use]
    pub const fn app(&self) -> Option<&ApiKeyId> {
        self.settings.app.as_ref()
    }

    /// How many peers it holds.
    #[must_use]
    pub const fn capacity(&self) -> u16 {
        self.settings.capacity
    }

    /// How many peers are in it.
    #[must_use]
    pub fn peers(&self) -> u16 {
        u16::try_from(self.members.len()).unwrap_or(u16::MAX)
    }

    /// When it ends.
    #[must_use]
    pub const fn expires_at(&self) -> UnixSeconds {
        self.ends.unix
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// When the room wants its next [`Input::Tick`].
    #[must_use]
    pub fn next_deadline(&self) -> Moment {
        self.usage.next_deadline().map_or(self.ends.moment, |usage| usage.min(self.ends.moment))
    }

    /// Lets somebody pass the door, before a token is minted. An invite is used up by this.
    ///
    /// # Errors
    /// [`RefusedEntry`]; nothing has changed then. A room that is full now may have a place when the token is
    /// used, and the other way round: the join decides.
    pub fn admit(&mut self, key: Key, now: Now) -> Result<RoomRole, RefusedEntry> {
        if self.over(now) {
            return Err(RefusedEntry::Ended);
        }
        let comes_back = match &key {
            Key::App { key, .. } if self.settings.app.as_ref() != Some(key) => {
                return Err(RefusedEntry::OtherApp);
            }
            Key::App { peer, .. } => self.members.iter().any(|member| member.pass.peer == *peer),
            Key::None | Key::Password | Key::Invite { .. } | Key::Host => false,
        };
        if !comes_back && self.members.len() >= usize::from(self.settings.capacity) {
            return Err(RefusedEntry::Full);
        }
        self.settings.door.pass(key, &mut self.used_invites, now.unix)
    }

    /// Takes one input and says what has to be done about it.
    pub fn apply(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        if self.over(now) && !self.ended {
            self.end(Ending::Expired, &mut effects);
        }
        match input {
            Input::Join(join) => self.on_join(join, now, &mut effects),
            Input::Message { session, message } => self.on_message(session, message, now, &mut effects),
            Input::Gone { session, why } => self.on_gone(session, why, &mut effects),
            Input::Stalled { session } => self.on_stalled(session, &mut effects),
            Input::RelayUsage(usage) => self.on_usage(usage, now, &mut effects),
            Input::Tick => self.on_tick(now, &mut effects),
            Input::End(ending) => self.end(ending, &mut effects),
        }
        effects
    }

    fn on_join(&mut self, join: Join, now: Now, effects: &mut Vec<Effect>) {
        if self.ended {
            effects.push(Effect::Close { session: join.session, code: CloseCode::RoomNotFound });
            return;
        }
        let displaced = self.members.iter().position(|member| member.pass.peer == join.claims.sub);
        if displaced.is_none() && self.members.len() >= usize::from(self.settings.capacity) {
            effects.push(Effect::Close { session: join.session, code: CloseCode::RoomFull });
            return;
        }
        if let Some(at) = displaced {
            let session = self.members[at].session;
            self.remove(at, LeaveReason::Displaced, effects);
            effects.push(Effect::Close { session, code: CloseCode::Displaced });
        }
        let Join { session, claims, series } = join;
        let JoinClaims { sub: peer, name, role, grants, jti: token, aud: _, room: _, exp: _ } = claims;
        let joined = Position { epoch: self.settings.epoch, seq: self.seq + 1 };
        let pass = Pass { peer, name, role, grants, token, series, generation: 1, joined };
        let newcomer = Member { session, pass, received: 0, next_refresh: now.moment };
        let peer = newcomer.seen_by(Politeness::Impolite);
        // Who is there hears of the newcomer before any signal from it can arrive, and never gives way to it.
        self.tell_all(|seq| ServerMessage::PeerJoined { seq, peer }, effects);
        effects.push(Effect::Greet {
            to: session,
            pass: newcomer.pass.clone(),
            greeting: Greeting::Welcome { snapshot: Box::new(self.snapshot(&newcomer)) },
        });
        self.members.push(newcomer);
    }

    /// How the room stands for somebody who came after all its members.
    fn snapshot(&self, newcomer: &Member) -> Snapshot {
        Snapshot {
            room: self.settings.id.clone(),
            peer: newcomer.pass.peer.clone(),
            role: newcomer.pass.role,
            epoch: self.settings.epoch,
            seq: self.seq,
            peers: self.members.iter().map(|member| member.seen_by(Politeness::Polite)).collect(),
            state: Vec::new(),
            locked: false,
            lobby: false,
            waiting: Vec::new(),
            expires_at: self.ends.unix,
        }
    }

    fn on_message(
        &mut self,
        session: SessionId,
        message: ClientMessage,
        now: Now,
        effects: &mut Vec<Effect>,
    ) {
        // A message may still be on its way when its sender has been removed.
        let Some(at) = self.position(session) else { return };
        let from = self.members[at].pass.peer.clone();
        let refused = message.kind();
        if message.counts() {
            self.members[at].received += 1;
        }
        if rights::needed(&message).is_some_and(|grant| !self.members[at].pass.grants.can.contains(grant)) {
            effects.push(refusal(session, ErrorCode::NotAllowed, refused));
            return;
        }
        match message {
            ClientMessage::Offer { to, sdp } => {
                self.pass_on(at, &to, refused, |seq| ServerMessage::Offer { seq, from, sdp }, effects);
            }
            ClientMessage::Answer { to, sdp } => {
                self.pass_on(at, &to, refused, |seq| ServerMessage::Answer { seq, from, sdp }, effects);
            }
            ClientMessage::Candidate { to, candidate } => {
                self.pass_on(
                    at,
                    &to,
                    refused,
                    |seq| ServerMessage::Candidate { seq, from, candidate },
                    effects,
                );
            }
            ClientMessage::EndOfCandidates { to } => {
                self.pass_on(at, &to, refused, |seq| ServerMessage::EndOfCandidates { seq, from }, effects);
            }
            ClientMessage::App { to: Some(to), data } => {
                self.pass_on(at, &to, refused, |seq| ServerMessage::App { seq, from, data }, effects);
            }
            ClientMessage::App { to: None, data } => {
                let to: Vec<_> =
                    self.members.iter().map(|member| member.session).filter(|to| *to != session).collect();
                if !to.is_empty() {
                    self.tell(to, |seq| ServerMessage::App { seq, from, data }, effects);
                }
            }
            ClientMessage::RefreshIce {} => {
                if now.moment < self.members[at].next_refresh {
                    effects.push(refusal(session, ErrorCode::RateLimited, refused));
                } else {
                    self.members[at].next_refresh = now.moment.plus(ICE_REFRESH_INTERVAL);
                    effects.push(Effect::GrantIce { to: session, peer: from });
                }
            }
            ClientMessage::Ping { nonce } => {
                let received = self.members[at].received;
                let pong = ServerMessage::Pong { nonce, received };
                effects.push(Effect::Send { to: vec![session], message: pong });
            }
            ClientMessage::Leave {} => {
                self.remove(at, LeaveReason::Left, effects);
                effects.push(Effect::Close { session, code: CloseCode::Left });
            }
            ClientMessage::SetState { .. }
            | ClientMessage::Admit { .. }
            | ClientMessage::Deny { .. }
            | ClientMessage::Kick { .. }
            | ClientMessage::Lock { .. }
            | ClientMessage::ClaimHost { .. } => {
                effects.push(refusal(session, ErrorCode::NotAllowed, refused));
            }
            ClientMessage::Hello { .. } | ClientMessage::Resume { .. } => {
                effects.push(refusal(session, ErrorCode::BadMessage, refused));
            }
        }
    }

    fn pass_on(
        &mut self,
        sender: usize,
        to: &PeerId,
        refused: &'static str,
        message: impl FnOnce(u64) -> ServerMessage,
        effects: &mut Vec<Effect>,
    ) {
        let receiver =
            self.members.iter().enumerate().find(|(at, member)| *at != sender && member.pass.peer == *to);
        match receiver {
            Some((_, receiver)) => self.tell(vec![receiver.session], message, effects),
            None => {
                effects.push(refusal(self.members[sender].session, ErrorCode::PeerNotFound, refused));
            }
        }
    }

    fn on_gone(&mut self, session: SessionId, why: Gone, effects: &mut Vec<Effect>) {
        let reason = match why {
            Gone::Disconnected => LeaveReason::Disconnected,
            Gone::TimedOut => LeaveReason::TimedOut,
            Gone::Stalled => LeaveReason::Stalled,
            Gone::Refused => LeaveReason::Refused,
        };
        if let Some(at) = self.position(session) {
            self.remove(at, reason, effects);
        }
    }

    fn on_stalled(&mut self, session: SessionId, effects: &mut Vec<Effect>) {
        if let Some(at) = self.position(session) {
            self.remove(at, LeaveReason::Stalled, effects);
            effects.push(Effect::Close { session, code: CloseCode::Stalled });
        }
    }

    fn on_usage(&mut self, usage: RelayUsage, now: Now, effects: &mut Vec<Effect>) {
        let known = self.members.iter().any(|member| member.pass.peer == usage.peer);
        if !known || usage.room != self.settings.id {
            return;
        }
        if let Some(usage) = self.usage.on_report(usage, now.moment) {
            self.tell_usage(usage, effects);
        }
    }

    fn on_tick(&mut self, now: Now, effects: &mut Vec<Effect>) {
        for usage in self.usage.due(now.moment) {
            self.tell_usage(usage, effects);
        }
    }

    fn tell_usage(&self, usage: RelayUsage, effects: &mut Vec<Effect>) {
        let RelayUsage { node, room: _, peer, allocations, sent_bytes, received_bytes, facts: _ } = usage;
        if !self.members.is_empty() {
            let to = self.members.iter().map(|member| member.session).collect();
            let message = ServerMessage::RelayUsage { peer, node, allocations, sent_bytes, received_bytes };
            effects.push(Effect::Send { to, message });
        }
    }

    fn end(&mut self, ending: Ending, effects: &mut Vec<Effect>) {
        if self.ended {
            return;
        }
        self.ended = true;
        for member in self.members.drain(..) {
            self.usage.forget(&member.pass.peer);
            effects.push(Effect::Close { session: member.session, code: ending.close_code() });
        }
        effects.push(Effect::Ended(ending));
    }

    fn remove(&mut self, at: usize, reason: LeaveReason, effects: &mut Vec<Effect>) {
        let member = self.members.remove(at);
        self.usage.forget(&member.pass.peer);
        let peer = member.pass.peer;
        self.tell_all(|seq| ServerMessage::PeerLeft { seq, peer, reason }, effects);
    }

    fn tell_all(&mut self, message: impl FnOnce(u64) -> ServerMessage, effects: &mut Vec<Effect>) {
        let to = self.members.iter().map(|member| member.session).collect();
        self.tell(to, message, effects);
    }

    /// The next event, also if nobody is there to hear it.
    fn tell(
        &mut self,
        to: Vec<SessionId>,
        message: impl FnOnce(u64) -> ServerMessage,
        effects: &mut Vec<Effect>,
    ) {
        self.seq += 1;
        if !to.is_empty() {
            let event = Event { seq: self.seq, text: text_of(&message(self.seq)) };
            effects.push(Effect::Event { to, event });
        }
    }

    fn position(&self, session: SessionId) -> Option<usize> {
        self.members.iter().position(|member| member.session == session)
    }

    fn over(&self, now: Now) -> bool {
        self.ended || now.moment >= self.ends.moment
    }
}

/// The message as JSON, serialized once for everybody.
fn text_of(message: &ServerMessage) -> ByteString {
    serde_json::to_string(message).expect("our messages have string keys and no failing serializer").into()
}

fn refusal(to: SessionId, code: ErrorCode, refused: &str) -> Effect {
    Effect::Send {
        to: vec![to],
        message: ServerMessage::Error {
            code,
            message: code.sentence().to_owned(),
            refused: Some(refused.to_owned()),
        },
    }
}
