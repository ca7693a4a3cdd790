//! Requests: what all have in common, and which handler each goes to.

mod allocate;
mod binding;
mod channel_bind;
mod connect;
mod connection_bind;
mod create_permission;
mod pending;
mod refresh;
mod refusal;
mod stranger;

use causeway_protocol::Now;
use causeway_stun::{AttributeType, Message};

use crate::action::Reply;
use crate::address::ClientAddr;
use crate::auth::check::{Authenticated, Checker};
use crate::counters::{AnswerCode, RequestMethod};
use crate::dropped::DropReason;
use crate::relay::{Holder, Relay};
use crate::reply::{Answer, Challenge, Seal};
use crate::verdict::Verdict;

pub(crate) use pending::Pending;
pub(crate) use refusal::Refusal;

/// The attributes that requests of TURN may carry; others that must be understood bring 420.
const UNDERSTOOD: &[AttributeType] = &[
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::USERHASH,
    AttributeType::ACCESS_TOKEN,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::LIFETIME,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::DATA,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::EVEN_PORT,
    AttributeType::REQUESTED_TRANSPORT,
    AttributeType::DONT_FRAGMENT,
    AttributeType::RESERVATION_TOKEN,
    AttributeType::CONNECTION_ID,
];

/// A request, when it came and from where.
pub(crate) struct Request<'a> {
    pub(crate) message: Message<'a>,
    pub(crate) from: ClientAddr,
    pub(crate) now: Now,
    pub(crate) answer: Answer,
}

/// What a handler did with a request that it did not refuse. It goes from the handler to the queue and no further, so
/// answers are inline.
pub(crate) enum Outcome {
    Answered(Reply),
    /// RFC 5780 §6.1: from another listener, or to another port.
    AnsweredElsewhere(ClientAddr, Reply),
    /// The same in fragments.
    AnsweredPadded(ClientAddr, Box<[u8]>),
    /// The answer comes when the shell has bound the port or connected, or is queued already.
    Later,
    /// The answer depends on who belongs to the room with this number, which may be known in a moment.
    AfterRoom(u32),
}

impl Relay {
    /// RFC 8489 §6.3.1; the message is well formed and its FINGERPRINT, if there is one, right.
    pub(crate) fn on_request(
        &mut self,
        now: Now,
        from: ClientAddr,
        message: Message<'_>,
    ) -> Result<Verdict, DropReason> {
        let method = RequestMethod::of(message.method()).ok_or(DropReason::UnexpectedMethod)?;
        self.counters.count_request(method);
        let answer = Answer::to(&message, method);
        let request = Request { message, from, now, answer };

        let sender = match method {
            RequestMethod::Binding => return self.finish(&request, Seal::Open, &self.binding(&request)),
            RequestMethod::Allocate
            | RequestMethod::Refresh
            | RequestMethod::CreatePermission
            | RequestMethod::ChannelBind
            | RequestMethod::Connect
            | RequestMethod::ConnectionBind => match self.authenticate(&request) {
                Ok(sender) => sender,
                Err(refusal) => return self.finish(&request, Seal::Open, &Err(refusal)),
            },
        };
        let outcome = self.handle(method, &request, &sender);
        if let Ok(Outcome::AfterRoom(room)) = outcome {
            self.wait(method, &request, &sender, room)?;
        }
        self.finish(&request, sender.answer_seal(), &outcome)
    }

    pub(crate) fn handle(
        &mut self,
        method: RequestMethod,
        request: &Request<'_>,
        sender: &Authenticated,
    ) -> Result<Outcome, Refusal> {
        // RFC 8489 §6.3.1: after authentication and before anything else.
        let unknown = request.message.unknown_required(UNDERSTOOD);
        if !unknown.is_empty() {
            return Err(Refusal::UnknownAttributes(unknown));
        }
        match method {
            RequestMethod::Binding => self.binding(request),
            RequestMethod::Allocate => self.allocate(request, sender),
            RequestMethod::Refresh => self.refresh(request, sender),
            RequestMethod::CreatePermission => self.create_permission(request, sender),
            RequestMethod::ChannelBind => self.channel_bind(request, sender),
            RequestMethod::Connect => self.connect(request, sender),
            RequestMethod::ConnectionBind => self.connection_bind(request, sender),
        }
    }

    fn authenticate(&mut self, request: &Request<'_>) -> Result<Authenticated, Refusal> {
        let mut checker = Checker {
            realm: self.challenges.realm(),
            announced: self.challenges.of(request.from.via.transport()),
            nonces: &self.nonces,
            keyring: &self.keyring,
            verified: &mut self.verified,
            revocations: &self.revocations,
        };
        let known = match self.by_client.get(&request.from) {
            Some(Holder::Allocation(number)) => self.allocations.get(*number).map(|held| &held.credential),
            Some(Holder::Pending(_)) | None => None,
        };
        checker.check(&request.message, &request.from, request.now, known)
    }

    pub(crate) fn finish(
        &mut self,
        request: &Request<'_>,
        seal: Seal<'_>,
        outcome: &Result<Outcome, Refusal>,
    ) -> Result<Verdict, DropReason> {
        match seal {
            Seal::Open => self.admit_stranger(request, outcome.as_ref().err())?,
            Seal::With(_, _) => {}
        }
        match outcome {
            Ok(Outcome::Answered(reply)) => self.answer(request.from, *reply, AnswerCode::Success)?,
            Ok(Outcome::AnsweredElsewhere(to, reply)) => self.answer(*to, *reply, AnswerCode::Success)?,
            Ok(Outcome::AnsweredPadded(to, bytes)) => self.answer_padded(*to, bytes)?,
            Ok(Outcome::Later | Outcome::AfterRoom(_)) => {}
            Err(refusal) => self.refuse(request.from, request.now, &request.answer, seal, refusal)?,
        }
        Ok(Verdict::Handled)
    }

    /// Queues an error answer.
    pub(crate) fn refuse(
        &mut self,
        to: ClientAddr,
        now: Now,
        answer: &Answer,
        seal: Seal<'_>,
        refusal: &Refusal,
    ) -> Result<(), DropReason> {
        if let Refusal::TryAlternate(place) = refusal
            && let Some(server) = self.servers.get(*place)
        {
            let reply = answer.redirect(seal, server);
            return self.answer(to, reply, refusal.answer_code());
        }
        let challenge = refusal.challenges().then(|| {
            let announced = self.challenges.of(to.via.transport());
            let nonce = self.nonces.issue(&to, now.moment, announced.features);
            let third_party = self.challenges.third_party(to.via.transport());
            Challenge { realm: self.challenges.realm(), announced, third_party, nonce }
        });
        let reply = answer.error(seal, refusal, challenge);
        self.answer(to, reply, refusal.answer_code())
    }

    /// The sender's allocation on this 5-tuple (RFC 8656 §5): 437 if there is none, 441 if it is another user's.
    pub(crate) fn own_allocation(
        &mut self,
        request: &Request<'_>,
        sender: &Authenticated,
    ) -> Result<u32, Refusal> {
        let Some(Holder::Allocation(number)) = self.holder(request.from, request.now) else {
            return Err(Refusal::AllocationMismatch);
        };
        let allocation = self.allocations.get(number).ok_or(Refusal::AllocationMismatch)?;
        if !allocation.is_of(sender) {
            return Err(Refusal::WrongCredentials);
        }
        self.settle_move(number, request.from);
        Ok(number)
    }
}
