//! How members come, go, lose their connections and come back.
//!
//! In one room one member comes or goes at a time, so that it is certain who has to hear of it. What is said meanwhile is said by
//! members who stay.

use std::collections::VecDeque;

use mio::Token;

use super::Crowd;
use crate::clock;
use crate::failure::Failure;
use crate::signal::checker::Event;
use crate::signal::dialect::{Position, Ticket};
use crate::signal::member::{Member, Stage};
use crate::signal::socket::Socket;
use crate::signal::tally::Tally;

/// What happens to a room, one after the other.
#[derive(Clone, Copy)]
pub(super) enum Move {
    Enter(u32),
    Leave(u32),
}

#[derive(Default)]
pub(super) struct Room {
    /// Who has been welcomed and has not said that it goes.
    pub(super) inside: Vec<u32>,
    /// Somebody is coming or going.
    pub(super) busy: bool,
    pub(super) moves: VecDeque<Move>,
}

impl Crowd {
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

    pub(super) fn on_ticket(&mut self, number: u32, ticket: Ticket) {
        self.by_peer.insert(ticket.peer.clone(), number);
        if let Some(member) = self.members.get_mut(number as usize) {
            (member.ticket, member.stage) = (Some(ticket), Stage::Waiting);
        }
        self.queue(Move::Enter(number), number);
    }

    /// What a member's room is to do after what it has to do already.
    pub(super) fn queue(&mut self, what: Move, member: u32) {
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

    pub(super) fn connect(&mut self, number: u32) -> Result<(), Failure> {
        let Some(member) = self.members.get_mut(number as usize) else { return Ok(()) };
        let (Some(ticket), Some(&node)) = (&member.ticket, self.nodes.get(member.node)) else {
            return Ok(());
        };
        let socket = Socket::connect(node, ticket, self.poll.registry(), Token(number as usize))?;
        (member.socket, member.stage) = (Some(socket), Stage::Opening);
        self.opening += 1;
        Ok(())
    }

    /// A member introduces itself. All who are inside have to hear of it if it is new.
    pub(super) fn hello(&mut self, number: u32) {
        let position = self.checker.position(number);
        let Some(member) = self.members.get_mut(number as usize) else { return };
        member.stage = Stage::Entering;
        let hello = if member.back {
            let (epoch, seq) = position;
            let token = member.token.as_deref().unwrap_or_default();
            self.dialect.resume(token, Position { epoch, seq })
        } else {
            member.since = clock::nanoseconds();
            if self.dialect.has_rooms() {
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

    pub(super) fn on_welcome(&mut self, number: u32) {
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
    pub(super) fn on_greeting(&mut self, number: u32, received: Option<u64>, count: fn(&mut Tally)) {
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
        if self.dialect.has_rooms() {
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
    pub(super) fn over(&mut self, number: u32, why: &str) {
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
}
