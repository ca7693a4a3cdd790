//! CreatePermission: let these IPs reach me, and me them (RFC 8656 §10.2).

use causeway_stun::attributes::{AddressFamily, XorPeerAddress};

use super::{Outcome, Refusal, Request};
use crate::auth::check::Authenticated;
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

        // 2. At least one XOR-PEER-ADDRESS, every one well formed, of a family that the allocation has, and of a peer
        //    that the policy allows. One that is not refuses the request whole.
        let mut peers: usize = 0;
        for peer in request.message.get_all::<XorPeerAddress>() {
            let XorPeerAddress(peer) = peer.map_err(|_malformed| Refusal::BadRequest)?;
            if allocation.relayed.of(AddressFamily::of(peer.ip())).is_none() {
                return Err(Refusal::PeerAddressFamilyMismatch);
            }
            self.policy
                .permission(peer.ip(), allocation.grant.peers)
                .map_err(|_forbidden| Refusal::Forbidden)?;
            peers = peers.saturating_add(1);
        }
        if peers == 0 {
            return Err(Refusal::BadRequest);
        }

        // 3. Room for all of them, or 508.
        let ips =
            || request.message.get_all::<XorPeerAddress>().filter_map(Result::ok).map(|peer| peer.0.ip());
        if !allocation.permissions.has_room(ips(), self.config.limits.permissions, request.now.moment) {
            return Err(Refusal::InsufficientCapacity);
        }

        // 4. Install or refresh. The port is ignored.
        for ip in ips() {
            if let Ok(reach) = self.policy.permission(ip, allocation.grant.peers) {
                allocation.permissions.install(ip, reach, request.now.moment);
            }
        }
        Ok(Outcome::Answered(request.answer.success(sender.answer_seal(), |_| Ok(()))))
    }
}
