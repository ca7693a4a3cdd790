//! The nodes of an installation, as one of them sees them.

use std::collections::BTreeMap;

use causeway_protocol::{Moment, NodeId, RoomId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeFacts {
    /// Where clients reach this very node, if they can choose one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether it takes no new rooms and gives away those it has.
    pub draining: bool,
    /// How many rooms it owns.
    pub rooms: u32,
}

impl NodeFacts {
    /// These, with what `former` said and these leave out.
    pub(crate) fn after(mut self, former: &Self) -> Self {
        self.url = self.url.or_else(|| former.url.clone());
        self
    }
}

/// The live nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nodes {
    nodes: BTreeMap<NodeId, NodeFacts>,
}

impl Nodes {
    /// What `node` says of itself, if it is alive.
    #[must_use]
    pub fn get(&self, node: &NodeId) -> Option<&NodeFacts> {
        self.nodes.get(node)
    }

    /// Whether `node` is alive.
    #[must_use]
    pub fn contains(&self, node: &NodeId) -> bool {
        self.nodes.contains_key(node)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is none, not even this one.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&NodeId, &NodeFacts)> {
        self.nodes.iter()
    }

    /// The node that should take a room: the same whoever asks, and another one only if it goes or drains (rendezvous hashing). `None`
    /// if all drain.
    #[must_use]
    pub fn propose(&self, room: &RoomId) -> Option<&NodeId> {
        self.propose_without(room, None)
    }

    /// The same with `without` left out, which is about to give the room away.
    #[must_use]
    pub fn propose_without(&self, room: &RoomId, without: Option<&NodeId>) -> Option<&NodeId> {
        let takes = |(node, facts): &(&NodeId, &NodeFacts)| !facts.draining && Some(*node) != without;
        self.nodes.iter().filter(takes).map(|(node, _)| node).max_by_key(|node| weight(room, node))
    }
}

impl FromIterator<(NodeId, NodeFacts)> for Nodes {
    fn from_iter<T: IntoIterator<Item = (NodeId, NodeFacts)>>(nodes: T) -> Self {
        Self { nodes: nodes.into_iter().collect() }
    }
}

/// Nodes of different builds have to agree on it, which the standard library's hashes do not promise.
fn weight(room: &RoomId, node: &NodeId) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(room.as_str());
    // No id contains it.
    hash.update(b"/");
    hash.update(node.as_str());
    hash.finalize().into()
}

/// Whether a node reaches what joins the nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// It does.
    Connected,
    /// It does not.
    Lost {
        /// Since when.
        since: Moment,
    },
}

/// For how long a node may act as an owner towards others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// By this node's own monotonic clock, with a margin for clocks that run at different speeds.
    pub until: Moment,
    /// Grows when the lease was interrupted: others may have taken this node's rooms in between.
    pub term: u64,
}

impl Lease {
    /// Whether the node may act now.
    #[must_use]
    pub fn holds(&self, now: Moment) -> bool {
        now < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_proposes_the_same_node_and_a_room_moves_only_if_its_node_goes() {
        let all = nodes(&["a", "b", "c"], None);
        let without_b = nodes(&["a", "c"], None);
        let mut moved = 0;
        for room in rooms() {
            let proposed = all.propose(&room).unwrap();
            if proposed.as_str() == "b" {
                moved += 1;
            } else {
                assert_eq!(without_b.propose(&room), Some(proposed));
            }
        }
        assert!((20..47).contains(&moved), "about a third of the rooms lives on each: {moved}");
    }

    #[test]
    fn a_draining_node_takes_no_room() {
        let nodes = nodes(&["a", "b"], Some("a"));
        assert!(rooms().all(|room| nodes.propose(&room).unwrap().as_str() == "b"));
        let b = "b".parse().unwrap();
        assert_eq!(nodes.propose_without(&"kitchen".parse().unwrap(), Some(&b)), None);
    }

    #[test]
    fn facts_of_an_older_node_are_read() {
        assert_eq!(serde_json::from_str::<NodeFacts>("{}").unwrap(), NodeFacts::default());
    }

    fn nodes(names: &[&str], draining: Option<&str>) -> Nodes {
        let facts = |name| NodeFacts { draining: Some(name) == draining, ..NodeFacts::default() };
        names.iter().map(|&name| (name.parse().unwrap(), facts(name))).collect()
    }

    fn rooms() -> impl Iterator<Item = RoomId> {
        (0..100).map(|number| format!("room-{number}").parse().unwrap())
    }
}
