//! The room itself: what it consists of, and the one function that moves it.
//!
//! What members do is in the files beside this one: `members` (who comes, comes back, and goes), `talk` (what is said), `hosts` (lobby,
//! lock, kick, claims), `roll_call` (after an owner's death), `handover` (record and state).

use std::time::Duration;

use bytestring::ByteString;
use causeway_protocol::bus::RelayUsage;
use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::message::ServerMessage;
use causeway_protocol::node::ShownKey;
use causeway_protocol::record::{Ban, EventAudience as Audience, Made};
use causeway_protocol::token::RoomRole;
use causeway_protocol::{CloseCode, Epoch, ErrorCode, Moment, Now, RoomId, UnixSeconds};

use crate::delivery::Delivery;
use crate::door::{Door, RefusedEntry};
use crate::effect::{Effect, Ending, Event};
use crate::input::{Input, Join, SessionId};
use crate::members::Member;
use crate::ring::{Kept, Ring, RingLimits};
use crate::roll_call::RollCall;
use crate::state::StateBoard;
use crate::tokens::TokenSet;
use crate::usage::UsageBoard;

/// What a room is made with.
#[derive(Clone, Debug)]
pub struct RoomSettings {
    /// Its name.
    pub id: RoomId,
    /// Which ownership of the room this is.
    pub epoch: Epoch,
    /// How many peers it holds.
    pub capacity: u16,
    /// How long it lives.
    pub ttl: Duration,
    /// Who may come in. It binds from the room's first moment, whoever arrives first.
    pub door: Door,
    /// Who made it, and on which terms.
    pub made: Made,
    /// How members that lose their connection come back.
    pub resume: ResumeLimits,
}

/// How members that lose their connection come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResumeLimits {
    /// How long a member is waited for whose connection broke. Zero: it leaves at once.
    pub grace: Duration,
    /// What is kept for it meanwhile.
    pub ring: RingLimits,
}

impl Default for ResumeLimits {
    fn default() -> Self {
        Self { grace: Duration::from_secs(30), ring: RingLimits::default() }
    }
}

/// Somebody passed the door.
#[derive(Clone, Debug)]
pub struct Admission {
    /// What it is in the room.
    pub role: RoomRole,
    /// What has to be done about it.
    pub effects: Vec<Effect>,
}

/// One room. It lives until its time is over, also while nobody is in it: the link stays valid.
#[derive(Debug)]
pub struct Room {
    pub(crate) id: RoomId,
    pub(crate) epoch: Epoch,
    /// The epochs whose numbering this room's continues, its own the last.
    pub(crate) lineage: Vec<Epoch>,
    pub(crate) capacity: u16,
    pub(crate) door: Door,
    pub(crate) made: Made,
    pub(crate) resume: ResumeLimits,
    pub(crate) created: UnixSeconds,
    pub(crate) ends: Now,
    /// The number of the latest event.
    pub(crate) seq: u64,
    /// In the order of their arrival. Rooms are small; looking through them beats an index.
    pub(crate) members: Vec<Member>,
    pub(crate) waiting: Vec<Join>,
    pub(crate) ring: Ring,
    pub(crate) delivery: Delivery,
    pub(crate) state: StateBoard,
    pub(crate) locked: bool,
    pub(crate) bans: Vec<Ban>,
    pub(crate) used_invites: TokenSet,
    pub(crate) revoked: TokenSet,
    pub(crate) usage: UsageBoard,
    pub(crate) roll_call: Option<RollCall>,
    /// Until when a genuine pass makes a member of somebody whom this owner never saw.
    pub(crate) adopts_until: Option<Moment>,
    /// The record has changed since the last [`Effect::Save`].
    pub(crate) unsaved: bool,
    pub(crate) ended: bool,
}

/// One input on its way through the room: the time, and what has to be done.
pub(crate) struct Turn {
    pub(crate) now: Now,
    pub(crate) effects: Vec<Effect>,
}

impl Turn {
    const fn at(now: Now) -> Self {
        Self { now, effects: Vec::new() }
    }

    pub(crate) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(crate) fn close(&mut self, session: SessionId, code: CloseCode) {
        self.push(Effect::Close { session, code });
    }

    pub(crate) fn send(&mut self, to: SessionId, message: ServerMessage) {
        self.push(Effect::Send { to: vec![to], message });
    }

    /// A message was refused.
    pub(crate) fn refuse(&mut self, to: SessionId, code: ErrorCode, refused: &str) {
        let (message, refused) = (code.sentence().to_owned(), Some(refused.to_owned()));
        self.send(to, ServerMessage::Error { code, message, refused });
    }

    /// A connection may not come in, and is told why.
    pub(crate) fn turn_away(&mut self, session: SessionId, why: ErrorCode, code: CloseCode) {
        let message = why.sentence().to_owned();
        self.send(session, ServerMessage::Error { code: why, message, refused: None });
        self.close(session, code);
    }
}

