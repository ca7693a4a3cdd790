//! Letters of other nodes to a room's actor.

use actix::{Context, Handler, Message};
use causeway_cluster::Owner;
use causeway_protocol::ids::TokenId;
use causeway_protocol::message::{Pass, Position};
use causeway_protocol::node::{Answer, Departure, EdgeSession, Question, RoomLetter, Say};
use causeway_protocol::token::JoinClaims;
use causeway_protocol::{CloseCode, NodeId};
use causeway_service::clock;
use causeway_signal_core::{Announce, Gone, Input, Join, Resume, SessionId};

use super::far::FarSocket;
use super::owner::{Around, Held};
use super::{Role, RoomActor};
use crate::metrics;

/// A letter of another node.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Mail {
    pub(crate) from: NodeId,
    pub(crate) letter: RoomLetter,
}

impl Handler<Mail> for RoomActor {
    type Result = ();

    fn handle(&mut self, Mail { from, letter }: Mail, ctx: &mut Context<Self>) {
        if letter.say.is_for_an_owner() {
            self.on_word_to_owner(&from, letter, ctx);
        } else {
            self.on_word_to_edge(from, letter, ctx);
        }
    }
}

impl RoomActor {
    /// What an edge says to the owner.
    pub(super) fn on_word_to_owner(&mut self, from: &NodeId, letter: RoomLetter, ctx: &mut Context<Self>) {
        let certain = self.is_certain();
        let Role::Owner(owner) = &mut self.role else {
            metrics::letter_refused("not-the-owner");
            return self.desk.post(from, letter.epoch, Say::NotMine {});
        };
        if let Some(later) = owner.overtaken_by(&letter.say) {
            return self.step_down(later, Held::There(Mail { from: from.clone(), letter }), ctx);
        }
        if !certain {
            return self.hold(Held::There(Mail { from: from.clone(), letter }), ctx);
        }
        owner.far.meet(from);
        let socket = |session: EdgeSession| FarSocket { node: from.clone(), session };
        match letter.say {
            Say::Enter { session, claims } => {
                let number = self.registered.signal.next_session();
                owner.far.give(number, socket(session));
                self.take(join(number, *claims), ctx);
            }
            Say::Resume { session, pass, position } => {
                let number = self.registered.signal.next_session();
                owner.far.give(number, socket(session));
                self.take(resume(number, *pass, position), ctx);
            }
            Say::Announce { session, pass, position, received } => {
                let number = owner.far.number(&socket(session)).unwrap_or_else(|| {
                    let number = self.registered.signal.next_session();
                    owner.far.give(number, socket(session));
                    number
                });
                let announce = Announce { session: number, pass: *pass, position, received };
                self.take(Input::Announce(announce), ctx);
            }
            Say::Said { session, message } => match owner.far.number(&socket(session)) {
                Some(number) => self.take(Input::Message { session: number, message: *message }, ctx),
                None if owner.far.was_closed(&socket(session)) => metrics::letter_refused("closed-socket"),
                // The edge was away, and we took its sockets for lost: it says anew which it has.
                None => {
                    metrics::letter_refused("unknown-socket");
                    self.desk.post(from, owner.epoch, Say::NotMine {});
                }
            },
            Say::Unreadable { session, kind } => match owner.far.number(&socket(session)) {
                Some(number) => self.take(Input::Unreadable { session: number, kind }, ctx),
                None => metrics::letter_refused("unknown-socket"),
            },
            Say::Gone { session, why } => {
                if let Some(number) = owner.far.number(&socket(session)) {
                    self.take(Input::Gone { session: number, why: gone(why) }, ctx);
                    if let Role::Owner(owner) = &mut self.role {
                        owner.far.vacate(number);
                    }
                }
            }
            Say::Ask { question, ask: Question::App { app, order } } => {
                let epoch = owner.epoch;
                match self.input_of(&app, order) {
                    // Answered first: whoever asks may lose the room by it.
                    Ok(input) => {
                        self.desk.post(from, epoch, Say::Answer { question, answer: Answer::Done {} });
                        self.take(input, ctx);
                    }
                    Err(code) => {
                        let answer = Answer::Refused { code };
                        self.desk.post(from, epoch, Say::Answer { question, answer });
                    }
                }
            }
            Say::Ask { question, ask } => {
                let (seats, desk) = (&mut self.seats, &self.desk);
                let answer = owner.answer(ask, &mut Around { seats, desk, now: clock::now() });
                self.desk.post(from, owner.epoch, Say::Answer { question, answer });
                self.arm(ctx);
            }
            Say::Paused {} => owner.on_paused(from),
            Say::Tell { .. }
            | Say::Greet { .. }
            | Say::Ice { .. }
            | Say::Close { .. }
            | Say::Answer { .. }
            | Say::Pause {}
            | Say::HandOver { .. }
            | Say::Moved {}
            | Say::NotMine {}
            | Say::Ended { .. } => metrics::letter_refused("not-for-an-owner"),
        }
    }

