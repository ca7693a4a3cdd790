//! Which event each number of a room stands for, whoever heard it.

use std::collections::BTreeMap;

use super::{Event, Violation};
use crate::said::Stay;

/// Epochs between which a room was handed over go on with the same numbers: they are one lineage. After a failover another
/// begins.
#[derive(Default)]
pub struct Numbering {
    /// The first known epoch of the lineage that an epoch belongs to.
    lineages: BTreeMap<u64, u64>,
    events: BTreeMap<(u64, u64), (Event, Stay)>,
}

impl Numbering {
    fn lineage(&self, epoch: u64) -> u64 {
        self.lineages.get(&epoch).copied().unwrap_or(epoch)
    }

    /// Somebody heard an event under a number.
    pub fn see(&mut self, epoch: u64, seq: u64, event: &Event, by: &Stay) -> Option<Violation> {
        let key = (self.lineage(epoch), seq);
        let (known, first) = self.events.entry(key).or_insert_with(|| (event.clone(), by.clone()));
        (known != event).then(|| Violation::TwoEvents {
            epoch,
            seq,
            one: format!("{known:?}"),
            heard_by: first.clone(),
            other: format!("{event:?}"),
        })
    }

    /// The numbers of `before` go on in `after`.
    pub fn tie(&mut self, before: u64, after: u64) -> Vec<Violation> {
        let (one, other) = (self.lineage(before), self.lineage(after));
        if one == other {
            return Vec::new();
        }
        let (root, moved) = (one.min(other), one.max(other));
        for lineage in self.lineages.values_mut().filter(|lineage| **lineage == moved) {
            *lineage = root;
        }
        self.lineages.insert(moved, root);
        let again: Vec<_> = self.events.extract_if((moved, 0)..=(moved, u64::MAX), |_, _| true).collect();
        again.into_iter().filter_map(|((_, seq), (event, by))| self.see(root, seq, &event, &by)).collect()
    }
}
