//! All members at once, on one thread: who there is, and the turns in which they are served.

mod hearing;
mod passage;
mod speech;

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};

use crate::args::Waiting;
use crate::clock;
use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::signal::checker::{Checker, Faults};
use crate::signal::dialect::{Dialect, Opening};
use crate::signal::door::{Door, Sold};
use crate::signal::member::Member;
use crate::signal::socket::{Socket, Told};
use crate::signal::tally::Tally;
use passage::{Move, Room};

pub(crate) use speech::MESSAGES_OF_A_PAIR;

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
            tally: Tally::default(),
        })
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
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
}
