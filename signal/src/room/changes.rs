//! What becomes of a room when nodes come and go, and when this node begins or stops to own it.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorContext, ActorFutureExt, AsyncContext, Context, Handler, Message, WrapFuture};
use causeway_cluster::{Owner as OwnerName, Standing};
use causeway_protocol::node::Say;
use causeway_protocol::{CloseCode, Epoch, NodeId};
use causeway_service::clock;
use causeway_signal_core::{Announce, Input, SessionId};
use tokio::time::sleep;

use super::edge::Edge;
use super::owner::Owner;
use super::{Around, Role, RoomActor, letters};
use crate::attach::{Found, Kept, NoRoom, find_owner};
use crate::state::Signal;

/// Between two tries to find a room's owner.
const SEEK_AGAIN: Duration = Duration::from_millis(500);

/// How long those wait whom the hash does not propose as the next owner: one who is proposed answers within it, and then nobody
/// asks in vain. A guess.
const FOR_THE_PROPOSED: Duration = Duration::from_millis(250);

/// A node has gone, and all of its sockets.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NodeGone(pub(crate) NodeId);

/// Letters between this node and another may be lost.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct NodeReset(pub(crate) NodeId);

/// How a room stands that this node owned.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Stands(pub(crate) Standing);

impl Handler<NodeGone> for RoomActor {
    type Result = ();

    fn handle(&mut self, NodeGone(node): NodeGone, ctx: &mut Context<Self>) {
        let Self { role, seats, desk, .. } = self;
        match role {
            Role::Owner(owner) => {
                let ended = owner.lose_node(&node, &mut Around { seats, desk, now: clock::now() });
                self.after(ended, ctx);
            }
            Role::Edge(edge) if edge.owner == node => self.seek(ctx),
            Role::Edge(_) => {}
        }
    }
}

impl Handler<NodeReset> for RoomActor {
    type Result = ();

    fn handle(&mut self, NodeReset(node): NodeReset, ctx: &mut Context<Self>) {
        match &mut self.role {
            // Its node announces those that are still there.
            Role::Owner(owner) => {
                let (seats, desk) = (&mut self.seats, &self.desk);
                let ended = owner.lose_sockets(&node, &mut Around { seats, desk, now: clock::now() });
                self.after(ended, ctx);
            }
            Role::Edge(edge) if edge.owner == node => self.seek(ctx),
            Role::Edge(_) => {}
        }
    }
}

impl Handler<Stands> for RoomActor {
    type Result = ();

    fn handle(&mut self, Stands(standing): Stands, ctx: &mut Context<Self>) {
        match standing {
            Standing::Kept => self.unfence(ctx),
            Standing::Restored => {
                self.save();
                self.unfence(ctx);
            }
            Standing::Lost(owner) => self.yield_to(owner, Epoch::NONE, ctx),
        }
    }
}

impl RoomActor {
    /// The owner is gone, or does not own the room, or may have missed something: finds the owner, or becomes it.
    pub(super) fn seek(&mut self, ctx: &mut Context<Self>) {
        let Role::Edge(edge) = &mut self.role else { return };
        edge.pause();
        if std::mem::replace(&mut edge.seeking, true) {
            return;
        }
        let (signal, room, known) = (Arc::clone(&self.desk.signal), self.desk.room.clone(), edge.epoch);
        let found = async move {
            if !is_proposed(&signal, &room) {
                sleep(FOR_THE_PROPOSED).await;
            }
            find_owner(&signal, &room, known).await
        };
        ctx.spawn(found.into_actor(self).map(|found, room, ctx| room.on_found(found, ctx)));
    }

    fn on_found(&mut self, found: Result<Found, NoRoom>, ctx: &mut Context<Self>) {
        let Role::Edge(edge) = &mut self.role else { return };
        edge.seeking = false;
        match found {
            Ok(Found::Theirs(owner)) => self.follow(owner),
            Ok(Found::Ours(kept)) => self.take_up(kept, ctx),
            Err(NoRoom::NotFound) => {
                self.seats.close_all(CloseCode::RoomClosed);
                ctx.stop();
            }
            Err(NoRoom::Unavailable) => {
                ctx.run_later(SEEK_AGAIN, |room, ctx| room.seek(ctx));
            }
        }
    }

