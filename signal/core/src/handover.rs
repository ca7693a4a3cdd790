//! A room on its way from one owner to another: its record, which survives every process, and its state, which a living owner
//! hands over.
//!
//! # For whoever drives rooms over several nodes
//! *Record.* Save [`Room::record`] when the room is made and at every [`Effect::Save`](crate::Effect::Save); remove it at
//! [`Ending::Expired`](crate::Ending::Expired) and [`Ending::Closed`](crate::Ending::Closed).
//!
//! *Hand-over.* Stop giving the room inputs, take [`Room::state`], forget the room. The new owner replaces every `session` in the
//! state by a number of its own for the same socket, and calls [`Room::restore`] with its epoch. Members notice nothing: the numbers of
//! events go on, and positions of the old epoch stay good. If a socket was lost on the way, say so with
//! [`Input::Gone`](crate::Input::Gone).
//!
//! *An owner's death, or a restart.* [`Room::from_record`] with the new epoch and with [`Room::ROLL_CALL`] as the time that nodes have for
//! [`Input::Announce`](crate::Input::Announce) (zero where there are no other nodes). Until it is over what members say waits; then each gets
//! `resync`. A node that comes later announces all the same; its members are joined then. Clients whose node died, too,
//! come with [`Input::Resume`](crate::Input::Resume): within the grace their pass is believed.
//!
//! *A link that lost letters.* Say [`Input::Gone`](crate::Input::Gone) with [`Gone::Disconnected`](crate::Gone::Disconnected) for every session of the node, and
//! let the node announce them: who lost nothing gets what it missed, the others `resync`.

use std::time::Duration;

use causeway_protocol::record::{EventState, MemberState, RoomRecord, RoomState, WaitingState};
use causeway_protocol::{Epoch, Moment, Now};

use crate::door::Door;
use crate::effect::Event;
use crate::input::{Join, SessionId};
use crate::members::{Member, Presence};
use crate::ring::Kept;
use crate::roll_call::RollCall;
use crate::room::{ResumeLimits, Room, RoomSettings};

impl Room {
    /// What the room is made of.
    #[must_use]
    pub fn record(&self, now: Now) -> RoomRecord {
        RoomRecord {
            id: self.id.clone(),
            epoch: self.epoch,
            capacity: self.capacity,
            created: self.created,
            expires_at: self.ends.unix,
            invite_only: self.door.invite_only,
            lobby: self.door.lobby,
            locked: self.locked,
            made: self.made.clone(),
            bans: self.bans.clone(),
            used_invites: self.used_invites.list(now.unix),
            revoked: self.revoked.list(now.unix),
        }
    }

    /// An empty room from its record. With a roll call, nothing happens in it until that is over. `None`: its time is over.
    #[must_use]
    pub fn from_record(
        record: RoomRecord,
        resume: ResumeLimits,
        epoch: Epoch,
        roll_call: Duration,
        now: Now,
    ) -> Option<Self> {
        let left = record.expires_at.since(now.unix);
        if left == 0 {
            return None;
        }
        let settings = RoomSettings {
            id: record.id,
            epoch,
            capacity: record.capacity,
            ttl: Duration::from_secs(left),
            door: Door {
                password: record.made.password.is_some(),
                invite_only: record.invite_only,
                lobby: record.lobby,
            },
            made: record.made,
            resume,
        };
        let mut room = Self::new(settings, now);
        room.created = record.created;
        room.locked = record.locked;
        room.bans = record.bans;
        room.used_invites = record.used_invites.into();
        room.revoked = record.revoked.into();
        room.roll_call = (!roll_call.is_zero()).then(|| RollCall::new(now.moment.plus(roll_call)));
        room.adopts_until = Some(now.moment.plus(roll_call).plus(resume.grace));
        // It is this owner's from here on.
        room.unsaved = true;
        Some(room)
    }

