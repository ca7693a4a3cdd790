//! The room's actor: hands messages to the pure room and performs what it wants done.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use actix::prelude::*;
use bytestring::ByteString;
use causeway_protocol::bus::{BusMessage, RelayOrder, RelayUsage, Revocation, RoomAddresses};
use causeway_protocol::ids::TokenId;
use causeway_protocol::message::{ClientMessage, EntryGrant, Greeting, Pass, ServerMessage};
use causeway_protocol::rest::RoomFacts;
use causeway_protocol::token::{IssueError, JoinClaims, ResumeClaims, ResumeTokens, RoomRole};
use causeway_protocol::{CloseCode, ErrorCode, Moment, Now, PeerId};
use causeway_service::clock;
use causeway_signal_core::{Effect, Ending, Gone, Input, Join, Key, RefusedEntry, Room, SessionId};

use crate::farewell::Farewell;
use crate::ice::{self, Holder, IceGrant, IceUrls, RelayAllowance};
use crate::metrics;
use crate::outbox::{Frame, Outbox};
use crate::password::PasswordHash;
use crate::registry::Registered;
use crate::text;
use crate::whereabouts;

/// One room on its thread.
pub(crate) struct RoomActor {
    /// First, because fields are dropped in order: the room cannot be found any more when its members hear of
    /// its end.
    registered: Registered,
    room: Room,
    password: Option<PasswordHash>,
    seats: HashMap<SessionId, Seat>,
    timer: Option<(Moment, SpawnHandle)>,
}

/// The way to one connection that is in the room.
struct Seat {
    outbox: Outbox,
    ice_urls: Arc<IceUrls>,
    relay: RelayAllowance,
    peer: PeerId,
    /// Where we see the connection.
    seen_at: IpAddr,
}

/// A seat that is dropped without a word belonged to a room that panicked.
impl Drop for Seat {
    fn drop(&mut self) {
        self.outbox.close(Farewell::Say(CloseCode::Internal));
    }
}

/// A connection with a genuine join token wants in.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Enter {
    pub(crate) session: SessionId,
    pub(crate) claims: JoinClaims,
    pub(crate) outbox: Outbox,
    pub(crate) ice_urls: Arc<IceUrls>,
    pub(crate) seen_at: IpAddr,
}

/// A connection said something.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Said {
    pub(crate) session: SessionId,
    pub(crate) message: ClientMessage,
}

/// A connection is no longer there.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Went {
    pub(crate) session: SessionId,
    pub(crate) why: Gone,
}

/// A relay counted something.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Counted(pub(crate) RelayUsage);

/// The room ends.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct End(pub(crate) Ending);

/// What one needs to know before joining.
#[derive(Message)]
#[rtype(result = "RoomFacts")]
pub(crate) struct AskFacts;

/// The hash that a password must fit.
#[derive(Message)]
#[rtype(result = "Option<PasswordHash>")]
pub(crate) struct AskPassword;

/// Somebody shows a key.
#[derive(Message)]
#[rtype(result = "Result<RoomRole, RefusedEntry>")]
pub(crate) struct Admit(pub(crate) Key);

impl RoomActor {
    pub(crate) fn new(room: Room, password: Option<PasswordHash>, registered: Registered) -> Self {
        Self { registered, room, password, seats: HashMap::new(), timer: None }
    }

    /// One input and everything that follows from it.
    fn take(&mut self, input: Input, now: Now, ctx: &mut Context<Self>) {
        let mut stalled = self.perform(input, now, ctx);
        while let Some(session) = stalled.pop() {
            stalled.extend(self.perform(Input::Stalled { session }, now, ctx));
        }
        self.arm(now, ctx);
    }

