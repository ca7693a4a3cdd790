//! What the owner of a room answers to those at its door, here or on another node.

use causeway_protocol::ErrorCode;
use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::node::{Answer, Question, ShownKey, ShownOnce};
use causeway_protocol::record::RoomRecord;
use causeway_protocol::rest::RoomFacts;
use causeway_protocol::token::RoomRole;
use causeway_service::clock;
use causeway_signal_core::Key;

use super::owner::Owner;

impl Owner {
    /// What one needs to know before joining.
    pub(crate) fn facts(&self) -> RoomFacts {
        let door = self.room.door();
        RoomFacts {
            room: self.room.id().clone(),
            password_required: door.password,
            invite_required: door.invite_only,
            lobby: door.lobby,
            locked: self.room.locked(),
            capacity: self.room.capacity(),
            peers: self.room.peers(),
            expires_at: self.room.expires_at(),
        }
    }

    /// What has to be kept of the room.
    pub(crate) fn record(&self) -> RoomRecord {
        self.room.record(clock::now())
    }

    /// Lets somebody with a verified key in, or says why not.
    pub(crate) fn admit(&mut self, key: ShownKey) -> Result<RoomRole, ErrorCode> {
        let key = match key {
            ShownKey::None => Key::None,
            ShownKey::Password => Key::Password,
            ShownKey::Invite { id, expires_at } => Key::Invite { id, expires_at },
            ShownKey::Host => Key::Host,
            ShownKey::App { key, peer, role, once } => {
                let once = once.map(|ShownOnce { id, expires_at }| (id, expires_at));
                Key::App { key, peer, role, once }
            }
        };
        // The only thing that follows, and follows only from an invite, is that the record is kept: the caller does that.
        self.room.admit(key, clock::now()).map(|admission| admission.role).map_err(|refused| refused.code())
    }

    /// Whether the room is this app's; for others it is not there.
    pub(crate) fn is_of(&self, app: &ApiKeyId) -> Result<(), ErrorCode> {
        if self.room.app() == Some(app) { Ok(()) } else { Err(ErrorCode::RoomNotFound) }
    }

    /// Answers another node.
    pub(crate) fn answer(&mut self, ask: Question) -> Answer {
        match ask {
            Question::Facts {} => Answer::Facts { facts: Box::new(self.facts()) },
            Question::Password {} => {
                Answer::Password { hash: self.password.as_ref().map(|hash| hash.as_phc().to_owned()) }
            }
            Question::End { app } => match self.is_of(&app) {
                Ok(()) => Answer::Done {},
                Err(code) => Answer::Refused { code },
            },
            Question::Admit { key } => match self.admit(key) {
                Ok(role) => Answer::Admitted { role },
                Err(code) => Answer::Refused { code },
            },
        }
    }
}
