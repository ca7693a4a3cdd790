//! The room's actor on one node: the sockets that this node has in the room, and the room itself if this node owns it.

mod apps;
mod changes;
pub(crate) mod desk;
mod edge;
mod far;
mod fence;
mod leaving;
mod letters;
mod owner;
mod owner_answers;
mod seats;

use std::future::{Ready, ready};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::prelude::*;
use causeway_protocol::bus::{RelayUsage, RoomAddresses};
use causeway_protocol::message::{ClientMessage, Pass, Position};
use causeway_protocol::node::{Answer, Question, Say, ShownKey};
use causeway_protocol::rest::RoomFacts;
use causeway_protocol::token::{JoinClaims, RoomRole};
use causeway_protocol::{CloseCode, Epoch, ErrorCode, Moment, NodeId};
use causeway_service::clock;
use causeway_signal_core::{Ending, Gone, Input, Room, SessionId};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::ice::IceUrls;
use crate::outbox::Outbox;
use crate::password::PasswordHash;
use crate::registry::Registered;
pub(crate) use apps::Order;
pub(crate) use changes::{NodeGone, NodeReset, Stands};
use desk::Desk;
use edge::Edge;
pub(crate) use fence::Reachable;
pub(crate) use leaving::GiveAway;
pub(crate) use letters::Mail;
use owner::{Around, Held, Owner};
use seats::{Seat, Seats};

/// How long the owner of a room has to answer another node's question.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

/// One room on its thread.
pub(crate) struct RoomActor {
    /// First, because fields are dropped in order: the room cannot be found any more when its members hear of
    /// its end.
    registered: Registered,
    desk: Desk,
    role: Role,
    seats: Seats,
    timer: Option<(Moment, SpawnHandle)>,
    /// The term of this node's lease in which the room is known to be its own.
    term: u64,
    /// Whether the sockets were told that the room's nodes cannot reach one another.
    degraded: bool,
}

/// What this node is to the room.
enum Role {
    Owner(Box<Owner>),
    Edge(Edge),
}

/// What a room's actor begins as.
pub(crate) enum Beginning {
    /// This node owns the room.
    Ours { room: Box<Room>, epoch: Epoch },
    /// Another node does.
    Theirs { owner: NodeId, epoch: Epoch },
}

/// What a connection shows that wants in. The token was genuine.
pub(crate) enum Entrance {
    Join(Box<JoinClaims>),
    Resume(Box<Pass>, Position),
}

/// A connection wants in.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Enter {
    pub(crate) session: SessionId,
    pub(crate) entrance: Entrance,
    pub(crate) outbox: Outbox,
    pub(crate) ice_urls: Arc<IceUrls>,
    pub(crate) seen_at: IpAddr,
}

/// A connection said something that is no message.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Garbled {
    pub(crate) session: SessionId,
    /// Its `type`, if it had one.
    pub(crate) kind: Option<String>,
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
#[rtype(result = "Result<RoomFacts, ErrorCode>")]
pub(crate) struct AskFacts;

/// The hash that a password must fit.
#[derive(Message)]
#[rtype(result = "Result<Option<PasswordHash>, ErrorCode>")]
pub(crate) struct AskPassword;

/// Somebody shows a key.
#[derive(Message)]
#[rtype(result = "Result<RoomRole, ErrorCode>")]
pub(crate) struct Admit(pub(crate) ShownKey);

impl RoomActor {
    pub(crate) fn new(beginning: Beginning, registered: Registered) -> Self {
        let (signal, room) = (Arc::clone(&registered.signal), registered.id.clone());
        let role = match beginning {
            Beginning::Ours { room, epoch } => Role::Owner(Box::new(Owner::new(*room, epoch))),
            Beginning::Theirs { owner, epoch } => Role::Edge(Edge::new(owner, epoch)),
        };
        let term = signal.lease.borrow().term;
        Self {
            seats: Seats::new(Arc::clone(&signal), room.clone()),
            term,
            degraded: false,
            desk: Desk { signal, room },
            registered,
            role,
            timer: None,
        }
    }

    /// One input to a room that is ours, and everything that follows from it.
    fn take(&mut self, input: Input, ctx: &mut Context<Self>) {
        let now = clock::now();
        let Self { role: Role::Owner(owner), seats, desk, .. } = self else { return };
        let ended = owner.take(input, &mut Around { seats, desk, now });
        self.after(ended, ctx);
    }

