//! The way of the data, four of them: ChannelData and Send indications from clients, and the same to clients.
//!
//! Nothing here touches the heap, as tests/no_allocation.rs proves.

use causeway_protocol::{Moment, Now};
use causeway_stun::attributes::{AddressFamily, DontFragment, XorPeerAddress};
use causeway_stun::{
    Attribute, AttributeType, ChannelData, Class, EncodeError, Message, MessageWriter, Method, TransactionId,
};

use crate::address::{ClientAddr, PeerAddr, RelayPort};
use crate::allocation::{Allocation, RelayedAddress};
use crate::channels::Bound;
use crate::dropped::DropReason;
use crate::event::EndReason;
use crate::forbidden::Forbidden;
use crate::permissions::Permitted;
use crate::policy::{Passage, Policy};
use crate::ports::PortUse;
use crate::relay::{Holder, Relay};
use crate::rooms::Rooms;
use crate::tcp::RelayProtocol;
use crate::train::{FromClient, FromPeer};
use crate::verdict::{Header, Payload, Verdict};

/// Which way application data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From a client to a peer.
    ToPeer,
    /// From a peer to a client.
    ToClient,
}

impl Relay {
    /// RFC 8656 §12.6.
    #[inline(always)]
    pub(crate) fn on_channel_data(
        &mut self,
        now: Now,
        from: &ClientAddr,
        datagram: &[u8],
    ) -> Result<Verdict, DropReason> {
        let ChannelData { number: channel, data } =
            ChannelData::decode(datagram).map_err(|_malformed| DropReason::MalformedChannelData)?;
        let payload = Payload::within(datagram, data);
        if let Some(train) = self.follow_client(now, from, channel) {
            let verdict = train.with(payload);
            self.account(train.allocation, Direction::ToPeer, data.len(), now)?;
            return Ok(verdict);
        }
        let (number, allocation) = self.client_allocation(*from)?;
        let peer = match allocation.channels.peer(channel, now.moment) {
            Bound::Yes(peer) => peer,
            Bound::Expired => return Err(DropReason::ChannelExpired),
            Bound::No => return Err(DropReason::NoChannel),
        };
        let is_moving = allocation.is_moving();
        let (on, way) = match towards_peer(allocation, &self.policy, &self.rooms, peer, now.moment) {
            Ok((relayed, way)) => (relayed.port, way),
            Err(reason) => return Err(self.deny_data(number, peer, reason, now)),
        };
        self.account(number, Direction::ToPeer, data.len(), now)?;
        if is_moving {
            self.settle_move(number, *from);
        }
        // RFC 8656 §14: only a Send indication can ask for the DF bit.
        let verdict = self.emit(now, on, peer, way, payload, false);
        if way == Passage::Out {
            let from = *from;
            self.lead_client(FromClient { at: now.moment, from, channel, allocation: number, verdict });
        }
        Ok(verdict)
    }

    /// RFC 8656 §11.2.
    pub(crate) fn on_send(
        &mut self,
        now: Now,
        from: ClientAddr,
        message: &Message<'_>,
    ) -> Result<Verdict, DropReason> {
        let (number, allocation) = self.client_allocation(from)?;
        if allocation.protocol == RelayProtocol::Tcp {
            return Err(DropReason::TcpAllocation);
        }
        let SendIndication { peer, data, dont_fragment } = SendIndication::of(message)?;
        let is_moving = allocation.is_moving();
        let (on, way) = match towards_peer(allocation, &self.policy, &self.rooms, peer, now.moment) {
            Ok((relayed, way)) => (relayed.port, way),
            Err(reason) => return Err(self.deny_data(number, peer, reason, now)),
        };
        self.account(number, Direction::ToPeer, data.len(), now)?;
        if is_moving {
            self.settle_move(number, from);
        }
        // RFC 8656 §13: where addresses are translated to or from IPv6, DONT-FRAGMENT is ignored.
        let dont_fragment = dont_fragment && from.source.is_ipv4() && peer.socket().is_ipv4();
        let payload = Payload::within(message.as_bytes(), data);
        Ok(self.emit(now, on, peer, way, payload, dont_fragment))
    }

