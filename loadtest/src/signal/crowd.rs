//! All members at once, on one thread: who connects, who is in which room, who says what, and what each hears.
//!
//! In one room one member comes or goes at a time, so that it is certain who has to hear of it. What is said meanwhile is said by
//! members who stay.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use crate::args::Waiting;
use crate::clock;
use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::signal::body::{Kind, Mark};
use crate::signal::checker::{Checker, Event, Faults};
use crate::signal::dialect::{Dialect, Heard, Opening, Position};
use crate::signal::door::{Door, Sold};
use crate::signal::member::{Member, Stage};
use crate::signal::socket::{Socket, Told};
use crate::signal::tally::Tally;

/// WebSockets that open at a time: below the queue of any server's listening socket (511 with Node.js).
const OPENING_AT_A_TIME: usize = 256;
/// Events taken from the kernel at a time.
const EVENTS: usize = 1024;
/// The door's, beside the members' own.
const DOOR: Token = Token(usize::MAX);
/// A sleeping generator looks up this often.
const LONGEST_SLEEP: Duration = Duration::from_millis(5);
/// Members that come and go beside those who stay.
const GUESTS_OF_A_ROOM: usize = 64;
/// What peers send each other to connect: see docs/benchmarks.md.
const DESCRIPTION: usize = 2_000;
const CANDIDATE: usize = 200;
pub(crate) const CANDIDATES: usize = 8;
/// Offer, answer, and the candidates of both.
pub(crate) const MESSAGES_OF_A_PAIR: u64 = 2 + 2 * CANDIDATES as u64;

/// What happens to a room, one after the other.
#[derive(Clone, Copy)]
enum Move {
    Enter(u32),
    Leave(u32),
}

#[derive(Default)]
struct Room {
    /// Who has been welcomed and has not said that it goes.
    inside: Vec<u32>,
    /// Somebody is coming or going.
    busy: bool,
    moves: VecDeque<Move>,
}

/// Everybody.
pub(crate) struct Crowd {
    dialect: Dialect,
    nodes: Vec<SocketAddr>,
    waiting: Waiting,
    poll: Poll,
    door: Door,
    members: Vec<Member>,
    rooms: Vec<Room>,
    /// Numbers by name.
    by_peer: HashMap<String, u32>,
    /// Who may connect as soon as there is a free hand.
    next: VecDeque<u32>,
    /// WebSockets between their beginning and their welcome.
    opening: usize,
    /// When guests go.
    ends: VecDeque<(u64, u32)>,
    /// Whether members keep what they say, to say it again after they were cut.
    keeping: bool,
    checker: Checker,
    /// What all have seen.
    pub(crate) tally: Tally,
}

