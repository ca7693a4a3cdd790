//! The session's actor: one WebSocket, from its opening to its end.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_web::error::PayloadError;
use actix_ws::{AggregatedMessage, CloseReason, ProtocolError};
use causeway_protocol::message::{ClientMessage, Pass, Position, ServerMessage};
use causeway_protocol::token::{JoinClaims, ResumeClaims, TokenError};
use causeway_protocol::{CloseCode, ErrorCode, Moment, PROTOCOL_VERSION, PeerId, RoomId};
use causeway_service::clock;
use causeway_signal_core::{Gone, SessionId};
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::access::{self, Entered};
use crate::attach::{NoRoom, attach};
use crate::farewell::Farewell;
use crate::ice::IceUrls;
use crate::limits::Ingress;
use crate::metrics;
use crate::outbox::{Frame, Outbox};
use crate::room::{Enter, Entrance, Garbled, RoomActor, Said, Went};
use crate::slots::Slot;
use crate::state::{Drain, Signal};
use crate::text;

/// One WebSocket.
pub(crate) struct Session {
    id: SessionId,
    signal: Arc<Signal>,
    outbox: Outbox,
    ingress: Ingress,
    ice_urls: Arc<IceUrls>,
    /// Where we see the client.
    seen_at: IpAddr,
    heard: Moment,
    place: Place,
    /// What the room is told when the connection ends.
    why: Gone,
    _slot: Slot,
}

enum Place {
    /// No genuine token yet.
    Door,
    /// Handed over to this room, which may still refuse.
    Room {
        room: Addr<RoomActor>,
        /// By what the messages of its peer are counted.
        who: (RoomId, PeerId),
    },
}

/// The writer has said its farewell.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Written(pub(crate) Farewell);

impl Session {
    pub(crate) fn new(
        signal: Arc<Signal>,
        outbox: Outbox,
        ice_urls: IceUrls,
        seen_at: IpAddr,
        slot: Slot,
    ) -> Self {
        Self {
            id: signal.next_session(),
            ingress: Ingress::new(&signal.settings().limits),
            outbox,
            ice_urls: Arc::new(ice_urls),
            seen_at,
            heard: clock::now().moment,
            place: Place::Door,
            why: Gone::Disconnected,
            signal,
            _slot: slot,
        }
    }

    /// Shows a join token. A refusal is told and ends the connection.
    pub(crate) fn enter(&mut self, token: &str, ctx: &mut Context<Self>) {
        if access::is_an_apps(token) {
            return self.enter_with_an_apps(token, ctx);
        }
        let claims = match self.signal.joins.check(token, clock::now().unix) {
            Ok(claims) => claims,
            Err(TokenError::Invalid) => {
                return self.refuse_entry(ErrorCode::TokenInvalid, CloseCode::TokenRefused);
            }
            Err(TokenError::Expired) => {
                return self.refuse_entry(ErrorCode::TokenExpired, CloseCode::TokenRefused);
            }
        };
        if let Some(room) = self.signal.rooms.find(&claims.room) {
            return self.enter_room(&room, claims, ctx);
        }
        let (signal, id) = (Arc::clone(&self.signal), claims.room.clone());
        let found = async move { attach(&signal, &id).await };
        ctx.wait(found.into_actor(self).map(|found, session, ctx| match found {
            Ok(room) => session.enter_room(&room, claims, ctx),
            Err(NoRoom::NotFound) => {
                session.refuse_entry(ErrorCode::RoomNotFound, CloseCode::RoomNotFound);
            }
            Err(NoRoom::Unavailable) => {
                session.refuse_entry(ErrorCode::Unavailable, CloseCode::Internal);
            }
        }));
    }

    fn enter_room(&mut self, room: &Addr<RoomActor>, claims: JoinClaims, ctx: &mut Context<Self>) {
        self.place = Place::Room { room: room.clone(), who: (claims.room.clone(), claims.sub.clone()) };
        let outbox = self.outbox.clone();
        let enter = Enter {
            session: self.id,
            entrance: Entrance::Join(Box::new(claims)),
            outbox,
            ice_urls: Arc::clone(&self.ice_urls),
            seen_at: self.seen_at,
        };
        self.tell_room(room.send(enter), ctx);
    }

