//! What an operator says about peers, beyond the rules that always hold.

use std::net::IpAddr;

use causeway_protocol::Network;

use crate::special_purpose::is_private;

/// The operator's word about peers.
#[derive(Clone, Debug, Default)]
pub struct PeerRules {
    /// Never peers, whatever else says that they are; also in every IPv6 form that embeds them.
    pub denied: Vec<Network>,
    /// Peers although they lie in special-purpose networks or outside of the room, such as an SFU at 10.0.0.8. Our own
    /// hosts stay closed all the same.
    pub allowed: Vec<Network>,
    /// What an observed address on a private network is worth.
    pub private_room_peers: PrivateRoomPeers,
}

/// Whether a room's peer that our servers saw on a private network (RFC 1918, RFC 6598, RFC 4193) may be reached there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum PrivateRoomPeers {
    /// No. What we saw may be a proxy, a NAT or a gateway of the operator's own network, and a permission opens
    /// every port of it to the others in the room.
    #[default]
    Refused,
    /// Yes: the network belongs to the peers.
    Allowed,
}

impl PeerRules {
    pub(crate) fn denies(&self, ip: IpAddr) -> bool {
        self.denied.iter().any(|network| network.contains(ip))
    }

    /// Not in disguise: an exception is for the address that was written down.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        ip.to_canonical() == ip && self.allowed.iter().any(|network| network.contains(ip))
    }

    /// Whether an address that a peer was observed at counts although it is private.
    pub(crate) fn allows_observed(&self, ip: IpAddr) -> bool {
        match self.private_room_peers {
            PrivateRoomPeers::Refused => false,
            PrivateRoomPeers::Allowed => is_private(ip),
        }
    }
}
