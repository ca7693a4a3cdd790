//! What waits for the shell: actions, which must not get lost, and answers, which may.

use std::collections::VecDeque;

use crate::action::{Action, Reply};
use crate::address::ClientAddr;

/// Answers that wait at a time. A guess: more than a shell receives before it polls.
const REPLIES: usize = 256;

/// Padded answers that wait at a time. A guess: each takes some heap, and who examines a NAT sends one at a time.
const PADDED_REPLIES: usize = 16;

/// Three queues. Actions are bounded by what causes them: pending binds, allocations and reservations all have limits.
/// Answers have a bound of their own, and when it is reached the newest is dropped and counted: requests are sent
/// again. Their memory is taken at the start, so that answering strangers touches no heap; padded answers, which only
/// behaviour discovery knows, have a short queue of their own.
#[derive(Debug)]
pub(crate) struct Queue {
    actions: VecDeque<Action>,
    replies: VecDeque<(ClientAddr, Reply)>,
    padded: VecDeque<(ClientAddr, Box<[u8]>)>,
}

/// The queue of answers is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Queue {
    pub(crate) fn new() -> Self {
        Self { actions: VecDeque::new(), replies: VecDeque::with_capacity(REPLIES), padded: VecDeque::new() }
    }

    pub(crate) fn push(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    pub(crate) fn reply(&mut self, to: ClientAddr, reply: Reply) -> Result<(), Full> {
        if self.replies.len() >= REPLIES {
            return Err(Full);
        }
        self.replies.push_back((to, reply));
        Ok(())
    }

    pub(crate) fn padded_reply(&mut self, to: ClientAddr, reply: &[u8]) -> Result<(), Full> {
        if self.padded.len() >= PADDED_REPLIES {
            return Err(Full);
        }
        self.padded.push_back((to, reply.into()));
        Ok(())
    }

    pub(crate) fn pop(&mut self) -> Option<Action> {
        if let Some(action) = self.actions.pop_front() {
            return Some(action);
        }
        if let Some((to, bytes)) = self.replies.pop_front() {
            return Some(Action::Reply { to, bytes });
        }
        self.padded.pop_front().map(|(to, bytes)| Action::PaddedReply { to, bytes })
    }
}