    /// What an owner says to an edge. An owner of a lower epoch is one no more.
    fn on_word_to_edge(&mut self, from: NodeId, letter: RoomLetter, ctx: &mut Context<Self>) {
        let known = match &self.role {
            Role::Owner(owner) => owner.epoch,
            Role::Edge(edge) => edge.epoch,
        };
        if letter.epoch < known {
            return metrics::letter_refused("old-epoch");
        }
        if let Say::HandOver { state, sockets } = letter.say {
            return self.on_hand_over(&from, letter.epoch, *state, sockets, ctx);
        }
        let Role::Edge(edge) = &mut self.role else {
            return match letter.say {
                // Its owner by a higher epoch has something to say to sockets here.
                _ if letter.epoch > known => {
                    self.yield_to(Some(Owner { node: from, epoch: letter.epoch }), letter.epoch, ctx);
                }
                _ => metrics::letter_refused("not-for-an-owner"),
            };
        };
        if from != edge.owner || letter.epoch > known {
            return match letter.say {
                Say::Moved {} => edge.follow(from, letter.epoch, Vec::new(), &self.desk),
                Say::NotMine {} => {}
                _ if letter.epoch > known => self.seek(ctx),
                _ => metrics::letter_refused("not-from-the-owner"),
            };
        }
        match letter.say {
            Say::Tell { to, seq, text } => {
                let text = bytestring::ByteString::from(text);
                for session in to {
                    self.tell(SessionId(session), seq, text.clone());
                }
            }
            Say::Greet { to, pass, greeting, room_ends } => {
                let (session, now) = (SessionId(to), clock::now());
                let greeted = self.seats.greet(session, *pass, *greeting, room_ends, &self.desk, now);
                if let Some(Err(_full)) = greeted {
                    self.stall(session);
                }
            }
            Say::Ice { to, room_ends } => {
                let session = SessionId(to);
                if let Some(message) = self.seats.fresh_ice(session, room_ends, &self.desk, clock::now()) {
                    self.tell(session, None, crate::text::of(&message));
                }
            }
            Say::Close { session, code } => {
                self.seats.close(SessionId(session), close_code(code));
            }
            Say::Answer { question, answer } => edge.answered(question, answer),
            Say::Ended { code } => {
                self.seats.close_all(close_code(code));
                actix::ActorContext::stop(ctx);
            }
            Say::Pause {} => {
                self.desk.post(&from, letter.epoch, Say::Paused {});
                edge.pause();
            }
            Say::Moved {} => edge.follow(from, letter.epoch, Vec::new(), &self.desk),
            Say::NotMine {} => self.seek(ctx),
            Say::Enter { .. }
            | Say::Resume { .. }
            | Say::Announce { .. }
            | Say::Said { .. }
            | Say::Unreadable { .. }
            | Say::Gone { .. }
            | Say::Ask { .. }
            | Say::Paused {}
            | Say::HandOver { .. } => metrics::letter_refused("not-for-an-edge"),
        }
    }

    /// Sends a text to a socket here. A reader that is too slow is the edge's to close.
    fn tell(&mut self, session: SessionId, seq: Option<u64>, text: bytestring::ByteString) {
        if let Some(Err(_full)) = self.seats.push(session, seq, text) {
            self.stall(session);
        }
    }

    pub(super) fn stall(&mut self, session: SessionId) {
        self.say(session, Say::Gone { session: session.0, why: Departure::Stalled });
        self.seats.close(session, CloseCode::Stalled);
    }
}

pub(super) fn join(session: SessionId, claims: JoinClaims) -> Input {
    let series = TokenId::random(&mut rand::rng());
    Input::Join(Join { session, claims, series })
}

pub(super) const fn resume(session: SessionId, pass: Pass, position: Position) -> Input {
    Input::Resume(Resume { session, pass, position })
}

/// A code that this version does not know is a defect somewhere.
fn close_code(number: u16) -> CloseCode {
    CloseCode::from_number(number).unwrap_or(CloseCode::Internal)
}

pub(super) const fn gone(why: Departure) -> Gone {
    match why {
        Departure::Closed => Gone::Closed,
        Departure::Disconnected => Gone::Disconnected,
        Departure::TimedOut => Gone::TimedOut,
        Departure::Stalled => Gone::Stalled,
        Departure::Refused => Gone::Refused,
    }
}

pub(super) const fn departure(why: Gone) -> Departure {
    match why {
        Gone::Closed => Departure::Closed,
        Gone::Disconnected => Departure::Disconnected,
        Gone::TimedOut => Departure::TimedOut,
        Gone::Stalled => Departure::Stalled,
        Gone::Refused => Departure::Refused,
    }
}
