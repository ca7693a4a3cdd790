//! Letters over Redis: the links of this node, and the channel of each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use causeway_protocol::secret::Secret;
use causeway_protocol::{Moment, NodeId};
use tokio::sync::Notify;

use super::commands::Commands;
use super::keys;
use super::listener::Heard;
use crate::clock::Clock;
use crate::link::{self, Delivered, FrameError, Links, NotTaken, Refusal};
use crate::mail::{LONGEST_LETTER, Letterbox, PostError};
use crate::metrics::{self, Refused};

/// Frames that leave with one command. Others wait for its answer, and are bundled meanwhile.
const FRAMES_AT_ONCE: usize = 64;
/// A stranger does not fill the log.
const WONDER_EVERY: Duration = Duration::from_secs(60);

/// This node's letters.
pub(crate) struct Mail {
    pub(crate) node: NodeId,
    pub(crate) key: Secret,
    pub(crate) commands: Arc<Commands>,
    pub(crate) clock: Clock,
    pub(crate) letterbox: Arc<Letterbox>,
    pub(crate) links: Mutex<Links>,
    pub(crate) due: Notify,
    /// When it was told last that somebody has another secret.
    pub(crate) wondered: Mutex<Option<Moment>>,
}

impl Mail {
    /// Sends a letter to a node that is known to be there.
    pub(crate) fn post(&self, to: &NodeId, letter: Bytes) -> Result<(), PostError> {
        if letter.len() > LONGEST_LETTER {
            return Err(PostError::TooLarge);
        }
        let mut links = self.links();
        let posted = links.on_post((self.clock)().moment, to, letter);
        self.deliver(&mut links, to);
        drop(links);
        self.due.notify_one();
        posted.map_err(|link::Overflow| PostError::Full)
    }

    /// Takes what came on this node's channel.
    pub(crate) fn on_heard(&self, heard: Heard) {
        match heard {
            Heard::Message(bytes) => match self.on_frame(&bytes) {
                Ok(()) => metrics::received(),
                Err(reason) => {
                    metrics::refused(reason);
                    self.wonder(reason);
                }
            },
            Heard::Interrupted => self.links().on_reconnected((self.clock)().moment),
        }
        self.due.notify_one();
    }

    /// Tells now and then of letters that are not sealed as they should be: it may be a mistake in the settings.
    fn wonder(&self, reason: Refused) {
        let now = (self.clock)().moment;
        let mut wondered = self.wondered.lock().unwrap_or_else(PoisonError::into_inner);
        if reason == Refused::Forged && wondered.is_none_or(|at| now.since(at) >= WONDER_EVERY) {
            *wondered = Some(now);
            tracing::warn!(
                "a letter was sealed with another secret; do all nodes have the same node.secret?"
            );
        }
    }

    fn on_frame(&self, bytes: &Bytes) -> Result<(), Refused> {
        let (from, mut frame) = link::open(&self.key, &self.node, bytes).map_err(|error| match error {
            FrameError::Malformed => Refused::Malformed,
            FrameError::Forged => Refused::Forged,
        })?;
        let mut links = self.links();
        let length: usize = frame.letters.iter().map(Bytes::len).sum();
        let full = !self.letterbox.has_room_for(frame.letters.len(), length);
        if full {
            // As if they were lost: they come again. What the frame acknowledges counts.
            frame.letters.clear();
        }
        let taken = links.on_frame((self.clock)().moment, &from, frame);
        self.deliver(&mut links, &from);
        match taken {
            Ok(()) if full => Err(Refused::Full),
            Ok(()) => Ok(()),
            Err(NotTaken::TooManyLinks) => Err(Refused::Full),
            Err(NotTaken::Refused(Refusal::Stale)) => Err(Refused::Stale),
            Err(NotTaken::Refused(Refusal::Greeting)) => Err(Refused::Greeting),
            Err(NotTaken::Refused(Refusal::Gap)) => Err(Refused::Gap),
            Err(NotTaken::Refused(Refusal::Duplicate)) => Err(Refused::Duplicate),
        }
    }

    /// Under the lock of the links, so that the order stays.
    fn deliver(&self, links: &mut Links, from: &NodeId) {
        while let Some(delivered) = links.poll_letter(from) {
            match delivered {
                Delivered::Letter(bytes) => self.letterbox.accept(from.clone(), bytes),
                Delivered::Reset => {
                    metrics::reset();
                    self.letterbox.reset(from.clone());
                }
            }
        }
    }

    /// Forgets the links to nodes that are gone. Some come back, faster than somebody may look who is there: so this is said, too.
    pub(crate) fn forget(&self, gone: &[NodeId]) {
        let mut links = self.links();
        for node in gone {
            if links.forget(node) {
                metrics::reset();
                self.letterbox.reset(node.clone());
            }
        }
    }

    /// Sends what is due, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        loop {
            let now = (self.clock)().moment;
            let (frames, next) = {
                let mut links = self.links();
                links.on_timeout(now);
                let frames = links.poll_frames(now, FRAMES_AT_ONCE);
                metrics::retransmitted(links.take_retransmitted());
                (frames, links.poll_timeout())
            };
            if frames.is_empty() {
                match next {
                    Some(at) => {
                        // Woken or not, the links say what is due.
                        let _woken = tokio::time::timeout(at.since(now), self.due.notified()).await;
                    }
                    None => self.due.notified().await,
                }
                continue;
            }
            let sealed = |(to, frame): (NodeId, link::Frame)| {
                (keys::mail(&to), link::seal(&self.key, &self.node, &to, &frame))
            };
            let messages: Vec<_> = frames.into_iter().map(sealed).collect();
            match self.commands.publish(&messages).await {
                Ok(()) => metrics::sent(messages.len()),
                // They count as lost, and are sent again.
                Err(error) => tracing::debug!(%error, frames = messages.len(), "letters did not leave"),
            }
        }
    }

    fn links(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