    /// Shows a token that an app minted, which may first have to fetch keys and make the room.
    fn enter_with_an_apps(&mut self, token: &str, ctx: &mut Context<Self>) {
        let (signal, token) = (Arc::clone(&self.signal), token.to_owned());
        let entered = async move { access::enter(&signal, &token, None).await };
        ctx.wait(entered.into_actor(self).map(|entered, session, ctx| match entered {
            Ok(Entered { claims, room, once: _ }) => session.enter_room(&room, claims, ctx),
            Err(refused) => {
                metrics::refused(refused.code().as_str());
                session.push(Frame::Text(text::of(&ServerMessage::Error {
                    code: refused.code(),
                    message: refused.message().to_owned(),
                    refused: Some("hello".to_owned()),
                })));
                session.outbox.close(Farewell::Say(refused.close_code()));
            }
        }));
    }

    fn refuse_entry(&self, code: ErrorCode, close: CloseCode) {
        self.tell_error(code, Some("hello".to_owned()));
        self.outbox.close(Farewell::Say(close));
    }

    /// Waits until the room has taken the message: that is what slows a fast sender down.
    fn tell_room<M>(&self, sent: Request<RoomActor, M>, ctx: &mut Context<Self>)
    where
        M: Message<Result = ()> + Send + 'static,
        RoomActor: Handler<M>,
    {
        ctx.wait(sent.into_actor(self).map(|taken, session, _| {
            if taken.is_err() {
                // A room that ended has said so to the outbox before; this is a room that panicked.
                session.outbox.close(Farewell::Say(CloseCode::Internal));
            }
        }));
    }

    fn on_text(&mut self, text: &str, ctx: &mut Context<Self>) {
        let message = match serde_json::from_str::<ClientMessage>(text) {
            Ok(message) => message,
            // A message can be found wrong before all of it was read, so whether the rest is JSON is asked here.
            Err(error) if error.is_data() && is_json(text) => return self.on_unknown(text, ctx),
            Err(_not_json) => {
                self.tell_error(ErrorCode::BadJson, None);
                return self.refuse(CloseCode::BadMessage);
            }
        };
        metrics::message(message.kind());
        match &self.place {
            Place::Door => self.on_hello(&message, ctx),
            Place::Room { room, .. } => self.tell_room(room.send(Said { session: self.id, message }), ctx),
        }
    }

    fn on_hello(&mut self, message: &ClientMessage, ctx: &mut Context<Self>) {
        let (version, token) = match message {
            ClientMessage::Hello { version, token } => (version, token),
            ClientMessage::Resume { version, token, epoch, seq } => {
                let position = Position { epoch: *epoch, seq: *seq };
                return self.on_resume(*version, token, position, ctx);
            }
            other => return self.refuse_entry_message(other.kind()),
        };
        if *version == PROTOCOL_VERSION {
            self.enter(token, ctx);
        } else {
            self.refuse_entry(ErrorCode::VersionUnsupported, CloseCode::BadMessage);
        }
    }

    fn on_resume(&mut self, version: u16, token: &str, position: Position, ctx: &mut Context<Self>) {
        if version != PROTOCOL_VERSION {
            return self.refuse_resume(ErrorCode::VersionUnsupported, CloseCode::BadMessage);
        }
        let claims = match self.signal.resumes.check(token, clock::now().unix) {
            Ok(claims) => claims,
            Err(TokenError::Invalid) => {
                return self.refuse_resume(ErrorCode::TokenInvalid, CloseCode::ResumeRefused);
            }
            Err(TokenError::Expired) => {
                return self.refuse_resume(ErrorCode::TokenExpired, CloseCode::ResumeRefused);
            }
        };
        let ResumeClaims { room: id, pass, aud: _, exp: _ } = claims;
        if let Some(room) = self.signal.rooms.find(&id) {
            return self.return_to(&room, id, pass, position, ctx);
        }
        let signal = Arc::clone(&self.signal);
        let found = {
            let id = id.clone();
            async move { attach(&signal, &id).await }
        };
        ctx.wait(found.into_actor(self).map(move |found, session, ctx| match found {
            Ok(room) => session.return_to(&room, id, pass, position, ctx),
            Err(NoRoom::NotFound) => {
                session.refuse_resume(ErrorCode::RoomNotFound, CloseCode::RoomNotFound);
            }
            Err(NoRoom::Unavailable) => {
                session.refuse_resume(ErrorCode::Unavailable, CloseCode::Internal);
            }
        }));
    }