    /// Tells an owner which sockets this node has in the room, and then what they have said meanwhile.
    fn follow(&mut self, owner: OwnerName) {
        let announced = self.roll_call();
        let Role::Edge(edge) = &mut self.role else { return };
        tracing::info!(room = %self.desk.room, owner = %owner.node, "a room has another owner");
        let says = announced.into_iter().map(|announce| Say::Announce {
            session: announce.session.0,
            pass: Box::new(announce.pass),
            position: announce.position,
            received: announce.received,
        });
        edge.follow(owner.node, owner.epoch, says.collect(), &self.desk);
    }

    /// The sockets of this node that are in the room. One that an owner has heard of and not greeted begins again.
    fn roll_call(&mut self) -> Vec<Announce> {
        for session in self.seats.not_greeted() {
            let waits = matches!(&self.role, Role::Edge(edge) if edge.holds_entry_of(session.0));
            if !waits {
                self.seats.close(session, CloseCode::Internal);
            }
        }
        let mut announced = self.seats.announcements();
        if let Role::Edge(edge) = &self.role {
            for announce in &mut announced {
                // What is held has been counted, and follows.
                announce.received = announce.received.saturating_sub(edge.holds_of(announce.session.0));
            }
        }
        announced
    }

    /// This node owns the room from here on, and begins it anew from what was kept.
    fn take_up(&mut self, kept: Kept, ctx: &mut Context<Self>) {
        tracing::info!(room = %self.desk.room, epoch = kept.epoch.0, "this node owns a room from here on");
        let announced = self.roll_call();
        let held = self.become_owner(Owner::new(*kept.room, kept.epoch));
        for announce in announced {
            self.take(Input::Announce(announce), ctx);
        }
        for say in held {
            self.hear_own(say, ctx);
        }
        self.arm(ctx);
    }

    /// Answers what sockets here have said to an owner that was yet to be found.
    pub(super) fn become_owner(&mut self, owner: Owner) -> impl Iterator<Item = Say> + use<> {
        self.registered.set_owned(Some(owner.epoch));
        self.registered.set_app(owner.room.app());
        // Whatever term this node was in when its actor began: it owns the room in the present one.
        self.term = self.desk.signal.lease.borrow().term;
        match std::mem::replace(&mut self.role, Role::Owner(Box::new(owner))) {
            Role::Edge(edge) => edge.into_held().into_iter(),
            Role::Owner(_) => std::collections::VecDeque::new().into_iter(),
        }
    }

    /// What a socket of this node said while another owner was expected.
    pub(super) fn hear_own(&mut self, say: Say, ctx: &mut Context<Self>) {
        match say {
            Say::Enter { session, claims } => self.take(letters::join(SessionId(session), *claims), ctx),
            Say::Resume { session, pass, position } => {
                self.take(letters::resume(SessionId(session), *pass, position), ctx);
            }
            Say::Said { session, message } => {
                self.take(Input::Message { session: SessionId(session), message: *message }, ctx);
            }
            Say::Unreadable { session, kind } => {
                self.take(Input::Unreadable { session: SessionId(session), kind }, ctx);
            }
            Say::Gone { session, why } => {
                self.take(Input::Gone { session: SessionId(session), why: letters::gone(why) }, ctx);
            }
            // Who asked gives up and asks again.
            Say::Ask { .. }
            | Say::Announce { .. }
            | Say::Paused {}
            | Say::Answer { .. }
            | Say::Tell { .. }
            | Say::Greet { .. }
            | Say::Ice { .. }
            | Say::Close { .. }
            | Say::Pause {}
            | Say::HandOver { .. }
            | Say::Moved {}
            | Say::NotMine {}
            | Say::Ended { .. } => {}
        }
    }

    /// Another node has taken the room while this one could not act, with an epoch not below `known`.
    pub(super) fn yield_to(&mut self, owner: Option<OwnerName>, known: Epoch, ctx: &mut Context<Self>) {
        let Role::Owner(old) = &mut self.role else { return };
        tracing::warn!(room = %self.desk.room, "another node has taken a room of this node's");
        self.registered.set_owned(None);
        self.registered.set_app(None);
        let held = old.held_here();
        let (node, epoch) = (self.desk.signal.cluster.node().clone(), old.epoch.max(known));
        self.role = Role::Edge(Edge::holding(node, epoch, held));
        self.arm(ctx);
        match owner {
            Some(owner) if owner.node != *self.desk.signal.cluster.node() => self.follow(owner),
            Some(_) | None => self.seek(ctx),
        }
    }
}

/// Whether this node is the one that should take the room.
fn is_proposed(signal: &Signal, room: &causeway_protocol::RoomId) -> bool {
    signal.cluster.nodes().borrow().propose(room) == Some(signal.cluster.node())
}