impl Crowd {
    /// Nobody yet. Rooms will have `room` members, and guests.
    pub(crate) fn new(
        dialect: Dialect,
        nodes: Vec<SocketAddr>,
        room: usize,
        cores: Cores,
        waiting: Waiting,
    ) -> Result<Self, Failure> {
        let poll = Poll::new().doing("making an epoll")?;
        let waker = Arc::new(Waker::new(poll.registry(), DOOR).doing("making a waker")?);
        let door = Door::open(dialect, &nodes, room + GUESTS_OF_A_ROOM, cores, &waker)?;
        Ok(Self {
            dialect,
            nodes,
            waiting,
            poll,
            door,
            members: Vec::new(),
            rooms: Vec::new(),
            by_peer: HashMap::new(),
            next: VecDeque::new(),
            opening: 0,
            ends: VecDeque::new(),
            keeping: false,
            checker: Checker::default(),
            tally: Tally::new(),
        })
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// From here on members keep what they say.
    pub(crate) const fn keep(&mut self) {
        self.keeping = true;
    }

    /// Somebody new for a room. `stay`: how long, in nanoseconds; `None`: to the end. Neighbours in a room connect to
    /// different nodes.
    pub(crate) fn enter(&mut self, room: u32, stay: Option<u64>) -> Result<(), Failure> {
        let member = u32::try_from(self.members.len()).expect("fewer members than ports");
        while self.rooms.len() <= room as usize {
            self.rooms.push(Room::default());
        }
        let node = (member as usize / self.rooms.len() + room as usize) % self.nodes.len();
        self.members.push(Member::new(room, node, stay));
        self.door.wish(member, room, node)
    }

    /// Members that are inside.
    pub(crate) fn inside(&self) -> usize {
        self.rooms.iter().map(|room| room.inside.len()).sum()
    }

    /// Those of a room who can be talked to.
    pub(crate) fn room(&self, room: u32) -> &[u32] {
        self.rooms.get(room as usize).map_or(&[], |room| &room.inside)
    }

    pub(crate) fn rooms(&self) -> u32 {
        u32::try_from(self.rooms.len()).expect("as many as members at most")
    }

    /// What is still to be heard.
    pub(crate) fn outstanding(&self) -> u64 {
        self.checker.outstanding()
    }

    /// Whether nobody is on the way in, back or out.
    pub(crate) fn is_calm(&self) -> bool {
        self.opening == 0
            && self.next.is_empty()
            && self.rooms.iter().all(|room| !room.busy && room.moves.is_empty())
    }

    /// What went wrong with events, if nothing arrives any more.
    pub(crate) fn faults(&self) -> Faults {
        self.checker.faults()
    }

    /// Says one thing of a kind to one, or to all others of the room; `None`: the member cannot just now.
    pub(crate) fn say(&mut self, from: u32, to: Option<u32>, kind: Kind, length: usize) -> Option<()> {
        let sender = self.members.get_mut(from as usize).filter(|member| member.stage == Stage::Inside)?;
        sender.said += 1;
        let (number, room) = (sender.said, sender.room as usize);
        let event = Event::Said(number);
        match to {
            Some(to) => self.checker.expect(to, from, event),
            None => {
                for &other in self.rooms.get(room)?.inside.iter().filter(|&&other| other != from) {
                    self.checker.expect(other, from, event);
                }
            }
        }
        let address = to.and_then(|to| self.members.get(to as usize)).map(|to| to.address().to_owned());
        let mark = Mark { kind, sender: from, number, sent: clock::nanoseconds() };
        let text = self.dialect.say(kind, address.as_deref(), &mark.text(length));
        let sender = self.members.get_mut(from as usize)?;
        if self.keeping {
            sender.kept.push_back(text.clone());
        }
        let said = sender.socket.as_mut().map_or(Ok(()), |socket| socket.say(text));
        if let Err(why) = said {
            self.over(from, &why);
        }
        Some(())
    }

    /// Begins to connect one member with another, as ICE does: a description, then candidates. The other one answers by itself.
    pub(crate) fn offer(&mut self, from: u32, to: u32) -> Option<()> {
        self.say(from, Some(to), Kind::Offer, DESCRIPTION)?;
        self.trickle(from, to)
    }

    fn trickle(&mut self, from: u32, to: u32) -> Option<()> {
        (0..CANDIDATES).try_for_each(|_| self.say(from, Some(to), Kind::Candidate, CANDIDATE))
    }

    /// Cuts the connections of all who are inside, without a word, and lets them come back.
    pub(crate) fn cut(&mut self) {
        let now = clock::nanoseconds();
        for (number, member) in (0..).zip(&mut self.members) {
            if member.stage == Stage::Inside {
                member.socket = None;
                (member.stage, member.back, member.since) = (Stage::Waiting, true, now);
                self.next.push_back(number);
            }
        }
    }

    /// Takes what has happened, until `until` at the latest.
    pub(crate) fn turn(&mut self, events: &mut Events, until: u64) -> Result<(), Failure> {
        while let Some(Sold { member, ticket }) = self.door.sold() {
            self.on_ticket(member, ticket?);
        }
        let now = clock::nanoseconds();
        while let Some(&(end, member)) = self.ends.front()
            && end <= now
        {
            self.ends.pop_front();
            self.queue(Move::Leave(member), member);
        }
        while self.opening < OPENING_AT_A_TIME
            && let Some(member) = self.next.pop_front()
        {
            self.connect(member)?;
        }
        let timeout = match self.waiting {
            Waiting::Polling => Duration::ZERO,
            Waiting::Sleeping => Duration::from_nanos(until.saturating_sub(now)).min(LONGEST_SLEEP),
        };
        match self.poll.poll(events, Some(timeout)) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return Ok(()),
            other => other.doing("waiting for sockets")?,
        }
        for event in events.iter().filter(|event| event.token() != DOOR) {
            // Numbers of members came from u32.
            if let Ok(member) = u32::try_from(event.token().0) {
                self.on_ready(member);
            }
        }
        Ok(())
    }