    /// Returns the connections whose outbox was full.
    fn perform(&mut self, input: Input, now: Now, ctx: &mut Context<Self>) -> Vec<SessionId> {
        let mut stalled = Vec::new();
        for effect in self.room.apply(input, now) {
            match effect {
                Effect::Event { to, event } => self.push(&to, &event.text, &mut stalled),
                Effect::Send { to, message } => self.send(&to, &message, &mut stalled),
                Effect::Greet { to, pass, greeting } => self.greet(to, pass, greeting, now, &mut stalled),
                Effect::GrantIce { to, peer } => self.grant_ice(to, &peer, now, &mut stalled),
                Effect::Close { session, code } => {
                    if let Some(seat) = self.vacate(session) {
                        seat.outbox.close(Farewell::Say(code));
                    }
                }
                Effect::Ended(ending) => self.on_ended(ending, ctx),
            }
        }
        stalled
    }

    /// Takes a seat away. Its peer may have taken another meanwhile.
    fn vacate(&mut self, session: SessionId) -> Option<Seat> {
        let seat = self.seats.remove(&session)?;
        let other = self.seats.values().find(|other| other.peer == seat.peer).map(|other| other.seen_at);
        whereabouts::tell(&self.registered.signal, self.room.id(), &seat.peer, other);
        Some(seat)
    }

    /// Tells relays where every member is.
    pub(crate) fn tell_whereabouts(&self) {
        for seat in self.seats.values() {
            whereabouts::tell(&self.registered.signal, self.room.id(), &seat.peer, Some(seat.seen_at));
        }
    }

    fn send(&self, to: &[SessionId], message: &ServerMessage, stalled: &mut Vec<SessionId>) {
        if let ServerMessage::Error { code, .. } = message {
            metrics::refused(code.as_str());
        }
        self.push(to, &text::of(message), stalled);
    }

    fn push(&self, to: &[SessionId], text: &ByteString, stalled: &mut Vec<SessionId>) {
        for session in to {
            let pushed = self.seats.get(session).map(|seat| seat.outbox.push(Frame::Text(text.clone())));
            if let Some(Err(_full)) = pushed {
                stalled.push(*session);
            }
        }
    }

    fn greet(&self, to: SessionId, pass: Pass, greeting: Greeting, now: Now, stalled: &mut Vec<SessionId>) {
        let Some(seat) = self.seats.get(&to) else { return };
        match self.mint(&pass.peer, &seat.ice_urls, &seat.relay, now) {
            Ok(ice) => {
                let grant = EntryGrant {
                    resume_token: self.registered.signal.resumes.sign(&ResumeClaims {
                        aud: ResumeTokens::AUDIENCE.to_owned(),
                        room: self.room.id().clone(),
                        exp: self.room.expires_at(),
                        pass,
                    }),
                    resume_seconds: 0,
                    ice_servers: ice.servers,
                    ice_expires_at: ice.expires_at,
                };
                self.send(&[to], &greeting.with(grant), stalled);
            }
            Err(error) => {
                tracing::error!(room = %self.room.id(), %error, "no relay credential");
                seat.outbox.close(Farewell::Say(CloseCode::Internal));
            }
        }
    }

    fn grant_ice(&self, to: SessionId, peer: &PeerId, now: Now, stalled: &mut Vec<SessionId>) {
        let Some(seat) = self.seats.get(&to) else { return };
        let message = match self.mint(peer, &seat.ice_urls, &seat.relay, now) {
            Ok(grant) => {
                ServerMessage::IceServers { ice_servers: grant.servers, ice_expires_at: grant.expires_at }
            }
            Err(error) => {
                tracing::error!(room = %self.room.id(), %error, "no relay credential");
                let code = ErrorCode::Internal;
                ServerMessage::Error {
                    code,
                    message: code.sentence().to_owned(),
                    refused: Some(ClientMessage::RefreshIce {}.kind().to_owned()),
                }
            }
        };
        self.send(&[to], &message, stalled);
    }

    fn mint(
        &self,
        peer: &PeerId,
        urls: &IceUrls,
        relay: &RelayAllowance,
        now: Now,
    ) -> Result<IceGrant, IssueError> {
        let signal = &self.registered.signal;
        let holder = Holder { room: self.room.id(), peer, room_ends: self.room.expires_at(), relay };
        ice::grant(urls, &holder, &signal.issuer, &signal.settings(), now.unix)
    }

