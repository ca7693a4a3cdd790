//! What becomes of a room when nodes come and go, and when this node stops or begins to own it.

use actix::{ActorContext, Context, Handler, Message};
use causeway_cluster::Standing;
use causeway_protocol::{CloseCode, NodeId};

use super::{Around, Role, RoomActor};
use causeway_service::clock;

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
        let ended = match role {
            Role::Owner(owner) => owner.lose_node(&node, &mut Around { seats, desk, now: clock::now() }),
            Role::Edge(edge) if edge.owner == node => {
                self.seats.close_all(CloseCode::Internal);
                return ctx.stop();
            }
            Role::Edge(_) => None,
        };
        if let Some(ending) = ended {
            self.on_ended(ending, ctx);
        }
        self.arm(ctx);
    }
}

impl Handler<NodeReset> for RoomActor {
    type Result = ();

    fn handle(&mut self, NodeReset(node): NodeReset, ctx: &mut Context<Self>) {
        match &self.role {
            Role::Owner(_) => {}
            Role::Edge(edge) if edge.owner == node => {
                self.seats.close_all(CloseCode::Internal);
                ctx.stop();
            }
            Role::Edge(_) => {}
        }
    }
}

impl Handler<Stands> for RoomActor {
    type Result = ();

    fn handle(&mut self, Stands(standing): Stands, ctx: &mut Context<Self>) {
        match standing {
            Standing::Kept | Standing::Restored => {}
            Standing::Lost(_) => {
                self.seats.close_all(CloseCode::Internal);
                ctx.stop();
            }
        }
    }
}
