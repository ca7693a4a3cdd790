//! Whether a sender that proved nothing is answered at all.

use super::{Refusal, Request};
use crate::dropped::DropReason;
use crate::relay::Relay;

impl Relay {
    /// Before an answer without an integrity check goes out. `refusal`: what it would say; `None`: a Binding success.
    pub(super) fn admit_stranger(
        &mut self,
        request: &Request<'_>,
        refusal: Option<&Refusal>,
    ) -> Result<(), DropReason> {
        let challenges = refusal.is_some_and(Refusal::challenges);
        if challenges && self.challenges.amplifies(&request.message, request.from.via.transport()) {
            return Err(DropReason::AnswerTooLarge);
        }
        match self.strangers.admit(request.from.source.ip(), request.now.moment) {
            true => Ok(()),
            false => Err(DropReason::StrangerLimited),
        }
    }
}
