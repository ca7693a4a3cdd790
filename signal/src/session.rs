//! The session: one WebSocket, from the end of its opening handshake to its end. It begins on the HTTP thread that accepted it, and
//! goes on on the thread of its room as soon as it is known which room that is: what its client says, and what it hears, then
//! wakes no other thread.

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{self, CloseReason};
use causeway_protocol::message::{ClientMessage, Pass, Position, ServerMessage};
use causeway_protocol::token::{JoinClaims, ResumeClaims, TokenError};
use causeway_protocol::{CloseCode, ErrorCode, Moment, PROTOCOL_VERSION, PeerId, RoomId};
use causeway_service::clock;
use causeway_signal_core::{Gone, SessionId};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::access::{self, Entered};
use crate::attach::{NoRoom, attach};
use crate::farewell::Farewell;
use crate::frames::{Frames, Heard, Unreadable};
use crate::ice::IceUrls;
use crate::limits::Ingress;
use crate::outbox::{Frame, Outbox, Writer, outbox};
use crate::room::{Enter, Entrance, Garbled, RoomActor, Said, Went};
use crate::slots::Slot;
use crate::socket::Place;
use crate::state::{Drain, Signal};
use crate::{metrics, socket, text};

/// A WebSocket that is about to open.
pub(crate) struct Opening {
    pub(crate) signal: Arc<Signal>,
    pub(crate) slot: Slot,
    pub(crate) ice_urls: IceUrls,
    /// Where we see the client.
    pub(crate) seen_at: IpAddr,
    /// The join token, if the handshake brought it.
    pub(crate) token: Option<String>,
}

/// The session, what writes for it, and the connection below both.
struct Connection {
    session: Session,
    writer: Writer,
    stream: TcpStream,
}

/// One WebSocket's session: it hears, and its outbox speaks.
struct Session {
    id: SessionId,
    signal: Arc<Signal>,
    outbox: Outbox,
    frames: Frames,
    ingress: Ingress,
    ice_urls: Arc<IceUrls>,
    seen_at: IpAddr,
    heard: Moment,
    whereabouts: Whereabouts,
    /// What the room is told when the connection ends.
    why: Gone,
    /// Until it is over.
    slot: Option<Slot>,
    /// Until the connection is gone.
    _place: Place,
}

enum Whereabouts {
    /// No genuine token yet.
    Door,
    /// Handed over to this room, which may still refuse.
    Room {
        room: Addr<RoomActor>,
        /// By what the messages of its peer are counted.
        who: (RoomId, PeerId),
    },
}

/// A genuine token, and the room that it is for.
struct Entry {
    room: Addr<RoomActor>,
    who: (RoomId, PeerId),
    entrance: Entrance,
}

/// A message on its way to the room. Boxed: most connections have none under way most of the time, and wait without the room
/// for one.
type Sent<M> = Pin<Box<Request<RoomActor, M>>>;

fn send<M>(room: &Addr<RoomActor>, message: M) -> Sent<M>
where
    M: Message<Result = ()> + Send + 'static,
    RoomActor: Handler<M>,
{
    Box::pin(room.send(message))
}

impl Opening {
    /// The handshake is over. `early` came together with it.
    pub(crate) fn begin(self, stream: TcpStream, early: &[u8], place: Place) {
        let Self { signal, slot, ice_urls, seen_at, token } = self;
        let settings = signal.settings();
        let (outbox, writer) = outbox(&settings.limits, &settings.timing);
        let mut session = Session {
            id: signal.next_session(),
            ingress: Ingress::new(&settings.limits),
            outbox,
            frames: Frames::new(),
            ice_urls: Arc::new(ice_urls),
            seen_at,
            heard: clock::now().moment,
            whereabouts: Whereabouts::Door,
            why: Gone::Disconnected,
            signal,
            slot: Some(slot),
            _place: place,
        };
        if let Err(unreadable) = session.frames.feed(early) {
            session.on_unreadable(unreadable);
        }
        actix_web::rt::spawn(Box::new(Connection { session, writer, stream }).at_the_door(token));
    }
}

