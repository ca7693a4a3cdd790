//! Whatever breaks, and whenever: each client that follows the protocol hears exactly what was meant for it, in order and once, or is
//! told `resync`; and the room takes each of its messages at most once, and exactly once if it sends again what was not taken.
//!
//! Clients, their connections with what is on its way in both directions, and a naive model (a list of what each stay should have
//! heard) run beside the room. Connections break with everything that is on its way; the room notices at once, later, or never.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use causeway_protocol::message::{ClientMessage, Greeting, Pass, Position, ServerMessage};
use causeway_protocol::record::RoomState;
use causeway_protocol::{CloseCode, Epoch, Moment, Now, UnixSeconds};
use causeway_signal_core::{
    Announce, Effect, Gone, Input, Join, Resume, ResumeLimits, RingLimits, Room, RoomSettings, SessionId,
};
use common::{guest, peer, settings};
use proptest::prelude::*;

const CLIENTS: usize = 3;
const GRACE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Joins if it is not in; with a token that is good for a stay.
    Join(usize),
    /// Sends the next message, to all or to one.
    Say(usize, Option<usize>),
    /// One message gets to the room.
    Up(usize),
    /// One message gets to the client.
    Down(usize),
    /// The connection breaks, with everything on its way.
    Break(usize),
    /// The room notices what broke.
    Notice(usize),
    /// Connects again where the connection broke.
    Resume(usize),
    /// Says goodbye.
    Leave(usize),
    Pass(u16),
    Trim,
    /// Another owner takes the room over.
    HandOver,
    /// The owner dies; the next has the room's record, and the nodes of the sockets announce them.
    Death,
}

