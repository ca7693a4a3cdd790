//! The links of a node to all others.

use std::collections::HashMap;

use bytes::Bytes;
use causeway_protocol::{Moment, NodeId};

use super::{Delivered, Frame, Link, Overflow, Refusal};

/// Links at once: far more than an installation has nodes. A guess; each is some hundred bytes while idle.
const MOST_LINKS: usize = 1024;

/// Why a frame was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// The link does not want it.
    Refused(Refusal),
    /// There are as many links as may be.
    TooManyLinks,
}

/// A node's links. Every link and every session of them has a number of its own, so that a link which is forgotten and made again
/// is a new session for the other side.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: HashMap<NodeId, Link>,
    sessions: u64,
}

impl Links {
    /// See [`Link::on_post`].
    pub(crate) fn on_post(&mut self, now: Moment, to: &NodeId, letter: Bytes) -> Result<(), Overflow> {
        self.sessions += 2;
        let session = self.sessions;
        let link = self.links.entry(to.clone()).or_insert_with(|| Link::new(session - 1));
        link.on_post(now, letter, session)
    }

    /// See [`Link::on_frame`].
    pub(crate) fn on_frame(&mut self, now: Moment, from: &NodeId, frame: Frame) -> Result<(), NotTaken> {
        if !self.links.contains_key(from) && self.links.len() >= MOST_LINKS {
            return Err(NotTaken::TooManyLinks);
        }
        self.sessions += 1;
        let session = self.sessions;
        let link = self.links.entry(from.clone()).or_insert_with(|| Link::new(session));
        link.on_frame(now, frame).map_err(NotTaken::Refused)
    }

    /// See [`Link::on_timeout`].
    pub(crate) fn on_timeout(&mut self, now: Moment) {
        for link in self.links.values_mut() {
            link.on_timeout(now);
        }
    }

    /// See [`Link::on_reconnected`].
    pub(crate) fn on_reconnected(&mut self, now: Moment) {
        for link in self.links.values_mut() {
            link.on_reconnected(now);
        }
    }

    /// Up to `most` frames that are to be sent.
    pub(crate) fn poll_frames(&mut self, now: Moment, most: usize) -> Vec<(NodeId, Frame)> {
        let mut frames = Vec::new();
        for (node, link) in &mut self.links {
            while frames.len() < most
                && let Some(frame) = link.poll_frame(now)
            {
                frames.push((node.clone(), frame));
            }
        }
        frames
    }

    /// What came from `node` last; ask until there is nothing.
    pub(crate) fn poll_letter(&mut self, node: &NodeId) -> Option<Delivered> {
        self.links.get_mut(node)?.poll_letter()
    }

    /// See [`Link::poll_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Moment> {
        self.links.values().filter_map(Link::poll_timeout).min()
    }

    /// Forgets the link to a node that is gone, and what waits for it. Says whether there was one.
    pub(crate) fn forget(&mut self, gone: &NodeId) -> bool {
        self.links.remove(gone).is_some()
    }

    /// How many letters were sent again since this was asked last.
    pub(crate) fn take_retransmitted(&mut self) -> u64 {
        self.links.values_mut().map(Link::take_retransmitted).sum()
    }
}
