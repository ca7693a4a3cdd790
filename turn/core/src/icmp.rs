//! ICMP errors that a client's datagrams met on their way, told to the client (RFC 8656 §11.5).

use causeway_protocol::{Moment, Now};
use causeway_stun::attributes::{Icmp, XorPeerAddress};
use causeway_stun::{Class, EncodeError, MessageWriter, Method};

use crate::action::Reply;
use crate::address::{PeerAddr, RelayPort};
use crate::data::towards_peer;
use crate::dropped::DropReason;
use crate::ports::PortUse;
use crate::relay::Relay;
use crate::tcp::RelayProtocol;
use crate::verdict::Verdict;

/// Errors of one allocation in a second that its client is told. A guess: enough to notice and to find the path's MTU,
/// and no way to have somebody flooded by forging ICMP, which is not authenticated.
const PER_SECOND: u8 = 10;

/// How many errors a client was told in the current second.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IcmpLimit {
    second: u64,
    told: u8,
}

impl IcmpLimit {
    /// Takes one of this second's; `false`: there is none left.
    fn take(&mut self, now: Moment) -> bool {
        let second = now.since_origin().as_secs();
        if self.second != second {
            *self = Self { second, told: 0 };
        }
        let left = self.told < PER_SECOND;
        self.told = self.told.saturating_add(u8::from(left));
        left
    }
}

impl Relay {
    /// An ICMP error on account of a datagram that was sent from `on` to `peer`. Its type and code are of ICMPv6 if the
    /// peer's address is of IPv6; `error_data` is the next hop's MTU where the error carries one.
    ///
    /// RFC 8656 §11.5: who sent the error does not matter, routers are no peers; the permission is the one for the
    /// address that the datagram went to.
    pub fn on_icmp(
        &mut self,
        now: Now,
        on: RelayPort,
        peer: PeerAddr,
        icmp_type: u8,
        icmp_code: u8,
        error_data: u32,
    ) -> Verdict {
        let outcome = relayed(peer, icmp_type, icmp_code, error_data)
            .ok_or(DropReason::IcmpNotRelayed)
            .and_then(|icmp| self.tell_icmp(now, on, peer, icmp));
        self.conclude(outcome)
    }

    fn tell_icmp(
        &mut self,
        now: Now,
        on: RelayPort,
        peer: PeerAddr,
        icmp: Icmp,
    ) -> Result<Verdict, DropReason> {
        let Some(PortUse::Allocated(number)) = self.ports.usage(on) else {
            return Err(DropReason::UnknownRelayPort);
        };
        let allocation = self.allocations.get_mut(number).ok_or(DropReason::UnknownRelayPort)?;
        let peer = self.policy.seen(peer, RelayProtocol::Udp);
        towards_peer(allocation, &self.policy, &self.rooms, peer, now.moment)?;
        if allocation.is_away() {
            return Err(DropReason::ClientAway);
        }
        if !allocation.icmp.take(now.moment) {
            return Err(DropReason::IcmpTooMany);
        }
        let id = self.indications.next();
        let indication = Reply::filled(|buffer| -> Result<usize, EncodeError> {
            let mut writer = MessageWriter::new(buffer, Class::Indication, Method::Data, id)?;
            writer.put(&XorPeerAddress(peer.socket()))?;
            writer.put(&icmp)?;
            Ok(writer.finish())
        })
        .expect("a header and two attributes of fixed length fit");
        let to = allocation.client;
        self.queue.reply(to, indication).map_err(|_full| DropReason::ReplyQueueFull)?;
        Ok(Verdict::Handled)
    }
}

/// What the client is told: destination unreachable and time exceeded, and packet too big of ICMPv6. RFC 8656 §18.13: error
/// data is an MTU or zero.
fn relayed(peer: PeerAddr, icmp_type: u8, icmp_code: u8, error_data: u32) -> Option<Icmp> {
    let (relayed, has_mtu) = if peer.socket().is_ipv4() {
        (matches!(icmp_type, 3 | 11), (icmp_type, icmp_code) == (3, 4))
    } else {
        (matches!(icmp_type, 1..=3), (icmp_type, icmp_code) == (2, 0))
    };
    let error_data = if has_mtu { error_data } else { 0 };
    if relayed { Icmp::new(icmp_type, icmp_code, error_data) } else { None }
}
