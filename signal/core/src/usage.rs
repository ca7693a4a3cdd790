//! What relays counted for the room's peers: told at most once a second, and only when it changed.

use std::collections::BTreeMap;
use std::time::Duration;

use causeway_protocol::bus::RelayUsage;
use causeway_protocol::{Moment, NodeId, PeerId};

/// The least time between two reports about one peer on one node. Fast enough for a progress display.
pub const USAGE_INTERVAL: Duration = Duration::from_secs(1);

/// Nodes per peer that are remembered. A peer uses one relay, two while it moves; this bounds the rest.
const MAX_NODES: usize = 8;

#[derive(Debug)]
struct Told {
    last: RelayUsage,
    at: Moment,
    /// Newer than `last`, but too early to tell.
    waiting: Option<RelayUsage>,
}

/// The reports about the peers that are in the room.
#[derive(Debug, Default)]
pub(crate) struct UsageBoard(BTreeMap<PeerId, BTreeMap<NodeId, Told>>);

impl UsageBoard {
    /// Takes a report; `Some` if it is to be told at once.
    pub(crate) fn on_report(&mut self, usage: RelayUsage, now: Moment) -> Option<RelayUsage> {
        let nodes = self.0.entry(usage.peer.clone()).or_default();
        if let Some(told) = nodes.get_mut(&usage.node) {
            if now < told.at.plus(USAGE_INTERVAL) {
                told.waiting = (told.last != usage).then_some(usage);
                return None;
            }
            told.waiting = None;
            if told.last == usage {
                return None;
            }
            told.at = now;
            told.last = usage.clone();
            return Some(usage);
        }
        if nodes.len() >= MAX_NODES {
            let oldest = nodes.iter().min_by_key(|(_, told)| told.at).map(|(node, _)| node.clone())?;
            nodes.remove(&oldest);
        }
        nodes.insert(usage.node.clone(), Told { last: usage.clone(), at: now, waiting: None });
        Some(usage)
    }

    /// What waited long enough.
    pub(crate) fn due(&mut self, now: Moment) -> Vec<RelayUsage> {
        let mut due = Vec::new();
        for told in self.0.values_mut().flat_map(BTreeMap::values_mut) {
            if now < told.at.plus(USAGE_INTERVAL) {
                continue;
            }
            if let Some(usage) = told.waiting.take() {
                told.at = now;
                told.last = usage.clone();
                due.push(usage);
            }
        }
        due
    }

    /// When [`Self::due`] has something.
    pub(crate) fn next_deadline(&self) -> Option<Moment> {
        let told = self.0.values().flat_map(BTreeMap::values);
        told.filter(|told| told.waiting.is_some()).map(|told| told.at.plus(USAGE_INTERVAL)).min()
    }

    pub(crate) fn forget(&mut self, peer: &PeerId) {
        self.0.remove(peer);
    }
}

#[cfg(test)]
mod tests {
    use causeway_protocol::bus::RelayFacts;

    use super::*;

    #[test]
    fn the_first_report_is_told_at_once_and_the_next_after_a_second() {
        let mut board = UsageBoard::default();
        assert_eq!(board.on_report(usage(1), at(0)), Some(usage(1)));
        assert_eq!(board.on_report(usage(2), at(400)), None);
        assert_eq!(board.on_report(usage(3), at(800)), None);
        assert_eq!(board.next_deadline(), Some(at(1000)));
        assert_eq!(board.due(at(999)), []);
        assert_eq!(board.due(at(1000)), [usage(3)]);
        assert_eq!(board.next_deadline(), None);
    }

    #[test]
    fn what_did_not_change_is_not_told_again() {
        let mut board = UsageBoard::default();
        board.on_report(usage(1), at(0));
        assert_eq!(board.on_report(usage(1), at(500)), None);
        assert_eq!(board.on_report(usage(1), at(5000)), None);
        assert_eq!(board.next_deadline(), None);
    }

    #[test]
    fn a_report_that_comes_in_time_leaves_nothing_waiting() {
        let mut board = UsageBoard::default();
        board.on_report(usage(1), at(0));
        board.on_report(usage(2), at(900));
        assert_eq!(board.on_report(usage(3), at(1100)), Some(usage(3)));
        assert_eq!(board.due(at(9000)), []);
    }

    #[test]
    fn a_peer_that_wanders_over_many_nodes_costs_a_bounded_memory() {
        let mut board = UsageBoard::default();
        for n in 0..100_u64 {
            let usage = RelayUsage { node: format!("n{n}").parse().unwrap(), ..usage(n) };
            assert!(board.on_report(usage, at(n)).is_some());
        }
        assert_eq!(board.0.values().map(BTreeMap::len).sum::<usize>(), MAX_NODES);
    }

    fn at(milliseconds: u64) -> Moment {
        Moment::from_origin(Duration::from_millis(milliseconds))
    }

    fn usage(sent_bytes: u64) -> RelayUsage {
        RelayUsage {
            node: "n".parse().unwrap(),
            room: "kitchen".parse().unwrap(),
            peer: "alice".parse().unwrap(),
            allocations: 1,
            sent_bytes,
            received_bytes: 0,
            facts: RelayFacts::default(),
        }
    }
}
