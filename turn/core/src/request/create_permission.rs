//! CreatePermission: let these IPs reach me, and me them (RFC 8656 §10.2).

use causeway_stun::attributes::{AddressFamily, XorPeerAddress};

use super::{Outcome, Refusal, Request};
use crate::address::PeerAddr;
use crate::auth::check::Authenticated;
use crate::forbidden::Forbidden;
use crate::relay::Relay;

impl Relay {
    pub(super) fn create_permission(
        &mut self,
        request: &Request<'_>,
        sender: &Authenticated,
    ) -> Result<Outcome, Refusal> {
        // 1. RFC 8656 §5: the allocation of this 5-tuple and user.
        let number = self.own_allocation(request, sender)?;
        let allocation = self.allocations.get_mut(number).ok_or(Refusal::AllocationMismatch)?;
        let scope = allocation.scope(&self.rooms);

        // 2. At least one XOR-PEER-ADDRESS, every one well formed, of a family that the allocation has, and of a peer
        //    that the policy allows. One that is not refuses the request whole; one that may yet be the room's keeps it
        //    waiting.
        let mut peers: usize = 0;
        let mut outside = None;
        for peer in request.message.get_all::<XorPeerAddress>() {
            let XorPeerAddress(peer) = peer.map_err(|_malformed| Refusal::BadRequest)?;
            if allocation.relayed.of(AddressFamily::of(peer.ip())).is_none() {
                return Err(Refusal::PeerAddressFamilyMismatch);
            }
            match (self.policy.permission(peer.ip(), scope), allocation.room) {
                (Ok(_), _) => {}
                (Err(Forbidden::OutsideRoom), Some(room)) => outside = Some(room),
                (Err(forbidden), _) => {
                    self.deny(number, PeerAddr::new(peer), forbidden, request.now);
                    return Err(Refusal::Forbidden);
                }
            }
            peers = peers.saturating_add(1);
        }
        if peers == 0 {
            return Err(Refusal::BadRequest);
        }
        if let Some(room) = outside {
            return Ok(Outcome::AfterRoom(room));
        }

        // 3. Room for all of them, or 508.
        let ips =
            || request.message.get_all::<XorPeerAddress>().filter_map(Result::ok).map(|peer| peer.0.ip());
        if !allocation.permissions.has_room(ips(), self.config.limits.permissions, request.now.moment) {
            return Err(Refusal::InsufficientCapacity);
        }

        // 4. Install or refresh. The port is ignored.
        for ip in ips() {
            if let Ok(reach) = self.policy.permission(ip, scope) {
                allocation.permissions.install(ip, reach, request.now.moment);
            }
        }
        Ok(Outcome::Answered(request.answer.success(sender.answer_seal(), |_| Ok(()))))
    }
}