impl Room {
    /// An empty room whose time begins at `now`. Its record is worth saving at once.
    #[must_use]
    pub fn new(settings: RoomSettings, now: Now) -> Self {
        let RoomSettings { id, epoch, capacity, ttl, door, made, resume } = settings;
        // Who is not waited for needs nothing kept.
        let events = if resume.grace.is_zero() { 0 } else { resume.ring.events };
        Self {
            id,
            epoch,
            lineage: vec![epoch],
            capacity,
            door,
            made,
            resume,
            created: now.unix,
            ends: now.plus(ttl),
            seq: 0,
            members: Vec::new(),
            waiting: Vec::new(),
            ring: Ring::new(RingLimits { events, ..resume.ring }),
            delivery: Delivery::default(),
            state: StateBoard::default(),
            locked: false,
            bans: Vec::new(),
            used_invites: TokenSet::default(),
            revoked: TokenSet::default(),
            usage: UsageBoard::default(),
            roll_call: None,
            adopts_until: None,
            unsaved: false,
            ended: false,
        }
    }

    /// The room's name.
    #[must_use]
    pub const fn id(&self) -> &RoomId {
        &self.id
    }

    /// Which ownership of the room this is.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Who may come in.
    #[must_use]
    pub const fn door(&self) -> Door {
        self.door
    }

    /// Whether nobody new comes in.
    #[must_use]
    pub const fn locked(&self) -> bool {
        self.locked
    }

    /// The key of the app that made it; `None`: people did.
    #[must_use]
    pub const fn app(&self) -> Option<&ApiKeyId> {
        self.made.app.as_ref()
    }

    /// What the room was made with.
    #[must_use]
    pub const fn made(&self) -> &Made {
        &self.made
    }

    /// How many peers it holds.
    #[must_use]
    pub const fn capacity(&self) -> u16 {
        self.capacity
    }

    /// How many peers are in it, those included that are away for a moment.
    #[must_use]
    pub fn peers(&self) -> u16 {
        u16::try_from(self.members.len()).unwrap_or(u16::MAX)
    }

    /// When it ends.
    #[must_use]
    pub const fn expires_at(&self) -> UnixSeconds {
        self.ends.unix
    }