    /// RFC 8656 §11.3 and §12.7: `payload` is all that came from the peer, of whatever datagram.
    #[inline]
    pub(crate) fn on_peer_data(
        &mut self,
        now: Now,
        on: RelayPort,
        from: PeerAddr,
        payload: Payload,
    ) -> Result<Verdict, DropReason> {
        if let Some(outcome) = self.follow_peer(now, on, from, payload) {
            return outcome;
        }
        let Some(PortUse::Allocated(number)) = self.ports.usage(on) else {
            return Err(DropReason::UnknownRelayPort);
        };
        let allocation = self.allocations.get(number).ok_or(DropReason::UnknownRelayPort)?;
        let came_from = from;
        let from = self.policy.seen(from, RelayProtocol::Udp);
        towards_peer(allocation, &self.policy, &self.rooms, from, now.moment)?;
        if allocation.is_away() {
            return Err(DropReason::ClientAway);
        }
        let to = allocation.client;
        let length = u16::try_from(payload.range().len()).map_err(|_too_long| DropReason::TooLong)?;
        let channel = allocation.channels.number(from, now.moment);
        let (header, padding) = match channel {
            // RFC 8656 §12.5: padded in a stream; a datagram needs none.
            Some(channel) => {
                let padding =
                    if to.via.transport().is_stream() { ChannelData::stream_padding(length) } else { 0 };
                let padding = u8::try_from(padding).map_err(|_too_long| DropReason::TooLong)?;
                (Header::channel_data(ChannelData::header(channel, length)), padding)
            }
            None => data_indication(self.indications.next(), from, length).ok_or(DropReason::TooLong)?,
        };
        self.account(number, Direction::ToClient, payload.range().len(), now)?;
        if let Some(channel) = channel
            && !to.via.transport().is_stream()
        {
            self.lead_peer(FromPeer { at: now.moment, on, from: came_from, allocation: number, to, channel });
        }
        Ok(Verdict::ToClient { to, header, payload, padding })
    }

    #[inline]
    fn client_allocation(&self, from: ClientAddr) -> Result<(u32, &Allocation), DropReason> {
        // Datagrams come in trains: most often it is the client of the one before.
        let recent = self.recent_client.get();
        if let Some(allocation) = self.allocations.get(recent)
            && allocation.client == from
        {
            return Ok((recent, allocation));
        }
        match self.by_client.get(&from) {
            Some(Holder::Allocation(number)) => {
                let allocation = self.allocations.get(*number).ok_or(DropReason::NoAllocation)?;
                self.recent_client.set(*number);
                Ok((*number, allocation))
            }
            Some(Holder::Pending(_)) | None => Err(DropReason::NoAllocation),
        }
    }

    /// Counts application data, if no limit is in the way; the piece that exceeds the credential's budget ends the
    /// allocation.
    #[inline]
    pub(crate) fn account(
        &mut self,
        number: u32,
        direction: Direction,
        payload_length: usize,
        now: Now,
    ) -> Result<(), DropReason> {
        let allocation = self.allocations.get_mut(number).ok_or(DropReason::NoAllocation)?;
        if let Err(reason) = allocation.admission.take(direction, payload_length, now.moment) {
            if reason == DropReason::BudgetSpent {
                self.end(number, EndReason::BudgetSpent);
            }
            return Err(reason);
        }
        match direction {
            Direction::ToPeer => {
                allocation.usage.sent.count(payload_length);
                self.counters.relayed.sent.count(payload_length);
            }
            Direction::ToClient => {
                allocation.usage.received.count(payload_length);
                self.counters.relayed.received.count(payload_length);
            }
        }
        self.note_change(number, now.moment);
        Ok(())
    }
}

/// The relayed address between an allocation and a peer and the way from there to the peer, if data may pass: the address
/// lives, there is a permission (RFC 8656 §9), and the policy has nothing against this very port.
#[inline]
pub(crate) fn towards_peer<'a>(
    allocation: &'a Allocation,
    policy: &Policy,
    rooms: &Rooms,
    peer: PeerAddr,
    now: Moment,
) -> Result<(&'a RelayedAddress, Passage), DropReason> {
    let ip = peer.socket().ip();
    let relayed = allocation.relayed.of(AddressFamily::of(ip)).ok_or(DropReason::PeerFamily)?;
    if now >= relayed.expires {
        return Err(DropReason::AllocationExpired);
    }
    let reach = match allocation.permissions.permitted(ip, now) {
        Permitted::Yes(reach) => reach,
        Permitted::Expired => return Err(DropReason::PermissionExpired),
        Permitted::No => return Err(DropReason::NoPermission),
    };
    let scope = allocation.scope(rooms);
    let passage = match allocation.protocol {
        RelayProtocol::Udp => policy.passage(reach, peer, scope),
        RelayProtocol::Tcp => policy.stream_passage(reach, peer, scope),
    };
    match passage {
        Ok(way) => Ok((relayed, way)),
        Err(Forbidden::NotALiveRelay) => Err(DropReason::NotALiveRelay),
        Err(Forbidden::OutsideRoom) => Err(DropReason::OutsideRoom),
        Err(
            Forbidden::SpecialPurpose
            | Forbidden::OwnHost
            | Forbidden::DeniedNetwork
            | Forbidden::PortZero
            | Forbidden::OwnListener,
        ) => Err(DropReason::ForbiddenPeer),
    }
}

/// What a Send indication says.
struct SendIndication<'a> {
    peer: PeerAddr,
    data: &'a [u8],
    dont_fragment: bool,
}