    /// Room for what the kernel tells.
    pub(crate) fn events() -> Events {
        Events::with_capacity(EVENTS)
    }

    fn on_ticket(&mut self, number: u32, ticket: super::dialect::Ticket) {
        self.by_peer.insert(ticket.peer.clone(), number);
        if let Some(member) = self.members.get_mut(number as usize) {
            (member.ticket, member.stage) = (Some(ticket), Stage::Waiting);
        }
        self.queue(Move::Enter(number), number);
    }

    /// What a member's room is to do after what it has to do already.
    fn queue(&mut self, what: Move, member: u32) {
        let Some(room) = self.members.get(member as usize).map(|member| member.room) else { return };
        if let Some(place) = self.rooms.get_mut(room as usize) {
            place.moves.push_back(what);
        }
        self.advance(room);
    }

    /// Lets the next one of a room come or go if nobody is about to.
    fn advance(&mut self, room: u32) {
        let Some(place) = self.rooms.get_mut(room as usize).filter(|place| !place.busy) else { return };
        match place.moves.pop_front() {
            Some(Move::Enter(member)) => {
                place.busy = true;
                self.next.push_back(member);
            }
            Some(Move::Leave(member)) => {
                place.busy = true;
                self.leave(member);
            }
            None => {}
        }
    }

    fn connect(&mut self, number: u32) -> Result<(), Failure> {
        let Some(member) = self.members.get_mut(number as usize) else { return Ok(()) };
        let (Some(ticket), Some(&node)) = (&member.ticket, self.nodes.get(member.node)) else {
            return Ok(());
        };
        let socket = Socket::connect(node, ticket, self.poll.registry(), Token(number as usize))?;
        (member.socket, member.stage) = (Some(socket), Stage::Opening);
        self.opening += 1;
        Ok(())
    }

    fn on_ready(&mut self, number: u32) {
        let flushed = self.socket(number).map(Socket::flush);
        if let Some(Err(why)) = flushed {
            return self.over(number, &why);
        }
        while let Some(told) = self.socket(number).and_then(Socket::next) {
            match told {
                Told::Opened => {
                    if self.dialect.opening() == Opening::AtOnce {
                        self.hello(number);
                    }
                }
                Told::Text(text) => self.on_text(number, text.as_str()),
                Told::Over(why) => return self.over(number, &why),
            }
        }
    }

    fn socket(&mut self, number: u32) -> Option<&mut Socket> {
        self.members.get_mut(number as usize)?.socket.as_mut()
    }

    /// A member introduces itself. All who are inside have to hear of it if it is new.
    fn hello(&mut self, number: u32) {
        let position = self.checker.position(number);
        let Some(member) = self.members.get_mut(number as usize) else { return };
        member.stage = Stage::Entering;
        let hello = if member.back {
            let (epoch, seq) = position;
            let token = member.token.as_deref().unwrap_or_default();
            self.dialect.resume(token, Position { epoch, seq })
        } else {
            member.since = clock::nanoseconds();
            if self.dialect.has_presence() {
                for &other in self.rooms.get(member.room as usize).map_or(&[][..], |room| &room.inside) {
                    self.checker.expect(other, number, Event::Joined);
                }
            }
            member.ticket.as_ref().and_then(|ticket| ticket.hello.clone())
        };
        let said = hello.and_then(|hello| member.socket.as_mut().map(|socket| socket.say(hello)));
        if let Some(Err(why)) = said {
            self.over(number, &why);
        }
    }