impl Connection {
    /// Until there is a genuine token, or none will come.
    async fn at_the_door(mut self: Box<Self>, token: Option<String>) {
        let Self { session, writer, stream } = &mut *self;
        let knocked = tokio::select! {
            biased;
            entry = session.knock(token, stream) => entry.ok_or(None),
            farewell = writer.run(stream) => Err(Some(farewell)),
        };
        match knocked {
            Ok(entry) => self.move_in(entry),
            Err(written) => self.part(written).await,
        }
    }

    /// Goes on on the room's thread.
    fn move_in(self: Box<Self>, entry: Entry) {
        let Self { session, writer, stream } = *self;
        let signal = Arc::clone(&session.signal);
        let Ok(stream) = stream.into_std() else { return };
        let room = entry.who.0.clone();
        let moved = signal.rooms.spawn_with(&room, move || match TcpStream::from_std(stream) {
            Ok(stream) => {
                let mut connection = Box::new(Self { session, writer, stream });
                let entering = connection.session.enter(entry);
                actix::spawn(connection.inside(entering));
            }
            Err(error) => tracing::warn!(%error, "a connection could not be moved to its room's thread"),
        });
        if !moved {
            tracing::debug!(%room, "a connection came when its room's thread had ended");
        }
    }

    async fn inside(mut self: Box<Self>, entering: Sent<Enter>) {
        let Self { session, writer, stream } = &mut *self;
        let written = tokio::select! {
            biased;
            () = session.stay(entering, stream) => None,
            farewell = writer.run(stream) => Some(farewell),
        };
        // Boxed: what a connection needs at its end it does not carry all the time.
        Box::pin(self.part(written)).await;
    }

    /// The end: the client hears of it, if that is still to be `written`, and the room.
    async fn part(&mut self, written: Option<Farewell>) {
        let Self { session, writer, stream } = self;
        let farewell = match written {
            Some(farewell) => farewell,
            None => {
                session.outbox.close(Farewell::Nobody);
                writer.run(stream).await
            }
        };
        if farewell == Farewell::Say(CloseCode::Stalled) {
            session.why = Gone::Stalled;
        }
        session.leave();
        metrics::closed(farewell.label());
        tracing::debug!(reason = farewell.label(), "session ended");
        // The session is over; the connection counts until it is gone.
        session.slot = None;
        socket::part(stream, Duration::from_millis(session.signal.settings().timing.linger_ms)).await;
    }
}

impl Session {
    /// Shows the token of the handshake, or waits for one.
    async fn knock(&mut self, token: Option<String>, stream: &TcpStream) -> Option<Entry> {
        let entry = match token {
            Some(token) => self.show(&token).await,
            None => None,
        };
        match entry {
            Some(entry) => Some(entry),
            None => self.hear(stream).await,
        }
    }

    fn enter(&mut self, entry: Entry) -> Sent<Enter> {
        let Entry { room, who, entrance } = entry;
        let entering = send(
            &room,
            Enter {
                session: self.id,
                entrance,
                outbox: self.outbox.clone(),
                ice_urls: Arc::clone(&self.ice_urls),
                seen_at: self.seen_at,
            },
        );
        self.whereabouts = Whereabouts::Room { room, who };
        entering
    }

    /// Is in the room until the connection ends.
    async fn stay(&mut self, entering: Sent<Enter>, stream: &TcpStream) {
        self.wait(entering).await;
        let _only_at_the_door = self.hear(stream).await;
    }

