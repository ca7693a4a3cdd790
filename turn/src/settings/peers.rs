//! What an operator can say about whom clients reach through the relay.

use causeway_protocol::Network;
use causeway_turn_core::{PeerRules, PrivateRoomPeers};
use serde::{Deserialize, Serialize};

/// The `peers` section. Special-purpose networks and our own hosts are closed without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PeerSettings {
    /// Addresses and networks that are never peers, such as a database with a public address. Default: none.
    pub denied: Vec<Network>,
    /// Addresses and networks that are peers although they are private or outside of the room, such as an SFU at
    /// 10.0.0.8. Our own hosts and what is denied stay closed; an address of this host that the relay does not listen on
    /// is opened by an entry of its own, not by a network around it. Default: none.
    pub allowed: Vec<Network>,
    /// Lets the peers of a room reach each other at private addresses (RFC 1918, RFC 6598, RFC 4193) where our servers
    /// saw them. Default: false, since what we saw may be a proxy or a gateway of the operator's own network.
    pub allow_private_room_peers: bool,
}

impl PeerSettings {
    pub(crate) fn rules(&self) -> PeerRules {
        PeerRules {
            denied: self.denied.clone(),
            allowed: self.allowed.clone(),
            private_room_peers: match self.allow_private_room_peers {
                true => PrivateRoomPeers::Allowed,
                false => PrivateRoomPeers::Refused,
            },
        }
    }
}