    fn on_ended(&self, ending: Ending, ctx: &mut Context<Self>) {
        let room = self.room.id();
        tracing::info!(%room, reason = ending.as_str(), "room ended");
        if ending.revokes() {
            // The credentials of a room end with it at the latest, and none lives longer than this.
            let until = clock::now().unix.plus(self.registered.signal.longest_credential_ttl());
            let revoke = Revocation::Room { room: room.clone() };
            let order = RelayOrder { revoke, until: until.min(self.room.expires_at()) };
            if let Err(error) = self.registered.signal.bus.publish(BusMessage::RelayOrder(order)) {
                tracing::warn!(%room, %error, "relays were not told that the room ended");
            }
        }
        ctx.stop();
    }

    /// Sets the timer to the room's next deadline.
    fn arm(&mut self, now: Now, ctx: &mut Context<Self>) {
        let deadline = self.room.next_deadline();
        if self.timer.is_some_and(|(at, _)| at == deadline) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let timer = ctx.run_later(deadline.since(now.moment), |actor, ctx| {
            actor.timer = None;
            actor.take(Input::Tick, clock::now(), ctx);
        });
        self.timer = Some((deadline, timer));
    }
}

impl Actor for RoomActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.arm(clock::now(), ctx);
        ctx.run_interval(RoomAddresses::REPEAT, |room, _| room.tell_whereabouts());
    }
}

impl Handler<Enter> for RoomActor {
    type Result = ();

    fn handle(&mut self, enter: Enter, ctx: &mut Self::Context) {
        let now = clock::now();
        let Enter { session, claims, outbox, ice_urls, seen_at } = enter;
        let relay = RelayAllowance { budget: claims.grants.relay, token: claims.jti.clone() };
        let series = TokenId::random(&mut rand::rng());
        self.seats.insert(session, Seat { outbox, ice_urls, relay, peer: claims.sub.clone(), seen_at });
        self.take(Input::Join(Join { session, claims, series }), now, ctx);
        // A refused one has no seat any more.
        if let Some(seat) = self.seats.get(&session) {
            whereabouts::tell(&self.registered.signal, self.room.id(), &seat.peer, Some(seat.seen_at));
        }
    }
}

impl Handler<Said> for RoomActor {
    type Result = ();

    fn handle(&mut self, Said { session, message }: Said, ctx: &mut Self::Context) {
        self.take(Input::Message { session, message }, clock::now(), ctx);
    }
}

impl Handler<Went> for RoomActor {
    type Result = ();

    fn handle(&mut self, Went { session, why }: Went, ctx: &mut Self::Context) {
        self.take(Input::Gone { session, why }, clock::now(), ctx);
        self.vacate(session);
    }
}

impl Handler<Counted> for RoomActor {
    type Result = ();

    fn handle(&mut self, Counted(usage): Counted, ctx: &mut Self::Context) {
        self.take(Input::RelayUsage(usage), clock::now(), ctx);
    }
}

impl Handler<End> for RoomActor {
    type Result = ();

    fn handle(&mut self, End(ending): End, ctx: &mut Self::Context) {
        self.take(Input::End(ending), clock::now(), ctx);
    }
}

impl Handler<AskFacts> for RoomActor {
    type Result = MessageResult<AskFacts>;

    fn handle(&mut self, _: AskFacts, _: &mut Self::Context) -> Self::Result {
        let door = self.room.door();
        MessageResult(RoomFacts {
            room: self.room.id().clone(),
            password_required: door.password,
            invite_required: door.invite_only,
            capacity: self.room.capacity(),
            peers: self.room.peers(),
            expires_at: self.room.expires_at(),
        })
    }
}

impl Handler<AskPassword> for RoomActor {
    type Result = Option<PasswordHash>;

    fn handle(&mut self, _: AskPassword, _: &mut Self::Context) -> Self::Result {
        self.password.clone()
    }
}

impl Handler<Admit> for RoomActor {
    type Result = Result<RoomRole, RefusedEntry>;

