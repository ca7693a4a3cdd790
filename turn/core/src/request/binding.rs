//! Binding: which address do you see me at? (RFC 8489 §3.) Anyone may ask; the answer is as small as it can be, and
//! longer only where behaviour discovery (RFC 5780) is on.

use causeway_stun::attributes::{
    ChangeRequest, MappedAddress, OtherAddress, Padding, ResponseOrigin, ResponsePort, XorMappedAddress,
};
use causeway_stun::{AttributeType, EncodeError, MessageWriter};

use super::{Outcome, Refusal, Request};
use crate::address::{ClientAddr, ListenerId, Via};
use crate::discovery::Alternates;
use crate::relay::Relay;
use crate::reply::Seal;

/// What a client may add without our having to do anything about it.
const UNDERSTOOD: &[AttributeType] = &[
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::USERHASH,
];

/// The same, and what asks for an answer from elsewhere, to elsewhere, or in fragments.
const UNDERSTOOD_IN_DISCOVERY: &[AttributeType] = &[
    AttributeType::USERNAME,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::USERHASH,
    AttributeType::CHANGE_REQUEST,
    AttributeType::RESPONSE_PORT,
    AttributeType::PADDING,
];

/// The longest PADDING of ours: Ethernet's MTU, which RFC 5780 §7.6 would have asked of the interface.
const MAX_PADDING: u16 = 1500;

/// RFC 5780 §6.1: as if CHANGE-REQUEST were absent.
const UNCHANGED: ChangeRequest = ChangeRequest { ip: false, port: false };

/// What a request of behaviour discovery asks for.
struct Wish {
    change: ChangeRequest,
    port: Option<ResponsePort>,
    padding: Option<Padding>,
}

impl Relay {
    pub(super) fn binding(&self, request: &Request<'_>) -> Result<Outcome, Refusal> {
        let from = request.from;
        let Some(alternates) = self.alternates.of(from.listener) else {
            request.understands(UNDERSTOOD)?;
            let mapped = XorMappedAddress(from.source);
            return Ok(Outcome::Answered(request.answer.success(Seal::Open, |writer| writer.put(&mapped))));
        };

        // RFC 5780 §6.1. The answer on a connection or in a session comes back on it: there is nothing to choose.
        let wish = match from.via {
            Via::Udp => {
                request.understands(UNDERSTOOD_IN_DISCOVERY)?;
                Wish::of(request)?
            }
            Via::Tcp(_) | Via::Tls(_) | Via::Dtls(_) => {
                request.understands(UNDERSTOOD)?;
                Wish::NONE
            }
        };
        let listener = alternates.source(from.listener, wish.change);
        let mut to = ClientAddr { listener, ..from };
        if let Some(ResponsePort(port)) = wish.port {
            to.source.set_port(port);
        }
        let body = |writer: &mut MessageWriter<'_>| self.discovered(from, listener, alternates, writer);
        Ok(match wish.padding {
            None => Outcome::AnsweredElsewhere(to, request.answer.success(Seal::Open, body)),
            // No longer than the request's: nobody is sent much more than they sent.
            Some(Padding { length }) => {
                let padding = Padding { length: length.min(MAX_PADDING) & !3 };
                Outcome::AnsweredPadded(to, request.answer.padded(padding, body))
            }
        })
    }

    /// RFC 5780 §6.1: what every Binding answer says.
    fn discovered(
        &self,
        from: ClientAddr,
        sent_from: ListenerId,
        alternates: Alternates,
        writer: &mut MessageWriter<'_>,
    ) -> Result<(), EncodeError> {
        writer.put(&XorMappedAddress(from.source))?;
        writer.put(&MappedAddress(from.source))?;
        if let Some(origin) = self.config.listener(sent_from) {
            writer.put(&ResponseOrigin(self.policy.outside(origin.address)))?;
        }
        if let Some(other) = self.config.listener(alternates.both) {
            writer.put(&OtherAddress(self.policy.outside(other.address)))?;
        }
        Ok(())
    }
}

impl Wish {
    const NONE: Self = Self { change: UNCHANGED, port: None, padding: None };

    fn of(request: &Request<'_>) -> Result<Self, Refusal> {
        let message = &request.message;
        let change = message.get::<ChangeRequest>().map_err(|_malformed| Refusal::BadRequest)?;
        let port = message.get::<ResponsePort>().map_err(|_malformed| Refusal::BadRequest)?;
        let padding = message.get::<Padding>().map_err(|_malformed| Refusal::BadRequest)?;
        // RFC 5780 §6.1: the two exclude each other. No client has port 0.
        if port == Some(ResponsePort(0)) || (port.is_some() && padding.is_some()) {
            return Err(Refusal::BadRequest);
        }
        Ok(Self { change: change.unwrap_or(UNCHANGED), port, padding })
    }
}

impl Request<'_> {
    /// RFC 8489 §6.3.1: 420 if there is more that must be understood.
    fn understands(&self, understood: &[AttributeType]) -> Result<(), Refusal> {
        let unknown = self.message.unknown_required(understood);
        if unknown.is_empty() { Ok(()) } else { Err(Refusal::UnknownAttributes(unknown)) }
    }
}
