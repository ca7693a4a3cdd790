//! The names of keys and channels. What one script touches shares a hash tag, so that a Redis Cluster keeps it on one server.

use causeway_protocol::{NodeId, RoomId};

use crate::bus::Topic;

/// The leases of nodes: a sorted set by when they are over.
pub(crate) const LEASES: &str = "causeway:{nodes}:leases";
/// What nodes say of themselves: a hash.
pub(crate) const FACTS: &str = "causeway:{nodes}:facts";
/// The channel on which nodes say that something of the former has changed.
pub(crate) const NODES_CHANGED: &str = "causeway:{nodes}:changed";

pub(crate) fn owner(room: &RoomId) -> String {
    format!("causeway:{{r:{room}}}:owner")
}

pub(crate) fn record(room: &RoomId) -> String {
    format!("causeway:{{r:{room}}}:record")
}

pub(crate) fn bucket(name: &str) -> String {
    format!("causeway:bucket:{name}")
}

/// The channel of letters to a node.
pub(crate) fn mail(node: &NodeId) -> String {
    format!("causeway:{{n:{node}}}")
}

/// The channel on which a process hears only itself.
pub(crate) fn probes(node: &NodeId) -> String {
    format!("causeway:{{n:{node}}}:probe")
}

/// The channel of a topic of the Bus.
pub(crate) fn bus(topic: Topic) -> String {
    let name = match topic {
        Topic::RelayUsage => "relay-usage",
        Topic::RelayOrders => "relay-orders",
        Topic::RoomAddresses => "room-addresses",
        Topic::RoomQueries => "room-queries",
        Topic::RelayNodes => "relay-nodes",
    };
    format!("causeway:bus:{name}")
}