    fn handle(&mut self, Admit(key): Admit, _: &mut Self::Context) -> Self::Result {
        self.room.admit(key, clock::now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use causeway_cluster::MemoryBus;
    use causeway_protocol::secret::Secret;
    use causeway_protocol::token::Grants;
    use causeway_signal_core::{Door, RoomSettings};
    use tokio::time::timeout;

    use super::*;
    use crate::outbox::outbox;
    use crate::registry::NotOpened;
    use crate::settings::SignalSettings;
    use crate::state::Signal;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[derive(Message)]
    #[rtype(result = "()")]
    struct Crash;

    impl Handler<Crash> for RoomActor {
        type Result = ();

        fn handle(&mut self, _: Crash, _: &mut Self::Context) {
            panic!("a defect in a room");
        }
    }

    #[actix_web::test]
    async fn a_room_that_panics_is_forgotten_and_its_members_are_told() {
        let (signal, room) = open_room();
        let (member, mut heard) = watched_outbox(&signal);
        // The member's session keeps its own way to the outbox, so the outbox does not end with the room.
        room.send(enter(&signal, member.clone())).await.unwrap();

        assert_eq!(room.send(Crash).await, Err(MailboxError::Closed));
        let farewell = timeout(PATIENCE, heard()).await.unwrap();
        assert_eq!(farewell, Farewell::Say(CloseCode::Internal));
        assert!(member.said_farewell());
        assert!(signal.rooms.find(&"kitchen".parse().unwrap()).is_none());
        assert!(room.send(AskFacts).await.is_err());
        // Its thread goes on with other rooms.
        signal.rooms.open(empty_room("cellar"), None, &signal).unwrap();
        let cellar = signal.rooms.find(&"cellar".parse().unwrap()).unwrap();
        assert_eq!(cellar.send(AskFacts).await.unwrap().peers, 0);
        signal.rooms.stop();
    }

    #[actix_web::test]
    async fn no_more_rooms_are_open_than_may_be_and_no_two_of_one_name() {
        let (signal, _kitchen) = open_room();
        assert_eq!(signal.rooms.open(empty_room("kitchen"), None, &signal), Err(NotOpened::Taken));
        signal.rooms.open(empty_room("cellar"), None, &signal).unwrap();
        assert_eq!(signal.rooms.open(empty_room("attic"), None, &signal), Err(NotOpened::Full));
        signal.rooms.stop();
    }

    fn open_room() -> (Arc<Signal>, Addr<RoomActor>) {
        let settings = SignalSettings { max_rooms: 2, room_threads: 1, ..Default::default() };
        let (secret, bus) = (Secret::from_bytes([1; 32]), Arc::new(MemoryBus::new()));
        let signal = Arc::new(Signal::new(
            settings,
            &secret,
            causeway_protocol::token::TurnIssuer::hs256(&secret),
            "n".parse().unwrap(),
            bus,
            crate::doors::RelayDoors::for_tests(),
        ));
        signal.rooms.open(empty_room("kitchen"), None, &signal).unwrap();
        let room = signal.rooms.find(&"kitchen".parse().unwrap()).unwrap();
        (signal, room)
    }

    fn empty_room(name: &str) -> Room {
        let settings = RoomSettings {
            id: name.parse().unwrap(),
            epoch: 1,
            capacity: 2,
            ttl: Duration::from_secs(60),
            door: Door { password: false, invite_only: false },
        };
        Room::new(settings, clock::now())
    }

    fn enter(signal: &Signal, outbox: Outbox) -> Enter {
        Enter {
            session: signal.next_session(),
            claims: JoinClaims {
                aud: String::new(),
                sub: "alice".parse().unwrap(),
                room: "kitchen".parse().unwrap(),
                role: RoomRole::Guest,
                name: None,
                grants: Grants::default(),
                exp: clock::now().unix.plus(60),
                jti: "t".parse().unwrap(),
            },
            outbox,
            ice_urls: Arc::new(IceUrls::new(&signal.settings(), "localhost", &signal.relay)),
            seen_at: IpAddr::from([192, 0, 2, 1]),
        }
    }

    /// An outbox whose farewell can be waited for.
    fn watched_outbox(signal: &Signal) -> (Outbox, impl AsyncFnMut() -> Farewell) {
        let (outbox, mut writer) = outbox(&signal.settings().limits, &signal.settings().timing);
        (outbox, async move || writer.farewell().await)
    }
}
