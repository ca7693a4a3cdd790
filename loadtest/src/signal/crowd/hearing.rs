//! What members hear: the checker is told, and it is answered where that is due.

use super::Crowd;
use super::speech::DESCRIPTION;
use crate::clock;
use crate::signal::body::{Kind, Mark};
use crate::signal::checker::Event;
use crate::signal::dialect::{Heard, Position};
use crate::signal::member::{Member, Stage};

impl Crowd {
    pub(super) fn on_text(&mut self, number: u32, text: &str) {
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
}
