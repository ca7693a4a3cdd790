//! ChannelBind: call this peer by a number (RFC 8656 §12.2).

use causeway_stun::ChannelNumber;
use causeway_stun::attributes::{AddressFamily, XorPeerAddress};

use super::{Outcome, Refusal, Request};
use crate::address::PeerAddr;
use crate::auth::check::Authenticated;
use crate::channels::BindRefused;
use crate::forbidden::Forbidden;
use crate::relay::Relay;
use crate::tcp::RelayProtocol;

impl Relay {
    pub(super) fn channel_bind(
        &mut self,
        request: &Request<'_>,
        sender: &Authenticated,
    ) -> Result<Outcome, Refusal> {
        // 1. RFC 8656 §5: the allocation of this 5-tuple and user.
        let number = self.own_allocation(request, sender)?;
        let allocation = self.allocations.get_mut(number).ok_or(Refusal::AllocationMismatch)?;
        // RFC 6062 §3: a TCP allocation has no channels.
        if allocation.protocol == RelayProtocol::Tcp {
            return Err(Refusal::BadRequest);
        }
        let limits = self.config.limits;
        let now = request.now.moment;

        // 2. CHANNEL-NUMBER (of RFC 8656 or RFC 5766, see `ChannelNumber`) and XOR-PEER-ADDRESS, or 400.
        let (Ok(Some(channel)), Ok(Some(XorPeerAddress(peer)))) =
            (request.message.get::<ChannelNumber>(), request.message.get::<XorPeerAddress>())
        else {
            return Err(Refusal::BadRequest);
        };
        let peer = PeerAddr::new(peer);
        let ip = peer.socket().ip();

        // 3. A number that has another peer, or a peer that has another number: 400. No room: 508.
        let can_bind = allocation.channels.can_bind(channel, peer, limits.channels, now);
        if can_bind == Err(BindRefused::Conflict) {
            return Err(Refusal::BadRequest);
        }

        // 4. A family that the allocation does not have: 443. A peer that the policy does not allow: 403;
        //    one that may yet be the room's keeps the request waiting.
        if allocation.relayed.of(AddressFamily::of(ip)).is_none() {
            return Err(Refusal::PeerAddressFamilyMismatch);
        }
        let reach = match (self.policy.channel(peer, allocation.scope(&self.rooms)), allocation.room) {
            (Ok(reach), _) => reach,
            (Err(Forbidden::OutsideRoom), Some(room)) => return Ok(Outcome::AfterRoom(room)),
            (Err(forbidden), _) => {
                self.deny(number, peer, forbidden, request.now);
                return Err(Refusal::Forbidden);
            }
        };
        if can_bind == Err(BindRefused::Full)
            || !allocation.permissions.has_room(std::iter::once(ip), limits.permissions, now)
        {
            return Err(Refusal::InsufficientCapacity);
        }

        // 5. Bind or refresh the channel, and install or refresh the permission.
        allocation.channels.bind(channel, peer, now);
        allocation.permissions.install(ip, reach, now);
        Ok(Outcome::Answered(request.answer.success(sender.answer_seal(), |_| Ok(()))))
    }
}