    /// A member goes for good. All others who are inside have to hear of it.
    fn leave(&mut self, number: u32) {
        let Some(member) = self.members.get_mut(number as usize) else { return };
        let room = member.room;
        let Some(place) = self.rooms.get_mut(room as usize) else { return };
        if member.stage != Stage::Inside {
            // It has come to grief, which is counted.
            place.busy = false;
            return self.advance(room);
        }
        member.stage = Stage::Leaving;
        place.inside.retain(|&other| other != number);
        if self.dialect.has_presence() {
            place.inside.iter().for_each(|&other| self.checker.expect(other, number, Event::Left));
        }
        self.checker.forget(number);
        let said = member.socket.as_mut().map(|socket| match self.dialect.leave() {
            Some(word) => socket.say(word),
            None => socket.close(),
        });
        if let Some(Err(why)) = said {
            self.over(number, &why);
        }
    }

    /// A member's connection is over.
    fn over(&mut self, number: u32, why: &str) {
        let Some(member) = self.members.get_mut(number as usize) else { return };
        member.socket = None;
        let (stage, room) = (std::mem::replace(&mut member.stage, Stage::Gone), member.room);
        let coming = !member.back;
        match stage {
            Stage::Gone => return,
            Stage::Leaving => {}
            Stage::Wishing | Stage::Waiting | Stage::Opening | Stage::Entering => {
                self.opening = self.opening.saturating_sub(1);
                self.tally.trouble(format!("a connection ended before its welcome: {why}"));
            }
            Stage::Inside => self.tally.trouble(format!("a connection ended: {why}")),
        }
        let Some(place) = self.rooms.get_mut(room as usize) else { return };
        if stage == Stage::Leaving || (coming && stage != Stage::Inside) {
            place.busy = false;
        }
        place.inside.retain(|&other| other != number);
        self.advance(room);
    }

    fn on_text(&mut self, number: u32, text: &str) {
        let heard = self.dialect.hear(text);
        let leaving = |member: &Member| member.stage == Stage::Leaving;
        if self.members.get(number as usize).is_none_or(leaving) || !self.is_news(number, heard.seq()) {
            return;
        }
        let Some(member) = self.members.get_mut(number as usize) else { return };
        match heard {
            Heard::Open => self.hello(number),
            Heard::Inside { address, position, token } => {
                member.address = address.map(Into::into);
                member.token = token.map(Into::into);
                if let Some(Position { epoch, seq }) = position {
                    self.checker.begins(number, epoch, seq);
                }
                self.on_welcome(number);
            }
            Heard::Resumed { position, token, received } => {
                member.token = Some(token.into());
                let (_, seq) = self.checker.position(number);
                // What was missed follows, so the number is still the old one.
                self.checker.begins(number, position.epoch, seq);
                self.on_greeting(number, Some(received), |tally| tally.resumed += 1);
            }
            Heard::Resync { position, token, received } => {
                member.token = Some(token.into());
                self.tally.pardoned += self.checker.pardon(number);
                self.checker.begins(number, position.epoch, position.seq);
                self.on_greeting(number, received, |tally| tally.resynced += 1);
            }
            Heard::Joined { peer, seq: _ } => {
                let newcomer = self.by_peer.get(peer.as_ref()).copied();
                let since =
                    newcomer.and_then(|other| self.members.get(other as usize)).map(|other| other.since);
                if let (Some(newcomer), Some(since)) = (newcomer, since)
                    && self.checker.heard(number, newcomer, Event::Joined)
                    && self.tally.measuring
                {
                    self.tally.joins.record(clock::nanoseconds().saturating_sub(since), 1);
                }
            }
            Heard::Left { peer, seq: _ } => {
                if let Some(&other) = self.by_peer.get(peer.as_ref()) {
                    self.checker.heard(number, other, Event::Left);
                }
            }
            Heard::Said { from, body, seq: _ } => {
                let genuine = Mark::of(&body).filter(|mark| {
                    self.by_peer.get(from.as_ref()).is_some_and(|&other| other == mark.sender)
                });
                match genuine {
                    Some(mark) => self.on_said(number, mark),
                    None => self.tally.trouble("a message that nobody sent"),
                }
            }
            Heard::Other { seq: _ } => {}
            Heard::Alive(answer) => {
                if let Some(Err(why)) = member.socket.as_mut().map(|socket| socket.say(answer)) {
                    self.over(number, &why);
                }
            }
            Heard::Refused(why) => self.tally.trouble(format!("refused: {why}")),
            Heard::Nothing => {}
            Heard::Garbage => self.tally.trouble(format!("not understood: {text:.80}")),
        }
    }