    fn return_to(
        &mut self,
        room: &Addr<RoomActor>,
        id: RoomId,
        pass: Pass,
        position: Position,
        ctx: &mut Context<Self>,
    ) {
        self.place = Place::Room { room: room.clone(), who: (id, pass.peer.clone()) };
        let back = Enter {
            session: self.id,
            entrance: Entrance::Resume(Box::new(pass), position),
            outbox: self.outbox.clone(),
            ice_urls: Arc::clone(&self.ice_urls),
            seen_at: self.seen_at,
        };
        self.tell_room(room.send(back), ctx);
    }

    fn refuse_resume(&self, code: ErrorCode, close: CloseCode) {
        self.tell_error(code, Some("resume".to_owned()));
        self.outbox.close(Farewell::Say(close));
    }

    fn refuse_entry_message(&mut self, kind: &str) {
        self.tell_error(ErrorCode::BadMessage, Some(kind.to_owned()));
        self.refuse(CloseCode::BadMessage);
    }

    /// JSON that is no message of this version. A member may be newer than this server: it is told and stays.
    fn on_unknown(&mut self, text: &str, ctx: &mut Context<Self>) {
        #[derive(Deserialize)]
        struct Tag {
            r#type: String,
        }
        metrics::message("unknown");
        let kind = serde_json::from_str::<Tag>(text).ok().map(|tag| tag.r#type);
        match &self.place {
            Place::Door => self.refuse_entry_message(kind.as_deref().unwrap_or("")),
            Place::Room { room, .. } => self.tell_room(room.send(Garbled { session: self.id, kind }), ctx),
        }
    }

    fn tell_error(&self, code: ErrorCode, refused: Option<String>) {
        metrics::refused(code.as_str());
        let message = ServerMessage::Error { code, message: code.sentence().to_owned(), refused };
        self.push(Frame::Text(text::of(&message)));
    }

    fn push(&self, frame: Frame) {
        if self.outbox.push(frame).is_err() {
            self.outbox.close(Farewell::Say(CloseCode::Stalled));
        }
    }

    fn refuse(&mut self, code: CloseCode) {
        self.why = Gone::Refused;
        self.outbox.close(Farewell::Say(code));
    }

    /// Whether the peer may say one more: another connection brings no new burst.
    fn peer_may(&self) -> bool {
        match &self.place {
            Place::Door => true,
            Place::Room { who, .. } => self.signal.limits().peers.allows(who, clock::now()),
        }
    }

    fn on_beat(&mut self) {
        let silent = clock::now().moment.since(self.heard);
        if silent > Duration::from_millis(self.signal.settings().timing.silence_ms) {
            self.why = Gone::TimedOut;
            self.outbox.close(Farewell::Say(CloseCode::TimedOut));
        } else {
            self.push(Frame::Ping);
        }
    }

    fn on_failure(&mut self, error: &ProtocolError) {
        match error {
            ProtocolError::Overflow => self.refuse(CloseCode::TooLarge),
            ProtocolError::Io(error) if is_overflow(error) => self.refuse(CloseCode::TooLarge),
            ProtocolError::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                self.refuse(CloseCode::BadMessage);
            }
            // The TCP connection ended without a closing handshake, as it does when a lid is shut.
            ProtocolError::Io(error) => {
                tracing::debug!(%error, "connection lost");
                self.outbox.close(Farewell::Nobody);
            }
            broken => {
                tracing::debug!(error = %broken, "not a WebSocket frame");
                self.refuse(CloseCode::BadMessage);
            }
        }
    }
}