    /// How long a member is waited for whose connection broke.
    #[must_use]
    pub const fn grace(&self) -> Duration {
        self.resume.grace
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes of the events that it keeps for those who come back.
    #[must_use]
    pub const fn kept_bytes(&self) -> usize {
        self.ring.bytes()
    }

    /// When the room wants its next [`Input::Tick`].
    #[must_use]
    pub fn next_deadline(&self) -> Moment {
        let others = [
            self.usage.next_deadline(),
            self.ring.next_deadline(),
            self.state.next_deadline(),
            self.roll_call.as_ref().map(RollCall::ends),
            self.next_patience(),
        ];
        others.into_iter().flatten().fold(self.ends.moment, Moment::min)
    }

    /// Lets somebody pass the door, before a token is minted. An invite is used up by this.
    ///
    /// # Errors
    /// [`RefusedEntry`]; nothing has changed then. A room that is full now may have a place when the token is
    /// used, and the other way round: the join decides.
    pub fn admit(&mut self, key: ShownKey, now: Now) -> Result<Admission, RefusedEntry> {
        if self.over(now) {
            return Err(RefusedEntry::Ended);
        }
        let comes_back = match &key {
            ShownKey::App { key, .. } if self.made.app.as_ref() != Some(key) => {
                return Err(RefusedEntry::OtherApp);
            }
            ShownKey::App { peer, .. } => self.members.iter().any(|member| member.pass.peer == *peer),
            ShownKey::None | ShownKey::Password | ShownKey::Invite { .. } | ShownKey::Host => false,
        };
        let is_host = matches!(&key, ShownKey::Host | ShownKey::App { role: RoomRole::Host, .. });
        if self.locked && !is_host && !comes_back {
            return Err(RefusedEntry::Locked);
        }
        if !comes_back && !self.has_place() {
            return Err(RefusedEntry::Full);
        }
        let effects = match &key {
            ShownKey::Invite { .. } | ShownKey::App { once: Some(_), .. } => vec![Effect::Save],
            ShownKey::None | ShownKey::Password | ShownKey::Host | ShownKey::App { once: None, .. } => {
                Vec::new()
            }
        };
        let role = self.door.pass(key, &mut self.used_invites, now.unix)?;
        Ok(Admission { role, effects })
    }

    /// Takes one input and says what has to be done about it.
    pub fn apply(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let mut turn = Turn::at(now);
        if self.over(now) {
            self.end(Ending::Expired, &mut turn);
        } else {
            self.catch_up(&mut turn);
        }
        match input {
            Input::Join(join) => self.on_join(join, &mut turn),
            Input::Resume(resume) => self.on_resume(resume, &mut turn),
            Input::Announce(announce) => self.on_announce(announce, &mut turn),
            Input::Message { session, message } => self.on_message(session, message, &mut turn),
            Input::Unreadable { session, kind } => self.on_unreadable(session, kind, &mut turn),
            Input::HostVerified { session, verdict } => self.on_claim(session, verdict, &mut turn),
            Input::Gone { session, why } => self.on_gone(session, why, &mut turn),
            Input::Stalled { session } => self.on_stalled(session, &mut turn),
            Input::Dismiss(dismissal) => self.on_dismissal(dismissal, &mut turn),
            Input::RelayUsage(usage) => self.on_usage(usage, &mut turn),
            // Whatever is due was done above.
            Input::Tick => {}
            Input::Trim => self.trim(),
            Input::End(ending) => self.end(ending, &mut turn),
        }
        if std::mem::take(&mut self.unsaved) && !self.ended {
            turn.push(Effect::Save);
        }
        turn.effects
    }

    /// Does what its time has come for, so that no input meets a room of yesterday.
    fn catch_up(&mut self, turn: &mut Turn) {
        let now = turn.now.moment;
        if self.roll_call.as_ref().is_some_and(|roll| roll.ends() <= now) {
            self.finish_roll_call(turn);
        }
        self.lose_patience(turn);
        for (key, by) in self.state.expire(now) {
            let gone = |seq| ServerMessage::State { seq, key, value: None, by, expires_at: None };
            self.tell(Audience::All, gone, turn);
        }
        let members = &mut self.members;
        self.ring.sweep(now, |kept| miss(members, kept));
        for usage in self.usage.due(now) {
            self.tell_usage(usage, turn);
        }
    }

    fn trim(&mut self) {
        let members = &mut self.members;
        self.ring.clear(|kept| miss(members, kept));
    }

    fn on_usage(&mut self, usage: RelayUsage, turn: &mut Turn) {
        let known = self.members.iter().any(|member| member.pass.peer == usage.peer);
        if !known || usage.room != self.id {
            return;
        }
        if let Some(usage) = self.usage.on_report(usage, turn.now.moment) {
            self.tell_usage(usage, turn);
        }
    }

    fn tell_usage(&self, usage: RelayUsage, turn: &mut Turn) {
        let RelayUsage { node, room: _, peer, allocations, sent_bytes, received_bytes, facts: _ } = usage;
        let to: Vec<_> = self.members.iter().filter_map(Member::session).collect();
        if !to.is_empty() {
            let message = ServerMessage::RelayUsage { peer, node, allocations, sent_bytes, received_bytes };
            turn.push(Effect::Send { to, message });
        }
    }

    fn end(&mut self, ending: Ending, turn: &mut Turn) {
        if self.ended {
            return;
        }
        self.ended = true;
        let held = self.roll_call.take().into_iter().flat_map(RollCall::into_joins);
        let sessions = self.members.iter().filter_map(Member::session);
        let everybody = sessions.chain(self.waiting.drain(..).chain(held).map(|join| join.session));
        for session in everybody.collect::<Vec<_>>() {
            turn.close(session, ending.close_code());
        }
        for member in self.members.drain(..) {
            self.usage.forget(&member.pass.peer);
        }
        turn.push(Effect::Ended(ending));
    }

    /// The next event: to those who are there, and kept for those who come back.
    pub(crate) fn tell(
        &mut self,
        audience: Audience,
        message: impl FnOnce(u64) -> ServerMessage,
        turn: &mut Turn,
    ) {
        self.seq += 1;
        // At the end of a roll call everybody is told how the room stands.
        if self.roll_call.is_some() {
            return;
        }
        let mut for_whom =
            self.members.iter().filter(|member| audience.includes(&member.pass.peer)).peekable();
        if for_whom.peek().is_none() {
            return;
        }
        let to: Vec<_> = for_whom.filter_map(Member::session).collect();
        let event = Event { seq: self.seq, text: text_of(&message(self.seq)) };
        if !to.is_empty() {
            self.delivery.count(event.text.len(), to.len(), turn.now.moment);
            turn.push(Effect::Event { to, event: event.clone() });
        }
        let members = &mut self.members;
        self.ring.keep(Kept { event, audience, at: turn.now.moment }, |kept| miss(members, kept));
    }

    pub(crate) fn position(&self, session: SessionId) -> Option<usize> {
        self.members.iter().position(|member| member.session() == Some(session))
    }

    fn over(&self, now: Now) -> bool {
        self.ended || now.moment >= self.ends.moment
    }
}

/// Remembers for whom an event is not kept any more.
pub(crate) fn miss(members: &mut [Member], kept: &Kept) {
    for member in members.iter_mut().filter(|member| kept.audience.includes(&member.pass.peer)) {
        // It may have missed something later already.
        member.missed = member.missed.max(kept.event.seq);
    }
}

/// The message as JSON, serialized once for everybody.
fn text_of(message: &ServerMessage) -> ByteString {
    serde_json::to_string(message).expect("our messages have string keys and no failing serializer").into()
}
