//! The session: what one WebSocket's client says, from its first message to the last. What it hears goes through the outbox.

mod door;

use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use actix_http::ws::{self, CloseReason};
use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::{CloseCode, ErrorCode, Moment, PeerId, RoomId};
use causeway_service::clock;
use causeway_signal_core::{Gone, SessionId};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

pub(crate) use door::Entry;

use crate::farewell::Farewell;
use crate::frames::{Frames, Heard, Unreadable};
use crate::ice::IceUrls;
use crate::limits::Ingress;
use crate::outbox::{Frame, Outbox};
use crate::room::{Enter, Garbled, RoomActor, Said, Went};
use crate::state::{Drain, Signal};
use crate::{metrics, socket, text};

/// One WebSocket's session.
pub(crate) struct Session {
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

/// A message on its way to the room. Boxed: most connections have none under way most of the time, and wait without the room
/// for one.
pub(crate) type Sent<M> = Pin<Box<Request<RoomActor, M>>>;

fn send<M>(room: &Addr<RoomActor>, message: M) -> Sent<M>
where
    M: Message<Result = ()> + Send + 'static,
    RoomActor: Handler<M>,
{
    Box::pin(room.send(message))
}

impl Session {
    /// One that has not said anything yet, unless `early` has something of it.
    pub(crate) fn new(
        signal: Arc<Signal>,
        outbox: Outbox,
        ice_urls: IceUrls,
        seen_at: IpAddr,
        early: &[u8],
    ) -> Self {
        let mut session = Self {
            id: signal.next_session(),
            ingress: Ingress::new(&signal.settings().limits),
            outbox,
            frames: Frames::new(),
            ice_urls: Arc::new(ice_urls),
            seen_at,
            heard: clock::now().moment,
            whereabouts: Whereabouts::Door,
            why: Gone::Disconnected,
            signal,
        };
        if let Err(unreadable) = session.frames.feed(early) {
            session.on_unreadable(unreadable);
        }
        session
    }

    pub(crate) fn signal(&self) -> Arc<Signal> {
        Arc::clone(&self.signal)
    }

    /// Shows the token of the handshake, or waits for one.
    pub(crate) async fn knock(&mut self, token: Option<String>, stream: &TcpStream) -> Option<Entry> {
        let entry = match token {
            Some(token) => self.show(&token).await,
            None => None,
        };
        match entry {
            Some(entry) => Some(entry),
            None => self.hear(stream).await,
        }
    }

    /// Goes to the room.
    pub(crate) fn enter(&mut self, entry: Entry) -> Sent<Enter> {
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
    pub(crate) async fn stay(&mut self, entering: Sent<Enter>, stream: &TcpStream) {
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

    /// Nobody is at the other end any more, if nothing else was said.
    pub(crate) fn hang_up(&self) {
        self.outbox.close(Farewell::Nobody);
    }

    /// The connection ended with this.
    pub(crate) fn leave(&mut self, farewell: Farewell) {
        if farewell == Farewell::Say(CloseCode::Stalled) {
            self.why = Gone::Stalled;
        }
        self.tell_room();
    }

    /// Tells the room that this connection is over, once.
    fn tell_room(&mut self) {
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
        self.tell_room();
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