/// Whether a close frame means that the client goes for good, as a closed tab's does (1001). With any other code than a browser's
/// own it may come back.
fn says_goodbye(reason: Option<&CloseReason>) -> bool {
    match reason.map(|reason| reason.code) {
        None | Some(actix_ws::CloseCode::Normal | actix_ws::CloseCode::Away) => true,
        Some(_) => false,
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Whether the frame gate found the message too large.
fn is_overflow(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<PayloadError>());
    matches!(inner, Some(PayloadError::Overflow))
}

impl Actor for Session {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let timing = &self.signal.settings().timing;
        ctx.run_interval(Duration::from_millis(timing.ping_ms), |session, _| session.on_beat());
        ctx.run_later(Duration::from_millis(timing.hello_ms), |session, _| match session.place {
            Place::Door => session.outbox.close(Farewell::Say(CloseCode::TimedOut)),
            Place::Room { .. } => {}
        });
        let mut drain = self.signal.drain();
        let leave = async move {
            let leaving = drain.wait_for(|drain| matches!(drain, Drain::Leaving { .. })).await;
            let Some(Drain::Leaving { over }) = leaving.ok().map(|drain| *drain) else { return false };
            tokio::time::sleep(over.mul_f64(rand::random())).await;
            true
        };
        ctx.spawn(leave.into_actor(self).map(|leaves, session, _| {
            if leaves {
                session.outbox.close(Farewell::Say(CloseCode::Draining));
            }
        }));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.outbox.close(Farewell::Nobody);
        if let Place::Room { room, .. } = &self.place {
            let (room, went) = (room.clone(), Went { session: self.id, why: self.why });
            // Whoever waits for a busy room here must not be this actor: it is over.
            actix::spawn(async move {
                let _room_over = room.send(went).await;
            });
        }
    }
}

impl StreamHandler<Result<AggregatedMessage, ProtocolError>> for Session {
    fn handle(&mut self, item: Result<AggregatedMessage, ProtocolError>, ctx: &mut Self::Context) {
        if item.is_err() {
            // The codec stays at the bytes that it could not read, and would fail on them for ever.
            ctx.stop();
        }
        if self.outbox.said_farewell() {
            return;
        }
        self.heard = clock::now().moment;
        let len = match &item {
            Ok(AggregatedMessage::Text(text)) => text.len(),
            Ok(AggregatedMessage::Binary(bytes)) => bytes.len(),
            Ok(AggregatedMessage::Ping(_) | AggregatedMessage::Pong(_) | AggregatedMessage::Close(_))
            | Err(_) => 0,
        };
        if !self.ingress.allows(len) {
            return self.refuse(CloseCode::RateLimited);
        }
        match item {
            Ok(AggregatedMessage::Text(_)) if !self.peer_may() => self.refuse(CloseCode::RateLimited),
            Ok(AggregatedMessage::Text(text)) => self.on_text(&text, ctx),
            Ok(AggregatedMessage::Binary(_)) => self.refuse(CloseCode::BadMessage),
            Ok(AggregatedMessage::Ping(payload)) => self.push(Frame::Pong(payload)),
            Ok(AggregatedMessage::Pong(_)) => {}
            Ok(AggregatedMessage::Close(reason)) => {
                if says_goodbye(reason.as_ref()) {
                    self.why = Gone::Closed;
                }
                self.outbox.close(Farewell::Reply);
            }
            Err(error) => self.on_failure(&error),
        }
    }
}

impl Handler<Written> for Session {
    type Result = ();

    fn handle(&mut self, Written(farewell): Written, ctx: &mut Self::Context) {
        if farewell == Farewell::Say(CloseCode::Stalled) {
            self.why = Gone::Stalled;
        }
        // The stream ends with the closing handshake, and the actor with the stream. This is for connections
        // that stay open all the same.
        let linger = Duration::from_millis(self.signal.settings().timing.linger_ms);
        ctx.run_later(linger, |_, ctx| ctx.stop());
    }
}