impl<'a> SendIndication<'a> {
    /// One pass over the attributes; the first of a kind counts (RFC 8489 §14).
    fn of(message: &Message<'a>) -> Result<Self, DropReason> {
        let mut peer = None;
        let mut data = None;
        let mut dont_fragment = false;
        for attribute in message.attributes() {
            match attribute.kind {
                AttributeType::XOR_PEER_ADDRESS if peer.is_none() => {
                    let XorPeerAddress(address) =
                        XorPeerAddress::decode(attribute.value, &message.transaction_id())
                            .map_err(|_malformed| DropReason::MalformedIndication)?;
                    peer = Some(PeerAddr::new(address));
                }
                AttributeType::DATA if data.is_none() => data = Some(attribute.value),
                AttributeType::DONT_FRAGMENT => {
                    let DontFragment = DontFragment::decode(attribute.value, &message.transaction_id())
                        .map_err(|_malformed| DropReason::MalformedIndication)?;
                    dont_fragment = true;
                }
                AttributeType::XOR_PEER_ADDRESS
                | AttributeType::DATA
                | AttributeType::MESSAGE_INTEGRITY
                | AttributeType::MESSAGE_INTEGRITY_SHA256 => {}
                unknown if unknown.is_comprehension_required() => return Err(DropReason::UnknownAttribute),
                AttributeType(_) => {}
            }
        }
        match (peer, data) {
            (Some(peer), Some(data)) => Ok(Self { peer, data, dont_fragment }),
            (None, _) | (_, None) => Err(DropReason::MalformedIndication),
        }
    }
}

/// Transaction ids for our indications. RFC 8489 §5 wants them random so that answers cannot be forged; indications
/// have no answers, so being different from each other is enough.
#[derive(Debug)]
pub(crate) struct IndicationIds {
    prefix: [u8; 4],
    counter: u64,
}

impl IndicationIds {
    pub(crate) const fn new(prefix: [u8; 4], counter: u64) -> Self {
        Self { prefix, counter }
    }

    pub(crate) fn next(&mut self) -> TransactionId {
        self.counter = self.counter.wrapping_add(1);
        let [p0, p1, p2, p3] = self.prefix;
        let [c0, c1, c2, c3, c4, c5, c6, c7] = self.counter.to_be_bytes();
        TransactionId([p0, p1, p2, p3, c0, c1, c2, c3, c4, c5, c6, c7])
    }
}

/// A Data indication up to its payload, and the bytes of padding behind that; `None`: too long for its length field.
///
/// ```text
/// | header (20) | XOR-PEER-ADDRESS (12 or 24) | DATA (4) | … payload … | padding (0 to 3) |
/// ```
fn data_indication(id: TransactionId, from: PeerAddr, payload_length: u16) -> Option<(Header, u8)> {
    let mut buffer = [0; Header::CAPACITY];
    let written = address_part(&mut buffer, id, from)
        .expect("Header::CAPACITY holds a header and the longest XOR-PEER-ADDRESS");
    let padding = ChannelData::stream_padding(payload_length);
    let attributes = written.checked_sub(causeway_stun::HEADER_LENGTH)?.checked_add(4)?;
    let body = attributes.checked_add(usize::from(payload_length))?.checked_add(padding)?;
    let [l0, l1] = u16::try_from(body).ok()?.to_be_bytes();
    let [_, _, b2, b3, ..] = &mut buffer;
    [*b2, *b3] = [l0, l1];
    let mut header = Header::EMPTY;
    header.extend(buffer.get(..written)?);
    header.extend(&AttributeType::DATA.0.to_be_bytes());
    header.extend(&payload_length.to_be_bytes());
    Some((header, u8::try_from(padding).ok()?))
}

fn address_part(buffer: &mut [u8], id: TransactionId, from: PeerAddr) -> Result<usize, EncodeError> {
    let mut writer = MessageWriter::new(buffer, Class::Indication, Method::Data, id)?;
    writer.put(&XorPeerAddress(from.socket()))?;
    Ok(writer.finish())
}

#[cfg(test)]
mod tests {
    use causeway_stun::attributes::Data;

    use super::*;

    #[test]
    fn a_data_indication_with_its_payload_is_a_message() {
        for address in ["192.0.2.1:5000", "[2001:db8::1]:5000"] {
            for length in 0..9 {
                let payload = &[0xAA; 9][..length];
                let from = PeerAddr::new(address.parse().unwrap());
                let id = TransactionId([7; 12]);
                let (header, padding) = data_indication(id, from, u16::try_from(length).unwrap()).unwrap();
                let bytes = [header.as_bytes(), payload, &vec![0; usize::from(padding)]].concat();
                let message = Message::decode(&bytes).unwrap();
                assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
                assert_eq!(message.get::<XorPeerAddress>(), Ok(Some(XorPeerAddress(from.socket()))));
                assert_eq!(message.get::<Data<'_>>(), Ok(Some(Data(payload))));
            }
        }
    }

    #[test]
    fn a_payload_that_the_length_field_cannot_say_is_refused() {
        let from = PeerAddr::new("192.0.2.1:5000".parse().unwrap());
        let longest = u16::MAX - 3 - 16;
        assert!(data_indication(TransactionId([0; 12]), from, longest).is_some());
        assert!(data_indication(TransactionId([0; 12]), from, longest + 1).is_none());
    }
}
