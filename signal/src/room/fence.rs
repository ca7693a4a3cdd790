//! What a room does while its nodes cannot reach one another, or this node does not know whether it still owns it.

use std::time::Duration;

use actix::{AsyncContext, Context, Handler, Message};
use causeway_protocol::message::ServerMessage;
use causeway_protocol::node::Say;
use causeway_protocol::{CloseCode, Epoch, UnixSeconds};
use causeway_service::clock;
use causeway_signal_core::{Input, SessionId};

use super::owner::Held;
use super::{Role, RoomActor};
use crate::metrics;

/// Between two looks at a lease that was late.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// This node reaches what joins the nodes, or has not since then.
#[derive(Clone, Copy, Message)]
#[rtype(result = "()")]
pub(crate) struct Reachable(pub(crate) Result<(), UnixSeconds>);

impl Handler<Reachable> for RoomActor {
    type Result = ();

    fn handle(&mut self, Reachable(reachable): Reachable, ctx: &mut Context<Self>) {
        let alone = match &self.role {
            Role::Owner(owner) => owner.far.is_empty(),
            Role::Edge(_) => false,
        };
        match reachable {
            Err(since) if !alone => self.tell_degraded(since, ctx),
            Ok(()) if self.degraded => {
                self.degraded = false;
                self.tell_all_here(&ServerMessage::Recovered {}, ctx);
            }
            Err(_) | Ok(()) => {}
        }
    }
}

impl RoomActor {
    /// Whether this node may act as the room's owner towards others.
    pub(super) fn is_certain(&self) -> bool {
        let lease = *self.desk.signal.lease.borrow();
        lease.term == self.term && lease.holds(clock::now().moment)
    }

    /// Whether it may act as the owner towards sockets of this node: also when nobody can be asked and nobody else is concerned,
    /// so that such a room outlives what joins the nodes.
    pub(super) fn may_act_here(&self) -> bool {
        let alone = match &self.role {
            Role::Owner(owner) => owner.far.is_empty(),
            Role::Edge(_) => false,
        };
        self.is_certain() || (alone && self.desk.signal.is_cut_off())
    }

    /// A member has heard of an owner after this one, whether or not this node can ask who that is.
    pub(super) fn step_down(&mut self, later: Epoch, shown: Held, ctx: &mut Context<Self>) {
        let Role::Owner(owner) = &mut self.role else { return };
        match shown {
            Held::Here(say) => owner.hold_last(say),
            // Its node says anew what it has in the room, to whoever owns it then.
            Held::There(mail) => self.desk.post(&mail.from, mail.letter.epoch, Say::NotMine {}),
        }
        self.yield_to(None, later, ctx);
        if self.desk.signal.is_cut_off() {
            self.tell_degraded(clock::now().unix, ctx);
        }
    }

    /// Keeps an input until it is known whose the room is.
    pub(super) fn hold(&mut self, held: Held, ctx: &mut Context<Self>) {
        let Role::Owner(owner) = &mut self.role else { return };
        if !owner.holds() {
            ctx.run_later(LOOK_AGAIN, Self::look_again);
        }
        let socket = match &held {
            Held::Here(say) => say.session(),
            Held::There(_) => None,
        };
        let Some(refused) = owner.hold(held) else { return };
        metrics::letter_refused("held-too-much");
        match (refused, socket) {
            // It comes back when the room can take what it says.
            (Held::Here(_), Some(session)) => self.seats.close(SessionId(session), CloseCode::Internal),
            (Held::Here(_), None) => {}
            // Its node says anew what it has in the room.
            (Held::There(mail), _) => self.desk.post(&mail.from, mail.letter.epoch, Say::NotMine {}),
        }
    }

    /// A lease that was merely late needs nobody's word.
    fn look_again(&mut self, ctx: &mut Context<Self>) {
        match &self.role {
            Role::Owner(owner) if owner.holds() && self.may_act_here() => self.hear_held(ctx),
            Role::Owner(owner) if owner.holds() => {
                ctx.run_later(LOOK_AGAIN, Self::look_again);
            }
            Role::Owner(_) | Role::Edge(_) => {}
        }
    }

    /// The room is still this node's, in the lease's present term.
    pub(super) fn unfence(&mut self, ctx: &mut Context<Self>) {
        self.term = self.desk.signal.lease.borrow().term;
        self.hear_held(ctx);
    }

    fn hear_held(&mut self, ctx: &mut Context<Self>) {
        let Role::Owner(owner) = &mut self.role else { return };
        for held in owner.take_held() {
            match held {
                Held::Here(say) => self.hear_own(say, ctx),
                Held::There(mail) => self.on_word_to_owner(&mail.from, mail.letter, ctx),
            }
        }
    }

    fn tell_degraded(&mut self, since: UnixSeconds, ctx: &mut Context<Self>) {
        if !std::mem::replace(&mut self.degraded, true) {
            self.tell_all_here(&ServerMessage::Degraded { since }, ctx);
        }
    }

    fn tell_all_here(&mut self, message: &ServerMessage, ctx: &mut Context<Self>) {
        for session in self.seats.tell_all(message) {
            self.stall_here(session, ctx);
        }
    }

    /// A socket of this node reads too slowly.
    fn stall_here(&mut self, session: SessionId, ctx: &mut Context<Self>) {
        match &self.role {
            Role::Owner(_) => self.take(Input::Stalled { session }, ctx),
            Role::Edge(_) => self.stall(session),
        }
    }
}
