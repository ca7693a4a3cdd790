//! What the owner of a room answers to those at its door, here or on another node.

use causeway_protocol::ErrorCode;
use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::node::{Answer, Question, ShownKey};
use causeway_protocol::rest::RoomFacts;
use causeway_protocol::token::RoomRole;
use causeway_signal_core::Admission;

use super::owner::{Around, Owner};
use crate::password::PasswordHash;

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

    /// The hash that a password has to fit.
    pub(crate) fn password(&self) -> Option<PasswordHash> {
        self.room.made().password.clone().map(PasswordHash::from_phc)
    }

    /// Lets somebody with a verified key in, or says why not.
    pub(crate) fn admit(&mut self, key: ShownKey, around: &mut Around<'_>) -> Result<RoomRole, ErrorCode> {
        let admitted = self.room.admit(key, around.now).map_err(|refused| refused.code());
        let Admission { role, effects } = admitted?;
        // None of them ends the room.
        self.perform_all(effects, around);
        Ok(role)
    }

    /// Whether the room is this app's; for others it is not there.
    pub(crate) fn is_of(&self, app: &ApiKeyId) -> Result<(), ErrorCode> {
        if self.room.app() == Some(app) { Ok(()) } else { Err(ErrorCode::RoomNotFound) }
    }

    /// Answers another node.
    pub(crate) fn answer(&mut self, ask: Question, around: &mut Around<'_>) -> Answer {
        match ask {
            Question::Facts {} => Answer::Facts { facts: Box::new(self.facts()) },
            Question::Password {} => Answer::Password { hash: self.room.made().password.clone() },
            // An order is an input, which is the actor's to take.
            Question::App { .. } => Answer::Refused { code: ErrorCode::Internal },
            Question::Admit { key } => match self.admit(key, around) {
                Ok(role) => Answer::Admitted { role },
                Err(code) => Answer::Refused { code },
            },
        }
    }
}
