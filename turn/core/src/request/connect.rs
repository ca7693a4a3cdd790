//! Connect: open a connection to this peer from my relayed address (RFC 6062 §5.2). The answer waits until it stands.

use causeway_stun::attributes::{AddressFamily, XorPeerAddress};

use super::{Outcome, Refusal, Request};
use crate::action::Action;
use crate::address::PeerAddr;
use crate::auth::check::Authenticated;
use crate::forbidden::Forbidden;
use crate::relay::Relay;
use crate::tcp::{Connecting, RelayProtocol, State};

impl Relay {
    pub(super) fn connect(
        &mut self,
        request: &Request<'_>,
        sender: &Authenticated,
    ) -> Result<Outcome, Refusal> {
        // 1. RFC 8656 §5: the allocation of this 5-tuple and user, and a TCP one: 437.
        let number = self.own_allocation(request, sender)?;
        let allocation = self.allocations.get_mut(number).ok_or(Refusal::AllocationMismatch)?;
        if allocation.protocol != RelayProtocol::Tcp {
            return Err(Refusal::AllocationMismatch);
        }

        // 2. XOR-PEER-ADDRESS, or 400.
        let Ok(Some(XorPeerAddress(peer))) = request.message.get::<XorPeerAddress>() else {
            return Err(Refusal::BadRequest);
        };
        let peer = PeerAddr::new(peer);

        // 3. One connection per peer, of whatever state: 446.
        let connections = &self.connections;
        let is_known = |connected: &_| connections.peer(*connected) == Some(peer);
        if allocation.connections.iter().any(is_known) {
            return Err(Refusal::ConnectionAlreadyExists);
        }

        // 4. A family that the allocation does not have: 443. What the policy does not allow, or the relayed address
        //    itself: 403; a peer that may yet be the room's keeps the request waiting.
        let family = AddressFamily::of(peer.socket().ip());
        let relayed = allocation.relayed.of(family).ok_or(Refusal::PeerAddressFamilyMismatch)?;
        let from = relayed.port;
        let scope = allocation.scope(&self.rooms);
        let judged = self.policy.channel(peer, scope);
        let passage = judged.and_then(|reach| self.policy.stream_passage(reach, peer, scope));
        let to = match (passage, allocation.room) {
            (Ok(way), _) => way.at(peer),
            (Err(Forbidden::OutsideRoom), Some(room)) => return Ok(Outcome::AfterRoom(room)),
            (Err(forbidden), _) => {
                self.deny(number, peer, forbidden, request.now);
                return Err(Refusal::Forbidden);
            }
        };
        if from.address == to.socket() {
            return Err(Refusal::Forbidden);
        }

        // 5. Our own limits: 508.
        let limits = self.config.limits;
        if allocation.connections.len() >= limits.connections
            || self.connections.len() >= self.config.connections
        {
            return Err(Refusal::InsufficientCapacity);
        }

        // 6. The shell connects, from the relayed address. The answer comes when it has, or has not.
        let asked = Connecting { client: request.from, sender: sender.clone(), answer: request.answer };
        let state = State::Connecting(Box::new(asked));
        let connection = self.connections.insert(number, peer, state, request.now.moment, &mut *self.random);
        allocation.connections.push(connection);
        self.queue.push(Action::Connect { connection, from, to });
        self.count_connections();
        Ok(Outcome::Later)
    }
}