    /// Hears until a token opens the door, or nothing more comes.
    async fn hear(&mut self, stream: &TcpStream) -> Option<Entry> {
        let mut alarm = pin!(sleep(self.until_alarm()));
        let mut sent_away = pin!(sent_away(self.signal.drain()));
        let mut stays = true;
        loop {
            loop {
                match self.frames.next() {
                    Ok(Some(heard)) => {
                        if let Some(entry) = self.on_heard(heard).await {
                            return Some(entry);
                        }
                    }
                    Ok(None) => break,
                    Err(unreadable) => {
                        self.on_unreadable(unreadable);
                        return None;
                    }
                }
            }
            let Self { frames, .. } = self;
            let read = tokio::select! {
                biased;
                () = &mut sent_away, if stays => {
                    stays = false;
                    self.outbox.close(Farewell::Say(CloseCode::Draining));
                    continue;
                }
                () = &mut alarm => {
                    self.on_alarm();
                    alarm.as_mut().reset(Instant::now() + self.until_alarm());
                    continue;
                }
                read = socket::read(stream, |bytes| frames.feed(bytes).map(|()| !bytes.is_empty())) => read,
            };
            match read {
                Ok(Ok(true)) => {}
                // Without a closing handshake, as it ends when a lid is shut.
                Ok(Ok(false)) => return None,
                Ok(Err(unreadable)) => {
                    self.on_unreadable(unreadable);
                    return None;
                }
                Err(error) => {
                    self.on_lost(&error);
                    return None;
                }
            }
        }
    }

    async fn on_heard(&mut self, heard: Heard) -> Option<Entry> {
        if self.outbox.said_farewell() {
            return None;
        }
        self.heard = clock::now().moment;
        if !self.ingress.allows(heard.len()) {
            self.refuse(CloseCode::RateLimited);
            return None;
        }
        match heard {
            Heard::Text(_) if !self.peer_may() => self.refuse(CloseCode::RateLimited),
            Heard::Text(text) => return self.on_text(&text).await,
            Heard::Binary(_) => self.refuse(CloseCode::BadMessage),
            Heard::Ping(payload) => self.push(Frame::Pong(payload)),
            Heard::Pong => {}
            Heard::Close(reason) => {
                if says_goodbye(reason.as_ref()) {
                    self.why = Gone::Closed;
                }
                self.outbox.close(Farewell::Reply);
            }
        }
        None
    }

    async fn on_text(&mut self, text: &str) -> Option<Entry> {
        let message = match serde_json::from_str::<ClientMessage>(text) {
            Ok(message) => message,
            // A message can be found wrong before all of it was read, so whether the rest is JSON is asked here.
            Err(error) if error.is_data() && is_json(text) => {
                self.on_unknown(text).await;
                return None;
            }
            Err(_not_json) => {
                self.tell_error(ErrorCode::BadJson, None);
                self.refuse(CloseCode::BadMessage);
                return None;
            }
        };
        metrics::message(message.kind());
        match &self.whereabouts {
            // Boxed: a session is at the door for a moment, and then must not carry what finding a room takes.
            Whereabouts::Door => Box::pin(self.on_hello(&message)).await,
            Whereabouts::Room { room, .. } => {
                self.wait(send(room, Said { session: self.id, message })).await;
                None
            }
        }
    }