    /// What follows from an input to a room that is ours, whatever it was.
    fn after(&mut self, ended: Option<Ending>, ctx: &mut Context<Self>) {
        if let Some(ending) = ended {
            self.on_ended(ending, ctx);
        }
        self.arm(ctx);
    }

    /// One that a socket here caused. It waits while it is not known whether the room is still ours.
    fn take_own(&mut self, say: Say, ctx: &mut Context<Self>) {
        let Role::Owner(owner) = &self.role else { return };
        if let Some(later) = owner.overtaken_by(&say) {
            return self.step_down(later, Held::Here(say), ctx);
        }
        if !owner.holds() && self.may_act_here() {
            return self.hear_own(say, ctx);
        }
        self.hold(Held::Here(say), ctx);
    }

    /// Brings what a socket here says to the room, wherever it lives.
    fn pass_on(&mut self, session: SessionId, say: Say, ctx: &mut Context<Self>) {
        match &self.role {
            Role::Owner(_) => self.take_own(say, ctx),
            Role::Edge(_) => self.say(session, say),
        }
    }

    /// Writes to the owner of a room that is not ours. What it cannot take ends the socket: the client comes back and
    /// is told how the room stands.
    fn say(&mut self, session: SessionId, say: Say) {
        let Role::Edge(edge) = &mut self.role else { return };
        if edge.say(say, &self.desk).is_err() {
            self.seats.close(session, CloseCode::Internal);
        }
    }

    fn ask(&mut self, question: Question) -> Option<oneshot::Receiver<Answer>> {
        match &mut self.role {
            Role::Owner(_) => None,
            Role::Edge(edge) => Some(edge.ask(question, &self.desk)),
        }
    }

    fn on_ended(&mut self, ending: Ending, ctx: &mut Context<Self>) {
        tracing::info!(room = %self.desk.room, reason = ending.as_str(), "room ended");
        if let (Role::Owner(owner), true) = (&self.role, ending.revokes()) {
            self.desk.revoke_room(owner.room.expires_at(), clock::now());
        }
        if let Role::Owner(owner) = &self.role {
            let ended = Say::Ended { code: ending.close_code().number() };
            for node in owner.far.edges() {
                self.desk.post(node, owner.epoch, ended.clone());
            }
            self.desk.give_up(owner.epoch, ending, owner.room.expires_at());
        }
        ctx.stop();
    }

    /// Keeps what the room is made of.
    fn save(&self) {
        if let Role::Owner(owner) = &self.role {
            self.desk.save(&owner.room.record(clock::now()), owner.epoch);
        }
    }

    /// Tells relays where every member with a socket here is.
    pub(crate) fn tell_whereabouts(&self) {
        self.seats.tell_whereabouts();
    }

    /// Sets the timer to the room's next deadline.
    fn arm(&mut self, ctx: &mut Context<Self>) {
        let deadline = match &self.role {
            Role::Owner(owner) => Some(owner.room.next_deadline()),
            Role::Edge(_) => None,
        };
        if self.timer.map(|(at, _)| at) == deadline {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let Some(deadline) = deadline else { return };
        let timer = ctx.run_later(deadline.since(clock::now().moment), |actor, ctx| {
            actor.timer = None;
            actor.take(Input::Tick, ctx);
        });
        self.timer = Some((deadline, timer));
    }
}

impl Actor for RoomActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.arm(ctx);
        ctx.run_interval(RoomAddresses::REPEAT, |room, _| room.tell_whereabouts());
    }
}

impl Handler<Enter> for RoomActor {
    type Result = ();

    fn handle(&mut self, enter: Enter, ctx: &mut Self::Context) {
        let Enter { session, entrance, outbox, ice_urls, seen_at } = enter;
        let (peer, enter) = match entrance {
            Entrance::Join(claims) => (claims.sub.clone(), Say::Enter { session: session.0, claims }),
            Entrance::Resume(pass, position) => {
                (pass.peer.clone(), Say::Resume { session: session.0, pass, position })
            }
        };
        self.seats.give(session, Seat { outbox, ice_urls, peer, seen_at, stay: None });
        self.pass_on(session, enter, ctx);
        // A refused one has no seat any more.
        self.seats.tell_whereabouts_of(session);
    }
}

impl Handler<Garbled> for RoomActor {
    type Result = ();

    fn handle(&mut self, Garbled { session, kind }: Garbled, ctx: &mut Self::Context) {
        self.seats.count(session);
        self.pass_on(session, Say::Unreadable { session: session.0, kind }, ctx);
    }
}

