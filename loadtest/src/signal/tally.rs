//! What the members have seen together.

use std::collections::BTreeMap;

use crate::histogram::Histogram;

/// Counts and times.
#[derive(Default)]
pub(crate) struct Tally {
    /// Whether messages and joins count.
    pub(crate) measuring: bool,
    /// Messages that arrived while it was measured.
    pub(crate) delivered: u64,
    /// From handing a message to the kernel until a member had it, in nanoseconds.
    pub(crate) messages: Histogram,
    /// Members that were welcomed while it was measured.
    pub(crate) entered: u64,
    /// From a member's hello until another one of the room knew, in nanoseconds.
    pub(crate) joins: Histogram,
    /// Members that came back to where they were.
    pub(crate) resumed: u64,
    /// Members that came back to a snapshot.
    pub(crate) resynced: u64,
    /// Events that those who were resynchronized may have missed.
    pub(crate) pardoned: u64,
    /// From the cut until the member was back, in nanoseconds.
    pub(crate) returns: Histogram,
    /// What went wrong apart from events, and how often.
    pub(crate) troubles: BTreeMap<String, u64>,
}

impl Tally {
    /// Remembers that something went wrong.
    pub(crate) fn trouble(&mut self, what: impl Into<String>) {
        *self.troubles.entry(what.into()).or_default() += 1;
    }
}