    /// Whether a member has not seen the event with this number. Seeing it again is right only after a resume: a client that
    /// follows docs/protocol.md drops it.
    fn is_news(&mut self, number: u32, seq: Option<u64>) -> bool {
        let Some(seq) = seq else { return true };
        let (epoch, latest) = self.checker.position(number);
        let back = self.members.get(number as usize).is_some_and(|member| member.back);
        if back && seq <= latest {
            return false;
        }
        self.checker.numbered(number, epoch, seq);
        true
    }

    fn on_said(&mut self, number: u32, mark: Mark) {
        if !self.checker.heard(number, mark.sender, Event::Said(mark.number)) {
            return;
        }
        if self.tally.measuring {
            self.tally.delivered += 1;
            self.tally.messages.record(clock::nanoseconds().saturating_sub(mark.sent), 1);
        }
        if mark.kind == Kind::Offer {
            // One who has gone meanwhile does not answer.
            let _ = self
                .say(number, Some(mark.sender), Kind::Answer, DESCRIPTION)
                .and_then(|()| self.trickle(number, mark.sender));
        }
    }

    fn on_welcome(&mut self, number: u32) {
        let Some(member) = self.members.get_mut(number as usize) else { return };
        member.stage = Stage::Inside;
        self.opening -= 1;
        if self.tally.measuring {
            self.tally.entered += 1;
        }
        if let Some(stay) = member.stay {
            self.ends.push_back((clock::nanoseconds() + stay, number));
        }
        let room = member.room;
        if let Some(place) = self.rooms.get_mut(room as usize) {
            place.inside.push(number);
            place.busy = false;
        }
        self.advance(room);
    }

    /// A member is greeted again: on a new WebSocket, or because its room has a new owner. `received` says how much of what it
    /// said has arrived.
    fn on_greeting(&mut self, number: u32, received: Option<u64>, count: fn(&mut Tally)) {
        let Some(member) = self.members.get_mut(number as usize) else { return };
        count(&mut self.tally);
        let again = match received {
            Some(received) => member.still_to_say(received),
            None => {
                // Nobody knows, so what was not confirmed may be lost; counting begins anew.
                self.tally.pardoned += self.checker.pardon_from(number);
                member.kept.clear();
                member.taken = 0;
                Vec::new()
            }
        };
        if member.stage != Stage::Entering {
            // What was said on this WebSocket arrives.
            return;
        }
        member.stage = Stage::Inside;
        self.opening -= 1;
        self.tally.returns.record(clock::nanoseconds().saturating_sub(member.since), 1);
        let said = again
            .into_iter()
            .try_for_each(|text| member.socket.as_mut().map_or(Ok(()), |socket| socket.say(text)));
        if let Err(why) = said {
            self.over(number, &why);
        }
    }
}