    /// The room as it stands.
    #[must_use]
    pub fn state(&self, now: Now) -> RoomState {
        let kept = |kept: &Kept| EventState {
            seq: kept.event.seq,
            text: kept.event.text.to_string(),
            to: kept.audience.clone(),
            age_ms: milliseconds(now.moment.since(kept.at)),
        };
        let (held, roll_call) = self.roll_call.as_ref().map(|roll| roll.state(now.moment)).unzip();
        let waiting = self.waiting.iter().map(WaitingState::from).chain(held.unwrap_or_default());
        RoomState {
            record: self.record(now),
            seq: self.seq,
            lineage: self.lineage.clone(),
            members: self.members.iter().map(|member| member.state(now.moment)).collect(),
            waiting: waiting.collect(),
            roll_call,
            adopts_ms: self.adopts_until.map(|until| milliseconds(until.since(now.moment))),
            state: self.state.entries(),
            events: self.ring.iter().map(kept).collect(),
        }
    }

    /// Goes on where another owner stopped. `None`: the room's time is over.
    #[must_use]
    pub fn restore(state: RoomState, resume: ResumeLimits, epoch: Epoch, now: Now) -> Option<Self> {
        let RoomState { record, seq, lineage, members, waiting, roll_call, adopts_ms, state, events } = state;
        let mut room = Self::from_record(record, resume, epoch, Duration::ZERO, now)?;
        room.adopts_until = adopts_ms.map(|left| now.moment.plus(Duration::from_millis(left)));
        room.seq = seq;
        // A hand-over's successors are few; older positions than these are older than the ring.
        let latest = lineage.len().saturating_sub(MAX_LINEAGE - 1);
        room.lineage = lineage[latest..].iter().copied().chain([epoch]).collect();
        room.members = members.into_iter().map(|member| Member::restored(member, now.moment)).collect();
        let (held, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|waiting| waiting.held);
        room.waiting = waiting.into_iter().map(Join::from).collect();
        let held = held.into_iter().map(Join::from).collect();
        room.roll_call = roll_call.map(|roll| RollCall::restored(roll, held, now.moment));
        room.state.restore(state, now);
        for EventState { seq, text, to: audience, age_ms } in events {
            let event = Event { seq, text: text.into() };
            let at = earlier(now.moment, Duration::from_millis(age_ms));
            let members = &mut room.members;
            room.ring.keep(Kept { event, audience, at }, |kept| crate::room::miss(members, kept));
        }
        Some(room)
    }
}

/// Epochs that a room remembers. A guess: hand-overs within the life of a ring.
const MAX_LINEAGE: usize = 16;

impl Member {
    fn state(&self, now: Moment) -> MemberState {
        let (session, away_ms, away_why) = match self.presence {
            Presence::Here(session) => (Some(session.0), 0, None),
            Presence::Away { until, why } => (None, milliseconds(until.since(now)), Some(why)),
        };
        MemberState {
            session,
            away_ms,
            away_why,
            pass: self.pass.clone(),
            token_expires: self.token_expires,
            confirmed: self.confirmed,
            received: self.received,
            missed: self.missed,
        }
    }

    fn restored(state: MemberState, now: Moment) -> Self {
        let presence = match state.session {
            Some(session) => Presence::Here(SessionId(session)),
            None => Presence::Away {
                until: now.plus(Duration::from_millis(state.away_ms)),
                why: state.away_why.unwrap_or(causeway_protocol::message::LeaveReason::Disconnected),
            },
        };
        Self {
            presence,
            pass: state.pass,
            confirmed: state.confirmed,
            token_expires: state.token_expires,
            received: state.received,
            missed: state.missed,
            next_refresh: now,
        }
    }
}

impl From<WaitingState> for Join {
    fn from(state: WaitingState) -> Self {
        Self { session: SessionId(state.session), claims: state.claims, series: state.series }
    }
}

impl From<&Join> for WaitingState {
    fn from(join: &Join) -> Self {
        let Join { session, claims, series } = join.clone();
        Self { session: session.0, claims, series, held: false }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn earlier(moment: Moment, by: Duration) -> Moment {
    Moment::from_origin(moment.since_origin().saturating_sub(by))
}
