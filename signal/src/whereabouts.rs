//! Tells relays where we see a room's peers: a relay credential with `peers=room` reaches them there.
//!
//! What counts is the source of the WebSocket, or what a trusted proxy says it is. What a peer says about itself is
//! passed on to the other peers and to no relay.

use std::net::IpAddr;
use std::sync::Arc;

use actix::{Context, Handler, Message};
use causeway_cluster::{Delivery, Subscription};
use causeway_protocol::bus::{AddressOrigin, BusMessage, RoomAddresses};
use causeway_protocol::{PeerId, RoomId};

use crate::room::RoomActor;
use crate::state::Signal;

/// Say again where the room's peers are.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct TellWhereabouts;

impl Handler<TellWhereabouts> for RoomActor {
    type Result = ();

    fn handle(&mut self, _: TellWhereabouts, _: &mut Context<Self>) {
        self.tell_whereabouts();
    }
}

/// A peer of a room is seen at this address; `None`: at none any more.
pub(crate) fn tell(signal: &Signal, room: &RoomId, peer: &PeerId, seen_at: Option<IpAddr>) {
    let told = RoomAddresses {
        node: signal.node.clone(),
        origin: AddressOrigin::Signal,
        room: room.clone(),
        peer: peer.clone(),
        relayed: Vec::new(),
        observed: seen_at.filter(|ip| !ip.is_unspecified()).map(|ip| ip.to_canonical()).into_iter().collect(),
    };
    if let Err(error) = signal.bus.publish(BusMessage::RoomAddresses(told)) {
        tracing::debug!(%room, %error, "relays are not told where a peer is; they will be, when it is said again");
    }
}

/// Answers relays that ask who is in a room.
pub(crate) async fn answer(mut asked: Subscription, signal: Arc<Signal>) {
    while let Some(delivery) = asked.next().await {
        match delivery {
            Delivery::Message(BusMessage::RoomQuery(query)) => {
                if let Some(room) = signal.rooms.find(&query.room) {
                    // A busy room says it within its next repetition.
                    let _said_later = room.try_send(TellWhereabouts);
                }
            }
            // Of other topics, or made up for by the next repetition.
            Delivery::Message(
                BusMessage::RelayUsage(_)
                | BusMessage::RelayOrder(_)
                | BusMessage::RoomLimits(_)
                | BusMessage::RoomAddresses(_)
                | BusMessage::RelayNode(_),
            )
            | Delivery::Gap => {}
        }
    }
}
