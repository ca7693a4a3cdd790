//! The role of a node that has sockets in a room of another node's: it passes on what they say and hear.

use std::collections::{HashMap, VecDeque};

use causeway_protocol::node::{Answer, EdgeSession, Question, Say};
use causeway_protocol::{Epoch, NodeId};
use tokio::sync::oneshot;

use super::desk::Desk;

/// What sockets say while the room changes hands. Beyond it they are told that the room cannot take more.
const MOST_HELD: usize = 1024;

/// Questions that wait for the owner's answer.
const MOST_QUESTIONS: usize = 1024;

/// A room that is another node's.
pub(crate) struct Edge {
    pub(crate) owner: NodeId,
    pub(crate) epoch: Epoch,
    /// What waits for the new owner during a hand-over.
    held: Option<VecDeque<Say>>,
    /// Somebody looks for the next owner.
    pub(crate) seeking: bool,
    /// Closes when the node that was handed the room says that it has it.
    pub(crate) handed: Option<oneshot::Sender<()>>,
    questions: HashMap<u64, oneshot::Sender<Answer>>,
    last_question: u64,
}

/// Too much is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HeldTooMuch;

impl Edge {
    pub(crate) fn new(owner: NodeId, epoch: Epoch) -> Self {
        Self {
            owner,
            epoch,
            held: None,
            seeking: false,
            handed: None,
            questions: HashMap::new(),
            last_question: 0,
        }
    }

    /// For a room whose next owner is yet to be found.
    pub(crate) fn holding(owner: NodeId, epoch: Epoch, held: VecDeque<Say>) -> Self {
        Self { held: Some(held), ..Self::new(owner, epoch) }
    }

    /// Writes to the owner, or keeps it for the next one.
    pub(crate) fn say(&mut self, say: Say, desk: &Desk) -> Result<(), HeldTooMuch> {
        match &mut self.held {
            Some(held) if held.len() >= MOST_HELD => Err(HeldTooMuch),
            Some(held) => {
                held.push_back(say);
                Ok(())
            }
            None => {
                desk.post(&self.owner, self.epoch, say);
                Ok(())
            }
        }
    }

    /// How many of a socket's counting messages are held.
    pub(crate) fn holds_of(&self, session: EdgeSession) -> u64 {
        let counts = |say: &&Say| match say {
            Say::Said { session: of, message } => *of == session && message.counts(),
            Say::Unreadable { session: of, .. } => *of == session,
            _ => false,
        };
        self.held.iter().flatten().filter(counts).count() as u64
    }

    /// Whether a socket's wish to come in is held: no owner has heard of it.
    pub(crate) fn holds_entry_of(&self, session: EdgeSession) -> bool {
        let wants_in = |say: &Say| match say {
            Say::Enter { session: of, .. } | Say::Resume { session: of, .. } => *of == session,
            _ => false,
        };
        self.held.iter().flatten().any(wants_in)
    }

    /// Asks the owner. The channel closes without an answer if the owner goes, or too many ask.
    pub(crate) fn ask(&mut self, ask: Question, desk: &Desk) -> oneshot::Receiver<Answer> {
        let (answer, receiver) = oneshot::channel();
        self.questions.retain(|_, asker| !asker.is_closed());
        if self.questions.len() < MOST_QUESTIONS {
            self.last_question += 1;
            self.questions.insert(self.last_question, answer);
            let _held_too_much = self.say(Say::Ask { question: self.last_question, ask }, desk);
        }
        receiver
    }

    /// The owner answers.
    pub(crate) fn answered(&mut self, question: u64, answer: Answer) {
        if let Some(asker) = self.questions.remove(&question) {
            let _asker_left = asker.send(answer);
        }
    }

    /// Keeps what is said from here on.
    pub(crate) fn pause(&mut self) {
        self.held.get_or_insert_default();
    }

    /// The room is this node's now: first it hears `before`, then what was held.
    pub(crate) fn follow(&mut self, owner: NodeId, epoch: Epoch, before: Vec<Say>, desk: &Desk) {
        (self.owner, self.epoch) = (owner, epoch);
        self.handed = None;
        for say in before.into_iter().chain(self.held.take().unwrap_or_default()) {
            desk.post(&self.owner, self.epoch, say);
        }
    }

    /// What was held, for a room that becomes ours.
    pub(crate) fn into_held(self) -> VecDeque<Say> {
        self.held.unwrap_or_default()
    }
}
