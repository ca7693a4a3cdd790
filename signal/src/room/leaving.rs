//! Handing a room over to another node while everybody in it goes on.

use std::time::Duration;

use actix::{ActorContext, ActorFutureExt, Context, Handler, Message, ResponseActFuture, WrapFuture};
use causeway_cluster::HandOverError;
use causeway_protocol::node::{HandedSocket, Say};
use causeway_protocol::record::RoomState;
use causeway_protocol::{CloseCode, Epoch, NodeId};
use causeway_service::clock;
use causeway_signal_core::{Room, SessionId};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::edge::Edge;
use super::far::FarSocket;
use super::owner::Owner;
use super::{Role, RoomActor};
use crate::state::Signal;

/// How long other nodes have to hold what their sockets say. What comes later is refused, and they compare what they know.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the new owner has to say that it has the room.
const CONFIRM: Duration = Duration::from_secs(2);

/// Hand the room over to this node. Answers whether it has it.
#[derive(Message)]
#[rtype(result = "bool")]
pub(crate) struct GiveAway(pub(crate) NodeId);

impl Handler<GiveAway> for RoomActor {
    type Result = ResponseActFuture<Self, bool>;

    fn handle(&mut self, GiveAway(to): GiveAway, _: &mut Context<Self>) -> Self::Result {
        let Role::Owner(owner) = &mut self.role else {
            return Box::pin(std::future::ready(false).into_actor(self));
        };
        let paused = owner.pause_edges(&self.desk);
        let (cluster, room, epoch) = (self.desk.signal.cluster.clone(), self.desk.room.clone(), owner.epoch);
        let target = to.clone();
        let handed = async move {
            // Closes without a word.
            let _all_or_late = timeout(PAUSE, paused).await;
            cluster.hand_over(&room, epoch, &target).await
        };
        Box::pin(handed.into_actor(self).then(move |handed, room, _| {
            let confirmed = room.on_handed(to, handed);
            // Closes without a word, too. One that is late finds the room in what was kept of it.
            let confirmed = async move {
                match confirmed {
                    Some(confirmed) => timeout(CONFIRM, confirmed).await.is_ok(),
                    None => false,
                }
            };
            confirmed.into_actor(room)
        }))
    }
}

impl RoomActor {
    /// Returns what closes when the new owner has the room; `None`: it is still this node's.
    fn on_handed(
        &mut self,
        to: NodeId,
        handed: Result<Epoch, HandOverError>,
    ) -> Option<oneshot::Receiver<()>> {
        let Role::Owner(owner) = &mut self.role else { return None };
        owner.leaving = None;
        let epoch = match handed {
            Ok(epoch) => epoch,
            Err(error) => {
                tracing::warn!(room = %self.desk.room, node = %to, %error, "a room was not handed over");
                for node in owner.far.edges() {
                    self.desk.post(node, owner.epoch, Say::Moved {});
                }
                return None;
            }
        };
        let (state, sockets) = owner.as_handed(self.desk.signal.cluster.node(), &self.seats);
        let held = owner.held_here();
        self.registered.set_owned(None);
        self.registered.set_app(None);
        self.desk.post(&to, epoch, Say::HandOver { state: Box::new(state), sockets });
        let mut edge = Edge::holding(to.clone(), epoch, held);
        edge.follow(to, epoch, Vec::new(), &self.desk);
        let (handed, confirmed) = oneshot::channel();
        edge.handed = Some(handed);
        self.role = Role::Edge(edge);
        Some(confirmed)
    }

    /// The room is this node's from here on, as it stands.
    pub(super) fn on_hand_over(
        &mut self,
        from: &NodeId,
        epoch: Epoch,
        state: RoomState,
        sockets: Vec<HandedSocket>,
        ctx: &mut Context<Self>,
    ) {
        if !matches!(self.role, Role::Edge(_)) {
            return;
        }
        let (owner, nodes) = Owner::of_handed(state, sockets, epoch, &self.desk.signal);
        let Some(owner) = owner else {
            tracing::info!(room = %self.desk.room, "a room was over when it was handed over");
            self.seats.close_all(CloseCode::RoomClosed);
            return ctx.stop();
        };
        tracing::info!(room = %self.desk.room, epoch = epoch.0, node = %from, "a room was handed over to this node");
        let held = self.become_owner(owner);
        for node in nodes.iter().filter(|node| *node != from).chain([from]) {
            self.desk.post(node, epoch, Say::Moved {});
        }
        for say in held {
            self.hear_own(say, ctx);
        }
        self.save();
        self.arm(ctx);
    }
}

impl Owner {
    /// The room for its next owner, and whose the sockets are that it speaks of.
    fn as_handed(&self, me: &NodeId, seats: &super::seats::Seats) -> (RoomState, Vec<HandedSocket>) {
        let here = seats.sessions().map(|session| HandedSocket {
            number: session.0,
            node: me.clone(),
            session: session.0,
        });
        let there = self.far.iter().map(|(number, socket)| HandedSocket {
            number: number.0,
            node: socket.node.clone(),
            session: socket.session,
        });
        (self.room.state(clock::now()), here.chain(there).collect())
    }

    /// A room that was handed over, and the nodes that take part in it. `None`: its time is over.
    fn of_handed(
        mut state: RoomState,
        sockets: Vec<HandedSocket>,
        epoch: Epoch,
        signal: &Signal,
    ) -> (Option<Self>, Vec<NodeId>) {
        let me = signal.cluster.node();
        let resume = signal.settings().resume();
        let mut far = super::far::Far::default();
        let mut numbers = std::collections::HashMap::new();
        for HandedSocket { number, node, session } in sockets {
            far.meet(&node);
            let ours = if node == *me {
                SessionId(session)
            } else {
                let ours = signal.next_session();
                far.give(ours, FarSocket { node, session });
                ours
            };
            numbers.insert(number, ours.0);
        }
        far.part(me);
        let nodes = far.edges().cloned().collect();
        let renumbered = |number: u64| numbers.get(&number).copied();
        for member in &mut state.members {
            member.session = member.session.and_then(renumbered);
        }
        state.waiting.retain_mut(|waiting| match renumbered(waiting.session) {
            Some(ours) => {
                waiting.session = ours;
                true
            }
            None => false,
        });
        let owner = Room::restore(state, resume, epoch, clock::now()).map(|room| {
            let mut owner = Self::new(room, epoch);
            owner.far = far;
            owner
        });
        (owner, nodes)
    }
}