fn step() -> impl Strategy<Value = Step> {
    let client = 0..CLIENTS;
    prop_oneof![
        6 => client.clone().prop_map(Step::Join),
        20 => (client.clone(), prop::option::of(0..CLIENTS)).prop_map(|(at, to)| Step::Say(at, to)),
        25 => client.clone().prop_map(Step::Up),
        25 => client.clone().prop_map(Step::Down),
        6 => client.clone().prop_map(Step::Break),
        4 => client.clone().prop_map(Step::Notice),
        8 => client.clone().prop_map(Step::Resume),
        1 => client.prop_map(Step::Leave),
        4 => (0..20_000_u16).prop_map(Step::Pass),
        1 => Just(Step::Trim),
        1 => Just(Step::HandOver),
        1 => Just(Step::Death),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_without_a_word_and_nothing_comes_twice(
        events in prop_oneof![Just(3_usize), Just(256)],
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(events);
        for step in steps {
            world.take(step);
        }
        world.finish();
    }
}

#[test]
fn a_long_day_with_a_short_memory() {
    let mut world = World::new(3);
    for at in 0..CLIENTS {
        world.take(Step::Join(at));
    }
    for round in 0..2000_usize {
        let at = round % CLIENTS;
        let steps = [Step::Say(at, None), Step::Up(at), Step::Break(at), Step::Resume(at), Step::Pass(900)];
        for step in steps.into_iter().take(2 + round % 4) {
            world.take(step);
        }
        world.settle();
    }
    world.finish();
}

/// What is on its way to a client, with how much its stay should have heard when it left.
struct Sent {
    what: Heard,
    due: usize,
}

enum Heard {
    Greeting(Pass, Greeting),
    Text(ServerMessage),
}

/// What the node of a socket knows of it, as long as the room has not closed it and it has not seen it break.
struct Seat {
    pass: Pass,
    position: Position,
    received: u64,
}

/// What the room was given during a roll call.
enum Held {
    Join(usize, SessionId),
    Message(usize, ClientMessage),
}

/// A connection, also one that is half open.
struct Line {
    session: SessionId,
    up: VecDeque<ClientMessage>,
    down: VecDeque<Sent>,
    /// Whether it was greeted: before that the client says nothing.
    greeted: bool,
}

#[derive(Default)]
struct Client {
    line: Option<Line>,
    /// Connections that broke and the room has not noticed.
    broken: Vec<SessionId>,
    pass: Option<Pass>,
    position: Option<Position>,
    /// Messages of this stay that the room has not said to have taken, by their number.
    unacknowledged: VecDeque<(u64, ClientMessage)>,
    said: u64,
    /// It said goodbye, and says nothing more.
    leaving: bool,
    /// Of what its stay should have heard, how much it has.
    heard: usize,
    /// In the room, by the model: its peer hears what is said.
    inside: bool,
    /// Away since, by the model.
    away: Option<Moment>,
    /// What this stay should have heard.
    due: Vec<u64>,
    /// What the room took of this stay.
    taken: BTreeSet<u64>,
    /// What was said in this stay and may not be lost.
    owed: BTreeSet<u64>,
}

struct World {
    room: Room,
    now: Now,
    epoch: u64,
    sessions: u64,
    /// The number of the latest message of anybody.
    words: u64,
    resume: ResumeLimits,
    clients: Vec<Client>,
    /// By the room's numbers.
    seats: BTreeMap<SessionId, Seat>,
    /// The end of a roll call, and what waits for it by the model.
    roll_call: Option<Moment>,
    held: Vec<Held>,
    adopts_until: Moment,
}

impl World {
    fn new(events: usize) -> Self {
        let ring = RingLimits { events, ..RingLimits::default() };
        let resume = ResumeLimits { grace: GRACE, ring };
        let now = Now { moment: Moment::default(), unix: UnixSeconds(1_800_000_000) };
        let ttl = Duration::from_secs(1_000_000);
        let room = Room::new(RoomSettings { resume, ttl, ..settings() }, now);
        let clients = (0..CLIENTS).map(|_| Client::default()).collect();
        Self {
            room,
            now,
            epoch: 1,
            sessions: 0,
            words: 0,
            resume,
            clients,
            seats: BTreeMap::new(),
            roll_call: None,
            held: Vec::new(),
            adopts_until: Moment::default(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Join(at) => self.join(at),
            Step::Say(at, to) => self.say(at, to),
            Step::Up(at) => self.up(at),
            Step::Down(at) => self.down(at),
            Step::Break(at) => {
                if let Some(line) = self.clients[at].line.take() {
                    self.clients[at].broken.push(line.session);
                }
            }
            Step::Notice(at) => {
                if let Some(session) = self.clients[at].broken.pop() {
                    self.seats.remove(&session);
                    self.apply(Input::Gone { session, why: Gone::Disconnected });
                }
            }
            Step::Resume(at) => self.resume(at),
            Step::Leave(at) => {
                let is_up = self.clients[at].line.as_ref().is_some_and(|line| line.greeted);
                if is_up && !self.clients[at].leaving {
                    self.clients[at].line.as_mut().unwrap().up.push_back(ClientMessage::Leave {});
                    self.clients[at].leaving = true;
                }
            }
            Step::Pass(milliseconds) => {
                self.now = self.now.plus(Duration::from_millis(milliseconds.into()));
                self.apply(Input::Tick);
            }
            Step::Trim => self.apply(Input::Trim),
            Step::HandOver => self.hand_over(),
            Step::Death => self.die(),
        }
    }

    fn join(&mut self, at: usize) {
        let is_in = self.clients[at].pass.is_some() && !self.clients[at].leaving;
        if self.clients[at].line.is_some() || is_in {
            return;
        }
        let session = self.connect(at);
        let series = format!("s{}", session.0).parse().unwrap();
        self.apply(Input::Join(Join { session, claims: guest(&name(at)), series }));
    }

    fn resume(&mut self, at: usize) {
        let client = &self.clients[at];
        if client.leaving {
            return;
        }
        let (Some(pass), Some(position), None) = (client.pass.clone(), client.position, &client.line) else {
            return;
        };
        let session = self.connect(at);
        self.apply(Input::Resume(Resume { session, pass, position }));
    }

    fn connect(&mut self, at: usize) -> SessionId {
        self.sessions += 1;
        let session = SessionId(self.sessions);
        let line = Line { session, up: VecDeque::new(), down: VecDeque::new(), greeted: false };
        self.clients[at].line = Some(line);
        session
    }

    fn say(&mut self, at: usize, to: Option<usize>) {
        let client = &mut self.clients[at];
        if client.pass.is_none() || client.leaving {
            return;
        }
        self.words += 1;
        client.said += 1;
        client.owed.insert(self.words);
        let message = ClientMessage::App { to: to.map(name), data: self.words.into() };
        client.unacknowledged.push_back((client.said, message.clone()));
        if let Some(line) = client.line.as_mut().filter(|line| line.greeted) {
            line.up.push_back(message);
        }
    }

    fn up(&mut self, at: usize) {
        let Some(line) = &mut self.clients[at].line else { return };
        let (Some(message), session) = (line.up.pop_front(), line.session) else { return };
        if let Some(seat) = self.seats.get_mut(&session) {
            seat.received += u64::from(message.counts());
        }
        self.apply(Input::Message { session, message });
    }

    /// The client reads one message.
    fn down(&mut self, at: usize) {
        let client = &mut self.clients[at];
        let Some(line) = &mut client.line else { return };
        let Some(Sent { what, due }) = line.down.pop_front() else { return };
        match what {
            Heard::Greeting(pass, greeting) => {
                client.pass = Some(pass);
                client.position = Some(match (&greeting, client.position) {
                    // What was missed is still to come: it has not been seen yet.
                    (Greeting::Resumed { epoch, .. }, Some(seen)) => Position { epoch: *epoch, ..seen },
                    _ => greeting.position(),
                });
                let received = match &greeting {
                    Greeting::Welcome { .. } => {
                        client.heard = due;
                        Some(0)
                    }
                    // Nothing was lost: it goes on where it was.
                    Greeting::Resumed { received, .. } => Some(*received),
                    Greeting::Resync { received, .. } => {
                        client.heard = due;
                        *received
                    }
                };
                let stands = std::mem::replace(&mut line.greeted, true);
                if let Some(taken) = received {
                    client.unacknowledged.retain(|(number, _)| *number > taken);
                } else {
                    // Nobody knows: it is not said again, and may be lost.
                    assert!(!stands, "a client that was not waiting is told that nobody counted");
                    client.unacknowledged.clear();
                    client.said = 0;
                    client.owed.clear();
                }
                // On a connection that stands what was said is on its way.
                if !stands {
                    line.up = client.unacknowledged.iter().map(|(_, message)| message.clone()).collect();
                }
            }
            Heard::Text(ServerMessage::App { seq, data, .. }) => {
                client.see(seq);
                let due = client.due.get(client.heard).copied();
                assert_eq!(data.as_u64(), due, "peer {at} hears something else than is next for it");
                client.heard += 1;
            }
            Heard::Text(ServerMessage::PeerJoined { seq, .. } | ServerMessage::PeerLeft { seq, .. }) => {
                client.see(seq);
            }
            Heard::Text(ServerMessage::Error { .. }) => {}
            Heard::Text(other) => panic!("{other:?} was not asked for"),
        }
    }

    /// Gives the room an input, moves the model beside it, and puts on its way what the room wants sent.
    fn apply(&mut self, input: Input) {
        if self.roll_call.is_some_and(|until| until <= self.now.moment) {
            self.roll_call = None;
            let held = std::mem::take(&mut self.held);
            self.perform(Input::Tick, held);
        }
        self.lose_patience();
        self.foretell(&input);
        self.perform(input, Vec::new());
    }

    /// What was held happens in its order, after everybody was told how the room stands. Only what a newcomer is due has to
    /// be known at once, when it is welcomed.
    fn perform(&mut self, input: Input, held: Vec<Held>) {
        let mut held = VecDeque::from(held);
        for effect in self.room.apply(input, self.now) {
            if let Effect::Greet { to, greeting: Greeting::Welcome { .. }, .. } = &effect {
                let joins = held.iter().position(|held| matches!(held, Held::Join(_, joins) if joins == to));
                let before = joins.map_or(0, |at| at + 1);
                held.drain(..before).for_each(|held| self.happen(held));
            }
            match effect {
                Effect::Event { to, event } => {
                    let message: ServerMessage = serde_json::from_str(&event.text).unwrap();
                    for session in to {
                        if let Some(seat) = self.seats.get_mut(&session) {
                            seat.position.seq = event.seq;
                        }
                        self.put(session, Heard::Text(message.clone()));
                    }
                }
                Effect::Send { to, message } => {
                    for session in to {
                        self.put(session, Heard::Text(message.clone()));
                    }
                }
                Effect::Greet { to, pass, greeting } => {
                    self.seat(to, &pass, &greeting);
                    self.put(to, Heard::Greeting(pass, greeting));
                }
                Effect::Close { session, code } => self.close(session, code),
                Effect::Save => {}
                other => panic!("{other:?} was not asked for"),
            }
        }
        held.into_iter().for_each(|held| self.happen(held));
    }

    fn seat(&mut self, session: SessionId, pass: &Pass, greeting: &Greeting) {
        let received = match greeting {
            Greeting::Welcome { .. } => 0,
            Greeting::Resumed { received, .. } => *received,
            Greeting::Resync { received, .. } => received.unwrap_or(0),
        };
        let position = greeting.position();
        self.seats.insert(session, Seat { pass: pass.clone(), position, received });
    }

    /// What a list of who is inside knows of an input.
    fn foretell(&mut self, input: &Input) {
        match input {
            Input::Join(join) => {
                let at = index(&join.claims.sub);
                self.happen(Held::Join(at, join.session));
            }
            Input::Resume(resume) => {
                let adopted = self.now.moment < self.adopts_until;
                let client = &mut self.clients[index(&resume.pass.peer)];
                if client.inside || adopted {
                    (client.inside, client.away) = (true, None);
                }
            }
            Input::Announce(announce) => {
                let client = &mut self.clients[index(&announce.pass.peer)];
                (client.inside, client.away) = (true, None);
            }
            Input::Gone { session, .. } => {
                let now = self.now.moment;
                self.held.retain(|held| !matches!(held, Held::Join(_, joins) if joins == session));
                if let Some(client) = self.clients.iter_mut().find(|client| client.is_by_the_room(*session)) {
                    client.away = Some(now);
                }
            }
            Input::Message { session, message } => {
                let at = self.clients.iter().position(|client| client.is_by_the_room(*session));
                if let Some(at) = at.filter(|at| self.clients[*at].inside) {
                    self.happen(Held::Message(at, message.clone()));
                }
            }
            _ => {}
        }
    }

    /// At once, or after the roll call.
    fn happen(&mut self, held: Held) {
        if self.roll_call.is_some() {
            return self.held.push(held);
        }
        match held {
            Held::Join(at, _) => self.clients[at].begin(),
            Held::Message(at, ClientMessage::App { to, data }) => {
                let word = data.as_u64().unwrap();
                assert!(self.clients[at].taken.insert(word), "taken twice");
                for (other, client) in self.clients.iter_mut().enumerate() {
                    let is_for = to.as_ref().is_none_or(|to| *to == name(other));
                    if other != at && client.inside && is_for {
                        client.due.push(word);
                    }
                }
            }
            Held::Message(at, ClientMessage::Leave {}) => self.clients[at].inside = false,
            Held::Message(_, other) => panic!("{other:?} is not said here"),
        }
    }

    fn lose_patience(&mut self) {
        for client in &mut self.clients {
            if client.away.is_some_and(|since| self.now.moment.since(since) >= GRACE) {
                client.inside = false;
            }
        }
    }

    fn put(&mut self, session: SessionId, what: Heard) {
        let is_it = |client: &&mut Client| client.line.as_ref().is_some_and(|line| line.session == session);
        if let Some(client) = self.clients.iter_mut().find(is_it) {
            let due = client.due.len();
            client.line.as_mut().unwrap().down.push_back(Sent { what, due });
        }
    }

    fn close(&mut self, session: SessionId, code: CloseCode) {
        self.seats.remove(&session);
        for (at, client) in self.clients.iter_mut().enumerate() {
            client.broken.retain(|broken| *broken != session);
            if client.line.as_ref().is_none_or(|line| line.session != session) {
                continue;
            }
            client.line = None;
            match code {
                // The stay is over: the next one begins with a join.
                CloseCode::ResumeRefused | CloseCode::Left => client.pass = None,
                other => panic!("peer {at} is closed with {other:?}"),
            }
        }
    }

    /// The state travels as JSON, and connections get numbers of the new owner's.
    fn hand_over(&mut self) {
        let text = serde_json::to_string(&self.room.state(self.now)).unwrap();
        let mut state: RoomState = serde_json::from_str(&text).unwrap();
        for member in &mut state.members {
            member.session = member.session.map(|session| session + 1_000_000);
        }
        for waiting in &mut state.waiting {
            waiting.session += 1_000_000;
        }
        self.epoch += 1;
        self.room = Room::restore(state, self.resume, Epoch(self.epoch), self.now).unwrap();
        self.renumber();
    }

    /// The new owner has numbers of its own.
    fn renumber(&mut self) {
        let other = |session: SessionId| SessionId(session.0 + 1_000_000);
        self.sessions += 1_000_000;
        for client in &mut self.clients {
            if let Some(line) = &mut client.line {
                line.session = other(line.session);
            }
            client.broken.iter_mut().for_each(|broken| *broken = other(*broken));
        }
        let seats = std::mem::take(&mut self.seats);
        self.seats = seats.into_iter().map(|(session, seat)| (other(session), seat)).collect();
        for held in &mut self.held {
            if let Held::Join(_, session) = held {
                *session = other(*session);
            }
        }
    }

    /// Nothing of the room is left but its record; the nodes with sockets live. What waited for the end of a roll call is lost,
    /// and everybody will be told so.
    fn die(&mut self) {
        for held in std::mem::take(&mut self.held) {
            match held {
                Held::Message(at, ClientMessage::App { data, .. }) => {
                    self.clients[at].owed.remove(&data.as_u64().unwrap());
                }
                Held::Message(..) | Held::Join(..) => {}
            }
        }
        self.epoch += 1;
        let record = self.room.record(self.now);
        let epoch = Epoch(self.epoch);
        self.room = Room::from_record(record, self.resume, epoch, Room::ROLL_CALL, self.now).unwrap();
        self.renumber();
        self.roll_call = Some(self.now.moment.plus(Room::ROLL_CALL));
        self.adopts_until = self.now.moment.plus(Room::ROLL_CALL).plus(GRACE);
        for client in &mut self.clients {
            (client.inside, client.away) = (false, None);
            // A socket that was not greeted yet is given up by its node.
            client.line.take_if(|line| !self.seats.contains_key(&line.session));
        }
        let announced = self.seats.iter().map(|(session, seat)| {
            let Seat { pass, position, received } = seat;
            Announce { session: *session, pass: pass.clone(), position: *position, received: *received }
        });
        for announce in announced.collect::<Vec<_>>() {
            self.apply(Input::Announce(announce));
        }
    }

    /// Everything on its way arrives.
    fn settle(&mut self) {
        for _ in 0..1000 {
            let busy = |line: &Line| !line.up.is_empty() || !line.down.is_empty();
            if !self.clients.iter().any(|client| client.line.as_ref().is_some_and(busy)) {
                return;
            }
            for at in 0..CLIENTS {
                self.up(at);
                self.down(at);
            }
        }
        panic!("it never ends");
    }

    /// Everybody comes back who may, everything arrives, and is compared.
    fn finish(&mut self) {
        self.take(Step::Pass(2000));
        for _ in 0..2 {
            self.settle();
            for at in 0..CLIENTS {
                self.resume(at);
            }
        }
        self.settle();
        for (at, client) in self.clients.iter().enumerate() {
            if client.pass.is_none() || client.line.is_none() || client.leaving {
                continue;
            }
            assert_eq!(client.heard, client.due.len(), "peer {at} did not hear everything");
            assert!(client.owed.is_subset(&client.taken), "of peer {at} something was lost");
        }
    }
}

impl Client {
    fn begin(&mut self) {
        let line = self.line.take();
        *self = Self { line, broken: std::mem::take(&mut self.broken), inside: true, ..Self::default() };
    }

    fn see(&mut self, seq: u64) {
        let position = self.position.as_mut().expect("greeted before");
        assert!(seq > position.seq, "{seq} after {}", position.seq);
        position.seq = seq;
    }

    /// Whether the room takes this connection for the client's: the latest that it was shown.
    fn is_by_the_room(&self, session: SessionId) -> bool {
        match &self.line {
            Some(line) => line.session == session,
            None => self.broken.last() == Some(&session),
        }
    }
}

fn name(at: usize) -> causeway_protocol::PeerId {
    peer(&format!("peer{at}"))
}

fn index(peer: &causeway_protocol::PeerId) -> usize {
    peer.as_str().strip_prefix("peer").unwrap().parse().unwrap()
}
