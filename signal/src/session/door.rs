//! A session at the door: it shows a token, and finds the room that this is for.

use actix::Addr;
use causeway_protocol::message::{ClientMessage, Pass, Position, ServerMessage};
use causeway_protocol::token::{JoinClaims, ResumeClaims};
use causeway_protocol::{CloseCode, ErrorCode, PROTOCOL_VERSION, PeerId, RoomId};
use causeway_service::clock;

use super::Session;
use crate::access::{self, Entered};
use crate::attach::{NoRoom, attach};
use crate::farewell::Farewell;
use crate::outbox::Frame;
use crate::room::{Entrance, RoomActor};
use crate::{metrics, text};

/// A genuine token, and the room that it is for.
pub(crate) struct Entry {
    pub(super) room: Addr<RoomActor>,
    pub(super) who: (RoomId, PeerId),
    pub(super) entrance: Entrance,
}

impl Entry {
    pub(crate) const fn room_id(&self) -> &RoomId {
        &self.who.0
    }

    fn join(room: Addr<RoomActor>, claims: JoinClaims) -> Self {
        let who = (claims.room.clone(), claims.sub.clone());
        Self { room, who, entrance: Entrance::Join(Box::new(claims)) }
    }

    fn resume(room: Addr<RoomActor>, id: RoomId, pass: Pass, position: Position) -> Self {
        let who = (id, pass.peer.clone());
        Self { room, who, entrance: Entrance::Resume(Box::new(pass), position) }
    }
}

impl Session {
    pub(super) async fn on_hello(&mut self, message: &ClientMessage) -> Option<Entry> {
        match message {
            ClientMessage::Hello { version, token } if *version == PROTOCOL_VERSION => self.show(token).await,
            ClientMessage::Hello { .. } => {
                self.refuse_entry("hello", ErrorCode::VersionUnsupported, CloseCode::BadMessage)
            }
            ClientMessage::Resume { version, token, epoch, seq } if *version == PROTOCOL_VERSION => {
                self.resume(token, Position { epoch: *epoch, seq: *seq }).await
            }
            ClientMessage::Resume { .. } => {
                self.refuse_entry("resume", ErrorCode::VersionUnsupported, CloseCode::BadMessage)
            }
            other => {
                self.refuse_first(other.kind());
                None
            }
        }
    }

    /// Shows a join token. A refusal is told and ends the connection.
    pub(super) async fn show(&mut self, token: &str) -> Option<Entry> {
        if access::is_an_apps(token) {
            return self.show_an_apps(token).await;
        }
        let claims = match self.signal.joins.check(token, clock::now().unix) {
            Ok(claims) => claims,
            Err(error) => return self.refuse_entry("hello", error.code(), CloseCode::TokenRefused),
        };
        let room = self.find("hello", &claims.room).await?;
        Some(Entry::join(room, claims))
    }

    /// Shows a token that an app minted, which may first have to fetch keys and make the room.
    async fn show_an_apps(&mut self, token: &str) -> Option<Entry> {
        match access::enter(&self.signal, token, None).await {
            Ok(Entered { claims, room, once: _ }) => Some(Entry::join(room, claims)),
            Err(refused) => {
                metrics::refused(refused.code().as_str());
                self.push(Frame::Text(text::of(&ServerMessage::Error {
                    code: refused.code(),
                    message: refused.message().to_owned(),
                    refused: Some("hello".to_owned()),
                })));
                self.outbox.close(Farewell::Say(refused.close_code()));
                None
            }
        }
    }

    /// Shows a resume token.
    async fn resume(&mut self, token: &str, position: Position) -> Option<Entry> {
        let claims = match self.signal.resumes.check(token, clock::now().unix) {
            Ok(claims) => claims,
            Err(error) => return self.refuse_entry("resume", error.code(), CloseCode::ResumeRefused),
        };
        let ResumeClaims { room: id, pass, aud: _, exp: _ } = claims;
        let room = self.find("resume", &id).await?;
        Some(Entry::resume(room, id, pass, position))
    }

    /// The room, wherever it lives.
    async fn find(&mut self, shown: &str, room: &RoomId) -> Option<Addr<RoomActor>> {
        match attach(&self.signal, room).await {
            Ok(room) => Some(room),
            Err(NoRoom::NotFound) => {
                self.refuse_entry(shown, ErrorCode::RoomNotFound, CloseCode::RoomNotFound)
            }
            Err(NoRoom::Unavailable) => self.refuse_entry(shown, ErrorCode::Unavailable, CloseCode::Internal),
        }
    }

    /// Tells why a token opens nothing, and ends the connection.
    fn refuse_entry<T>(&self, shown: &str, code: ErrorCode, close: CloseCode) -> Option<T> {
        self.tell_error(code, Some(shown.to_owned()));
        self.outbox.close(Farewell::Say(close));
        None
    }

    /// The first message has to show a token.
    pub(super) fn refuse_first(&mut self, kind: &str) {
        self.tell_error(ErrorCode::BadMessage, Some(kind.to_owned()));
        self.refuse(CloseCode::BadMessage);
    }
}
