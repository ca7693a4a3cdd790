//! Effects as those see them whom they concern: events are read back as messages.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "shared by several test files; a test's panic is its message"
)]

use std::time::Duration;

use causeway_protocol::message::{EntryGrant, ServerMessage};
use causeway_protocol::record::Made;
use causeway_protocol::token::{Grants, JoinClaims, RoomRole};
use causeway_protocol::{CloseCode, Epoch, PeerId, UnixSeconds};
use causeway_signal_core::{Door, Effect, Ending, ResumeLimits, RoomSettings, SessionId};

/// What an effect does.
#[derive(Clone, Debug)]
pub enum Done {
    /// These connections are sent this.
    Said { to: Vec<SessionId>, message: ServerMessage },
    /// ICE servers are minted.
    Granted { to: SessionId },
    /// A host token is looked at.
    Asked { session: SessionId },
    /// Relays hear that the peer's credentials are void.
    Revoked { peer: PeerId },
    /// The record is written.
    Saved,
    /// The connection is closed.
    Closed { session: SessionId, code: CloseCode },
    /// The room is over.
    Ended(Ending),
}

pub fn done(effects: Vec<Effect>) -> Vec<Done> {
    effects.into_iter().map(one).collect()
}

fn one(effect: Effect) -> Done {
    match effect {
        Effect::Event { to, event } => {
            let message: ServerMessage = serde_json::from_str(&event.text).unwrap();
            assert_eq!(serde_json::to_value(&message).unwrap()["seq"], event.seq);
            Done::Said { to, message }
        }
        Effect::Send { to, message } => Done::Said { to, message },
        Effect::Greet { to, pass: _, greeting } => {
            Done::Said { to: vec![to], message: greeting.with(grant()) }
        }
        Effect::GrantIce { to, peer: _ } => Done::Granted { to },
        Effect::VerifyHost { session, token: _ } => Done::Asked { session },
        Effect::Revoke { peer } => Done::Revoked { peer },
        Effect::Save => Done::Saved,
        Effect::Close { session, code } => Done::Closed { session, code },
        Effect::Ended(ending) => Done::Ended(ending),
    }
}

fn grant() -> EntryGrant {
    EntryGrant {
        resume_token: String::new(),
        resume_seconds: 30,
        ice_servers: Vec::new(),
        ice_expires_at: UnixSeconds(0),
    }
}

/// A room for three that anybody may enter.
pub fn settings() -> RoomSettings {
    RoomSettings {
        id: "kitchen".parse().unwrap(),
        epoch: Epoch(1),
        capacity: 3,
        ttl: Duration::from_secs(3600),
        door: Door { password: false, invite_only: false, lobby: false },
        made: Made::default(),
        resume: ResumeLimits::default(),
    }
}

/// What the join token of a guest says.
pub fn guest(peer: &PeerId) -> JoinClaims {
    JoinClaims {
        aud: String::new(),
        sub: peer.clone(),
        room: "kitchen".parse().unwrap(),
        role: RoomRole::Guest,
        name: None,
        grants: Grants::default(),
        exp: UnixSeconds(1_800_000_060),
        jti: format!("t-{peer}").parse().unwrap(),
    }
}

pub fn peer(name: &str) -> PeerId {
    name.parse().unwrap()
}