    async fn on_hello(&mut self, message: &ClientMessage) -> Option<Entry> {
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
    async fn show(&mut self, token: &str) -> Option<Entry> {
        if access::is_an_apps(token) {
            return self.show_an_apps(token).await;
        }
        let refused = |error| match error {
            TokenError::Invalid => ErrorCode::TokenInvalid,
            TokenError::Expired => ErrorCode::TokenExpired,
        };
        let claims = match self.signal.joins.check(token, clock::now().unix).map_err(refused) {
            Ok(claims) => claims,
            Err(code) => return self.refuse_entry("hello", code, CloseCode::TokenRefused),
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
        let refused = |error| match error {
            TokenError::Invalid => ErrorCode::TokenInvalid,
            TokenError::Expired => ErrorCode::TokenExpired,
        };
        let claims = match self.signal.resumes.check(token, clock::now().unix).map_err(refused) {
            Ok(claims) => claims,
            Err(code) => return self.refuse_entry("resume", code, CloseCode::ResumeRefused),
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
    fn refuse_first(&mut self, kind: &str) {
        self.tell_error(ErrorCode::BadMessage, Some(kind.to_owned()));
        self.refuse(CloseCode::BadMessage);
    }

    /// JSON that is no message of this version. A member may be newer than this server: it is told and stays.
    async fn on_unknown(&mut self, text: &str) {
        #[derive(Deserialize)]
        struct Tag {
            r#type: String,
        }
        metrics::message("unknown");
        let kind = serde_json::from_str::<Tag>(text).ok().map(|tag| tag.r#type);
        match &self.whereabouts {
            Whereabouts::Door => self.refuse_first(kind.as_deref().unwrap_or("")),
            Whereabouts::Room { room, .. } => self.wait(send(room, Garbled { session: self.id, kind })).await,
        }
    }

    /// Waits until the room has taken the message: that is what slows a fast sender down.
    async fn wait(&self, sent: impl Future<Output = Result<(), MailboxError>>) {
        if sent.await.is_err() {
            // A room that ended has said so to those who were in it. This one ended just before, or panicked.
            let leaves = self.signal.is_draining();
            self.outbox.close(Farewell::Say(if leaves { CloseCode::Draining } else { CloseCode::Internal }));
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
        match &self.whereabouts {
            Whereabouts::Door => true,
            Whereabouts::Room { who, .. } => self.signal.limits().peers.allows(who, clock::now()),
        }
    }

    /// How long it is waited for a token, or between two pings.
    fn until_alarm(&self) -> Duration {
        let timing = &self.signal.settings().timing;
        Duration::from_millis(match self.whereabouts {
            Whereabouts::Door => timing.hello_ms,
            Whereabouts::Room { .. } => timing.ping_ms,
        })
    }

    fn on_alarm(&mut self) {
        let silence = Duration::from_millis(self.signal.settings().timing.silence_ms);
        let is_silent = clock::now().moment.since(self.heard) > silence;
        match self.whereabouts {
            Whereabouts::Door => self.outbox.close(Farewell::Say(CloseCode::TimedOut)),
            Whereabouts::Room { .. } if is_silent => {
                self.why = Gone::TimedOut;
                self.outbox.close(Farewell::Say(CloseCode::TimedOut));
            }
            Whereabouts::Room { .. } => self.push(Frame::Ping),
        }
    }

    fn on_unreadable(&mut self, unreadable: Unreadable) {
        match unreadable {
            _ if self.outbox.said_farewell() => {}
            Unreadable::TooLarge => self.refuse(CloseCode::TooLarge),
            Unreadable::NotFrames => self.refuse(CloseCode::BadMessage),
        }
    }

    fn on_lost(&self, error: &io::Error) {
        tracing::debug!(%error, "connection lost");
        self.outbox.close(Farewell::Nobody);
    }

    /// Tells the room that this connection is over, once.
    fn leave(&mut self) {
        if let Whereabouts::Room { room, .. } = std::mem::replace(&mut self.whereabouts, Whereabouts::Door) {
            #[allow(
                clippy::disallowed_methods,
                reason = "there is one of these for each session, and nobody to wait"
            )]
            room.do_send(Went { session: self.id, why: self.why });
        }
    }
}

/// However it ended.
impl Drop for Session {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Entry {
    fn join(room: Addr<RoomActor>, claims: JoinClaims) -> Self {
        let who = (claims.room.clone(), claims.sub.clone());
        Self { room, who, entrance: Entrance::Join(Box::new(claims)) }
    }

    fn resume(room: Addr<RoomActor>, id: RoomId, pass: Pass, position: Position) -> Self {
        let who = (id, pass.peer.clone());
        Self { room, who, entrance: Entrance::Resume(Box::new(pass), position) }
    }
}

/// Waits until the server leaves, and then for this connection's turn.
async fn sent_away(mut drain: watch::Receiver<Drain>) {
    let leaving = drain.wait_for(|drain| matches!(drain, Drain::Leaving { .. })).await;
    let Some(Drain::Leaving { over }) = leaving.ok().map(|drain| *drain) else {
        return std::future::pending().await;
    };
    sleep(over.mul_f64(rand::random())).await;
}

/// Whether a close frame means that the client goes for good, as a closed tab's does (1001). With any other code than a browser's
/// own it may come back.
fn says_goodbye(reason: Option<&CloseReason>) -> bool {
    match reason.map(|reason| reason.code) {
        None | Some(ws::CloseCode::Normal | ws::CloseCode::Away) => true,
        Some(_) => false,
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}
