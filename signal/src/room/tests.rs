//! A room's actor without a server around it.

use std::time::Duration;

use causeway_cluster::{MemoryBus, MemoryHub};
use causeway_protocol::message::Greeting;
use causeway_protocol::secret::Secret;
use causeway_signal_core::{Door, RoomSettings};
use tokio::time::timeout;

use super::*;
use crate::farewell::Farewell;
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
    open(&signal, "cellar").unwrap();
    let cellar = signal.rooms.find(&"cellar".parse().unwrap()).unwrap();
    assert_eq!(cellar.send(AskFacts).await.unwrap().unwrap().peers, 0);
    signal.rooms.stop();
}

#[actix_web::test]
async fn no_more_rooms_are_open_than_may_be_and_no_two_of_one_name() {
    let (signal, _kitchen) = open_room();
    assert_eq!(open(&signal, "kitchen").err(), Some(NotOpened::Taken));
    open(&signal, "cellar").unwrap();
    assert_eq!(open(&signal, "attic").err(), Some(NotOpened::Full));
    signal.rooms.stop();
}

#[actix_web::test]
async fn what_a_socket_says_while_it_is_greeted_anew_stays_counted() {
    let (signal, _kitchen) = open_room();
    let desk = Desk { signal: Arc::clone(&signal), room: "kitchen".parse().unwrap() };
    let mut seats = Seats::new(Arc::clone(&signal), desk.room.clone());
    let Enter { session, outbox, ice_urls, seen_at, .. } = enter(&signal, watched_outbox(&signal).0);
    seats.give(session, Seat { outbox, ice_urls, peer: "alice".parse().unwrap(), seen_at, stay: None });
    let greet = |seats: &mut Seats, received| {
        let greeting = Greeting::Resumed { epoch: Epoch(1), seq: 1, received };
        let now = clock::now();
        assert_eq!(seats.greet(session, pass(), greeting, now.unix.plus(60), &desk, now), Some(Ok(())));
    };
    greet(&mut seats, 3);
    seats.count(session);
    seats.count(session);
    // The owner wrote this before it heard of the two.
    greet(&mut seats, 3);
    assert_eq!(seats.announcements()[0].received, 5);
    signal.rooms.stop();
}

fn pass() -> Pass {
    let claims = claims();
    Pass {
        peer: claims.sub,
        name: None,
        role: claims.role,
        grants: claims.grants,
        token: claims.jti,
        series: "s".parse().unwrap(),
        generation: 1,
        counted_from: 0,
        joined: Position { epoch: Epoch(1), seq: 1 },
        epoch: Epoch(1),
    }
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
        MemoryHub::new(clock::now).node("n".parse().unwrap()),
        crate::doors::RelayDoors::for_tests(),
    ));
    let room = open(&signal, "kitchen").unwrap();
    (signal, room)
}

fn open(signal: &Arc<Signal>, name: &str) -> Result<Addr<RoomActor>, NotOpened> {
    let (room, epoch) = (Box::new(empty_room(name)), Epoch(1));
    signal.rooms.open(&name.parse().unwrap(), Beginning::Ours { room, epoch }, signal)
}

fn empty_room(name: &str) -> Room {
    let settings = RoomSettings {
        id: name.parse().unwrap(),
        epoch: Epoch(1),
        capacity: 2,
        ttl: Duration::from_secs(60),
        door: Door { password: false, invite_only: false, lobby: false },
        made: causeway_protocol::record::Made::default(),
        resume: causeway_signal_core::ResumeLimits::default(),
    };
    Room::new(settings, clock::now())
}

fn enter(signal: &Signal, outbox: Outbox) -> Enter {
    Enter {
        session: signal.next_session(),
        entrance: Entrance::Join(Box::new(claims())),
        outbox,
        ice_urls: Arc::new(IceUrls::new(&signal.settings(), "localhost", &signal.relay)),
        seen_at: IpAddr::from([192, 0, 2, 1]),
    }
}

fn claims() -> JoinClaims {
    JoinClaims {
        aud: String::new(),
        sub: "alice".parse().unwrap(),
        room: "kitchen".parse().unwrap(),
        role: RoomRole::Guest,
        name: None,
        grants: causeway_protocol::token::Grants::default(),
        exp: clock::now().unix.plus(60),
        jti: "t".parse().unwrap(),
    }
}

/// An outbox whose farewell can be waited for.
fn watched_outbox(signal: &Signal) -> (Outbox, impl AsyncFnMut() -> Farewell) {
    let (outbox, mut writer) = outbox(&signal.settings().limits, &signal.settings().timing);
    (outbox, async move || writer.farewell().await)
}
