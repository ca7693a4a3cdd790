//! Refresh: keep or end an allocation (RFC 8656 §8.2).

use std::time::Duration;

use causeway_stun::attributes::{Lifetime, RequestedAddressFamily};

use super::{Outcome, Refusal, Request};
use crate::allocation::capped_lifetime;
use crate::auth::check::Authenticated;
use crate::event::EndReason;
use crate::mobility::Refreshed;
use crate::relay::Relay;

impl Relay {
    pub(super) fn refresh(
        &mut self,
        request: &Request<'_>,
        sender: &Authenticated,
    ) -> Result<Outcome, Refusal> {
        // 1. RFC 8656 §5: the allocation of this 5-tuple and user.
        //    RFC 8016 §3.2.2: or the one that the ticket names.
        let (number, with_ticket) = match self.refreshed(request, sender)? {
            Refreshed::Here(number) => (number, false),
            Refreshed::WithTicket(number) => (number, true),
            Refreshed::Again(reply) => return Ok(Outcome::Answered(reply)),
        };
        let allocation = self.allocations.get_mut(number).ok_or(Refusal::AllocationMismatch)?;

        allocation.renew(sender);

        // 2. A family that the allocation does not have: 443. Without one, all of its addresses are meant.
        let family = request
            .message
            .get::<RequestedAddressFamily>()
            .map_err(|_malformed| Refusal::BadRequest)?
            .map(|RequestedAddressFamily(family)| family);
        if family.is_some_and(|family| allocation.relayed.of(family).is_none()) {
            return Err(Refusal::PeerAddressFamilyMismatch);
        }

        // 3. The desired lifetime.
        let asked = request.message.get::<Lifetime>().map_err(|_malformed| Refusal::BadRequest)?;
        let lifetime = match asked {
            Some(Lifetime { seconds: 0 }) => Duration::ZERO,
            Some(_) | None => capped_lifetime(
                self.config.granted_lifetime(asked),
                sender.credential.grant.expires,
                request.now,
            ),
        };

        // 4. Zero ends the addresses that are meant, anything else sets their time to expiry.
        let expires = request.now.moment.plus(lifetime);
        let allocation_families = allocation.relayed.families();
        for meant in allocation_families.filter(|held| family.is_none_or(|family| family == *held)) {
            if let Some(address) = allocation.relayed.of_mut(meant) {
                address.expires = expires;
            }
        }
        self.reap(number, request.now.moment, EndReason::Released);

        // 5. LIFETIME with what is left, and the next ticket for whoever showed one.
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        let ticket = if with_ticket { self.next_ticket(number) } else { None };
        let reply = request.answer.success(sender.answer_seal(), |writer| {
            writer.put(&Lifetime { seconds })?;
            ticket.as_ref().map_or(Ok(()), |ticket| writer.put(&ticket.attribute()))
        });
        if with_ticket {
            self.note_move(number, request, &reply);
        }
        Ok(Outcome::Answered(reply))
    }
}
