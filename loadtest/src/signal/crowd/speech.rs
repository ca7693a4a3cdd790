//! What members say, and who has to hear it.

use super::Crowd;
use crate::clock;
use crate::signal::body::{Kind, Mark};
use crate::signal::checker::Event;
use crate::signal::member::Stage;

/// What peers send each other to connect: see docs/benchmarks.md.
pub(super) const DESCRIPTION: usize = 2_000;
const CANDIDATE: usize = 200;
const CANDIDATES: usize = 8;
/// Offer, answer, and the candidates of both.
pub(crate) const MESSAGES_OF_A_PAIR: u64 = 2 + 2 * CANDIDATES as u64;

impl Crowd {
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

    pub(super) fn trickle(&mut self, from: u32, to: u32) -> Option<()> {
        (0..CANDIDATES).try_for_each(|_| self.say(from, Some(to), Kind::Candidate, CANDIDATE))
    }
}
