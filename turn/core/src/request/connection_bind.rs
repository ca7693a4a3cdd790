//! ConnectionBind: make this connection of mine the client's end of that peer connection (RFC 6062 §5.4).

use causeway_stun::attributes::ConnectionId;

use super::{Outcome, Refusal, Request};
use crate::action::Action;
use crate::auth::check::Authenticated;
use crate::counters::AnswerCode;
use crate::relay::Relay;
use crate::tcp::State;

impl Relay {
    pub(super) fn connection_bind(
        &mut self,
        request: &Request<'_>,
        sender: &Authenticated,
    ) -> Result<Outcome, Refusal> {
        // 1. Over TCP or TLS, and not on a control connection: 400.
        if !request.from.via.transport().is_stream() || self.holder(request.from, request.now).is_some() {
            return Err(Refusal::BadRequest);
        }

        // 2. A CONNECTION-ID of a peer connection that waits for its client, under the same credential as the Allocate
        //    request: 400. Whether it is unknown, taken or another user's is not told apart.
        let Ok(Some(id)) = request.message.get::<ConnectionId>() else {
            return Err(Refusal::BadRequest);
        };
        let (connection, entry) = self.connections.find(id).ok_or(Refusal::BadRequest)?;
        match entry.state {
            State::Unbound { until } if request.now.moment < until => {}
            State::Unbound { .. } | State::Connecting(_) | State::Bound => return Err(Refusal::BadRequest),
        }
        let allocation = self.allocations.get(entry.allocation).ok_or(Refusal::BadRequest)?;
        if !allocation.has_credential_of(sender) || !allocation.relayed.is_alive(request.now.moment) {
            return Err(Refusal::BadRequest);
        }

        // 3. From here on, both connections carry bytes and no messages. The answer is the last one, so it comes with
        //    the order to splice and not through the queue of answers, behind what the peer has sent.
        self.connections.bind(connection);
        let reply = request.answer.success(sender.answer_seal(), |_| Ok(()));
        self.counters.count_answer(AnswerCode::Success);
        self.queue.push(Action::Splice { client: request.from, connection, reply });
        Ok(Outcome::Later)
    }
}
