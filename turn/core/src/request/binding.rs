//! Binding: which address do you see me at? (RFC 8489 §3.) Anyone may ask; the answer is as small as it can be.

use causeway_stun::AttributeType;
use causeway_stun::attributes::XorMappedAddress;

use super::{Outcome, Refusal, Request};
use crate::relay::Relay;
use crate::reply::Seal;

/// What a client may add without our having to do anything about it.
const UNDERSTOOD: &[AttributeType] =
    &[AttributeType::USERNAME, AttributeType::REALM, AttributeType::NONCE, AttributeType::USERHASH];

impl Relay {
    pub(super) fn binding(&self, request: &Request<'_>) -> Result<Outcome, Refusal> {
        let unknown = request.message.unknown_required(UNDERSTOOD);
        if !unknown.is_empty() {
            return Err(Refusal::UnknownAttributes(unknown));
        }
        let reply =
            request.answer.success(Seal::Open, |writer| writer.put(&XorMappedAddress(request.from.source)));
        Ok(Outcome::Answered(reply))
    }
}
