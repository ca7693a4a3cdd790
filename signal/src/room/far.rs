//! Sockets of other nodes in a room that this node owns.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use causeway_protocol::NodeId;
use causeway_protocol::node::EdgeSession;
use causeway_signal_core::SessionId;

/// A socket of another node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FarSocket {
    pub(crate) node: NodeId,
    pub(crate) session: EdgeSession,
}

/// Which number of ours stands for which socket of theirs.
#[derive(Default)]
pub(crate) struct Far {
    sockets: HashMap<SessionId, FarSocket>,
    numbers: HashMap<FarSocket, SessionId>,
    /// The nodes that have said something about the room since it is ours.
    edges: BTreeSet<NodeId>,
    /// Sockets that were closed lately: what they said before they knew is no riddle.
    closed: VecDeque<FarSocket>,
}

/// Closed sockets that are remembered. A guess: more than are closed while a letter is on its way.
const MOST_CLOSED: usize = 64;

impl Far {
    pub(crate) fn give(&mut self, number: SessionId, socket: FarSocket) {
        if let Some(before) = self.numbers.insert(socket.clone(), number) {
            self.sockets.remove(&before);
        }
        self.sockets.insert(number, socket);
    }

    pub(crate) fn of(&self, number: SessionId) -> Option<&FarSocket> {
        self.sockets.get(&number)
    }

    pub(crate) fn number(&self, socket: &FarSocket) -> Option<SessionId> {
        self.numbers.get(socket).copied()
    }

    /// This one is closed, and its node will know.
    pub(crate) fn close(&mut self, number: SessionId) -> Option<FarSocket> {
        let socket = self.vacate(number)?;
        self.closed.truncate(MOST_CLOSED - 1);
        self.closed.push_front(socket.clone());
        Some(socket)
    }

    /// Whether it was closed lately.
    pub(crate) fn was_closed(&self, socket: &FarSocket) -> bool {
        self.closed.contains(socket)
    }

    pub(crate) fn vacate(&mut self, number: SessionId) -> Option<FarSocket> {
        let socket = self.sockets.remove(&number)?;
        self.numbers.remove(&socket);
        Some(socket)
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SessionId, &FarSocket)> {
        self.sockets.iter().map(|(number, socket)| (*number, socket))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// The numbers of a node's sockets.
    pub(crate) fn of_node(&self, node: &NodeId) -> Vec<SessionId> {
        self.sockets.iter().filter(|(_, socket)| socket.node == *node).map(|(number, _)| *number).collect()
    }

    /// Remembers a node that takes part in the room, with sockets or without.
    pub(crate) fn meet(&mut self, node: &NodeId) {
        if !self.edges.contains(node) {
            self.edges.insert(node.clone());
        }
    }

    /// Forgets a node that is gone.
    pub(crate) fn part(&mut self, node: &NodeId) {
        self.edges.remove(node);
    }

    /// The nodes that take part in the room.
    pub(crate) fn edges(&self) -> impl Iterator<Item = &NodeId> {
        self.edges.iter()
    }

    /// Those of `to` that are here, by node: one letter each.
    pub(crate) fn by_node(&self, to: &[SessionId]) -> BTreeMap<&NodeId, Vec<EdgeSession>> {
        let mut nodes: BTreeMap<&NodeId, Vec<EdgeSession>> = BTreeMap::new();
        for socket in to.iter().filter_map(|number| self.sockets.get(number)) {
            nodes.entry(&socket.node).or_default().push(socket.session);
        }
        nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_to_many_is_one_letter_for_each_node() {
        let mut far = Far::default();
        for (number, node, session) in [(1, "a", 10), (2, "b", 10), (3, "a", 11)] {
            far.give(SessionId(number), socket(node, session));
        }
        let all: Vec<_> = (1..=4).map(SessionId).collect();
        let letters = far.by_node(&all);
        let letters: Vec<_> = letters.iter().map(|(node, to)| (node.as_str(), to.as_slice())).collect();
        assert_eq!(letters, [("a", &[10, 11][..]), ("b", &[10])]);
    }

    #[test]
    fn a_socket_that_is_given_another_number_has_that_alone() {
        let mut far = Far::default();
        far.give(SessionId(1), socket("a", 10));
        far.give(SessionId(2), socket("a", 10));
        assert_eq!((far.of(SessionId(1)), far.number(&socket("a", 10))), (None, Some(SessionId(2))));
        assert_eq!(far.vacate(SessionId(2)), Some(socket("a", 10)));
        assert_eq!(far.of(SessionId(2)), None);
        assert_eq!(far.number(&socket("a", 10)), None);
    }

    fn socket(node: &str, session: EdgeSession) -> FarSocket {
        FarSocket { node: node.parse().unwrap(), session }
    }
}