impl Handler<Said> for RoomActor {
    type Result = ();

    fn handle(&mut self, Said { session, message }: Said, ctx: &mut Self::Context) {
        if message.counts() {
            self.seats.count(session);
        }
        self.pass_on(session, Say::Said { session: session.0, message: Box::new(message) }, ctx);
    }
}

impl Handler<Went> for RoomActor {
    type Result = ();

    fn handle(&mut self, Went { session, why }: Went, ctx: &mut Self::Context) {
        let gone = Say::Gone { session: session.0, why: letters::departure(why) };
        match &self.role {
            Role::Owner(_) => self.take_own(gone, ctx),
            // A socket that the owner has closed is not in a seat any more, and the owner knows.
            Role::Edge(_) if self.seats.of(session).is_some() => self.say(session, gone),
            Role::Edge(_) => {}
        }
        self.seats.vacate(session);
    }
}

impl Handler<Counted> for RoomActor {
    type Result = ();

    fn handle(&mut self, Counted(usage): Counted, ctx: &mut Self::Context) {
        self.take(Input::RelayUsage(usage), ctx);
    }
}

impl Handler<End> for RoomActor {
    type Result = ();

    fn handle(&mut self, End(ending): End, ctx: &mut Self::Context) {
        match &self.role {
            Role::Owner(_) => self.take(Input::End(ending), ctx),
            Role::Edge(_) => {
                self.seats.close_all(ending.close_code());
                ctx.stop();
            }
        }
    }
}

type Answered<T> = ResponseFuture<Result<T, ErrorCode>>;

impl Handler<AskFacts> for RoomActor {
    type Result = Answered<RoomFacts>;

    fn handle(&mut self, _: AskFacts, _: &mut Self::Context) -> Self::Result {
        if let Role::Owner(owner) = &self.role {
            return now(Ok(owner.facts()));
        }
        later(self.ask(Question::Facts {}), |answer| match answer {
            Answer::Facts { facts } => Some(*facts),
            Answer::Password { .. } | Answer::Admitted { .. } | Answer::Done {} | Answer::Refused { .. } => {
                None
            }
        })
    }
}

impl Handler<AskPassword> for RoomActor {
    type Result = Answered<Option<PasswordHash>>;

    fn handle(&mut self, _: AskPassword, _: &mut Self::Context) -> Self::Result {
        if let Role::Owner(owner) = &self.role {
            return now(Ok(owner.password()));
        }
        later(self.ask(Question::Password {}), |answer| match answer {
            Answer::Password { hash } => Some(hash.map(PasswordHash::from_phc)),
            Answer::Facts { .. } | Answer::Admitted { .. } | Answer::Done {} | Answer::Refused { .. } => None,
        })
    }
}

impl Handler<Admit> for RoomActor {
    type Result = Answered<RoomRole>;

    fn handle(&mut self, Admit(key): Admit, _: &mut Self::Context) -> Self::Result {
        if let Role::Owner(owner) = &mut self.role {
            let (seats, desk) = (&mut self.seats, &self.desk);
            return now(owner.admit(key, &mut Around { seats, desk, now: clock::now() }));
        }
        later(self.ask(Question::Admit { key }), |answer| match answer {
            Answer::Admitted { role } => Some(role),
            Answer::Facts { .. } | Answer::Password { .. } | Answer::Done {} | Answer::Refused { .. } => None,
        })
    }
}

fn now<T: 'static>(answer: Result<T, ErrorCode>) -> Answered<T> {
    let ready: Ready<_> = ready(answer);
    Box::pin(ready)
}

/// What the owner answers, if it does in time.
fn later<T: 'static>(
    asked: Option<oneshot::Receiver<Answer>>,
    take: impl FnOnce(Answer) -> Option<T> + 'static,
) -> Answered<T> {
    Box::pin(async move {
        let Some(asked) = asked else { return Err(ErrorCode::Internal) };
        match timeout(ANSWER_WITHIN, asked).await {
            Ok(Ok(Answer::Refused { code })) => Err(code),
            Ok(Ok(answer)) => take(answer).ok_or(ErrorCode::Internal),
            // The owner went away while it was asked, or does not answer.
            Ok(Err(_)) | Err(_) => Err(ErrorCode::Unavailable),
        }
    })
}

#[cfg(test)]
mod tests;
