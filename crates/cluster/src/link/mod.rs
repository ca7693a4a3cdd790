//! The reliable link between two nodes, over anything that loses, repeats and reorders messages: a pure state machine.
//!
//! ```text
//! a                                                     b
//! │ hello          sender 7, receiver –                 │   a does not know b's session
//! │────────────────────────────────────────────────────►│
//! │            sender 3, receiver 7                     │   b cannot know whether a's frame is old, so it only answers
//! │◄────────────────────────────────────────────────────│
//! │ letters 1‥2    sender 7, receiver 3                 │   fresh: it names b's session
//! │────────────────────────────────────────────────────►│
//! │            acknowledges 2, sender 3, receiver 7     │
//! │◄────────────────────────────────────────────────────│
//! ```
//!
//! A session is a number of the node that only grows. A frame counts if it names the session that its receiver has now, and
//! none of the sender's sessions that is over: that is why replayed frames change nothing. Letters are numbered from 1 in each
//! session, acknowledged up to a number, and sent again from there (go-back-n) when no acknowledgment comes. A side that gives up,
//! because too much waits, begins a new session; the other side sees that and forgets what it had to send, too.

mod frame;
mod set;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use causeway_protocol::Moment;

use crate::mail::{MOST_BYTES, MOST_LETTERS};

pub(crate) use frame::{FrameError, open, seal};
pub(crate) use set::{Links, NotTaken};

/// How long an acknowledgment waits for a letter that takes it along.
const ACKNOWLEDGE_AFTER: Duration = Duration::from_millis(100);
/// Letters after which it waits no longer. A guess: a quarter of a window.
const ACKNOWLEDGE_LETTERS: u64 = 64;
/// How long until letters are sent again; doubled each time, up to the second. Guesses: a loaded Redis answers within
/// some milliseconds, and what it lost it lost with a connection, which both sides notice.
const RESEND_AFTER: Duration = Duration::from_millis(300);
const RESEND_AFTER_AT_MOST: Duration = Duration::from_secs(1);
/// Letters and bytes that may be on their way at once, so that sending them again is bounded, too.
const WINDOW_LETTERS: u64 = 1024;
const WINDOW_BYTES: usize = 1024 * 1024;
/// Letters and bytes of one frame; a longer letter has one for itself.
const FRAME_LETTERS: usize = 128;
const FRAME_BYTES: usize = 64 * 1024;

/// What travels from one side to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The session of who sends it.
    pub(crate) sender: u64,
    /// The session of who receives it; 0: not known yet.
    pub(crate) receiver: u64,
    /// Whether the sender has met `receiver`: whatever it says about letters is about this session.
    pub(crate) met: bool,
    /// Whether the sender gave something up when its session began.
    pub(crate) gave_up: bool,
    /// All letters up to this number have arrived.
    pub(crate) acknowledged: u64,
    /// The number of the first of `letters`.
    pub(crate) first: u64,
    /// What is sent.
    pub(crate) letters: Vec<Bytes>,
}

/// What comes out of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// The next letter.
    Letter(Bytes),
    /// Letters of either direction may be lost, up to here.
    Reset,
}

/// Why a frame brought nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It is of a session that is over; repeated by somebody, or very late.
    Stale,
    /// Its sender does not know this side's session, or a former one: it is answered, and nothing in it counts.
    Greeting,
    /// Letters before those in it are missing.
    Gap,
    /// All its letters had arrived.
    Duplicate,
}

/// Too much waits; a new session has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

/// One side of a link.
#[derive(Debug)]
pub(crate) struct Link {
    mine: u64,
    theirs: Option<u64>,
    /// Whether this session began by giving something up, and the other side has not yet said that it knows the session.
    gave_up: bool,
    /// Not acknowledged, the sent ones first.
    outbox: VecDeque<Bytes>,
    outbox_bytes: usize,
    /// The number of the outbox's first letter.
    first: u64,
    /// The number of the next letter to send.
    next: u64,
    /// The bytes of the letters from `first` to `next`.
    in_flight: usize,
    /// The highest number that was ever sent in this session.
    sent: u64,
    received: u64,
    unacknowledged: u64,
    acknowledge_at: Option<Moment>,
    resend_at: Option<Moment>,
    resend_after: Duration,
    /// Whether a frame is due even if there is no letter for it.
    owes: bool,
    /// The session that a greeting named, which is to be answered.
    greeted: Option<u64>,
    delivered: VecDeque<Delivered>,
    retransmitted: u64,
}

impl Link {
    /// A link whose other side is not known to be there. Sessions of one node only grow.
    pub(crate) fn new(session: u64) -> Self {
        Self {
            mine: session,
            theirs: None,
            gave_up: false,
            outbox: VecDeque::new(),
            outbox_bytes: 0,
            first: 1,
            next: 1,
            in_flight: 0,
            sent: 0,
            received: 0,
            unacknowledged: 0,
            acknowledge_at: None,
            resend_at: None,
            resend_after: RESEND_AFTER,
            owes: false,
            greeted: None,
            delivered: VecDeque::new(),
            retransmitted: 0,
        }
    }

    /// Sends a letter. If too much waits already everything is given up, and `session` begins.
    ///
    /// # Errors
    /// [`Overflow`]; the letter is not sent either.
    pub(crate) fn on_post(&mut self, now: Moment, letter: Bytes, session: u64) -> Result<(), Overflow> {
        let full =
            self.outbox.len() >= MOST_LETTERS || self.outbox_bytes.saturating_add(letter.len()) > MOST_BYTES;
        if full && !self.outbox.is_empty() {
            self.mine = session;
            self.gave_up = true;
            self.begin_anew(now);
            return Err(Overflow);
        }
        self.outbox_bytes += letter.len();
        self.outbox.push_back(letter);
        if self.theirs.is_none() && self.resend_at.is_none() {
            self.greet(now);
        }
        Ok(())
    }

    /// Takes what the other side sent. What it had to say is in [`Link::poll_letter`] then.
    pub(crate) fn on_frame(&mut self, now: Moment, frame: Frame) -> Result<(), Refusal> {
        if self.theirs.is_some_and(|theirs| frame.sender < theirs) {
            return Err(Refusal::Stale);
        }
        if frame.receiver != self.mine {
            // It may be a replay: the answer asks for proof, by naming this side's session.
            self.greeted = Some(frame.sender);
            return Err(Refusal::Greeting);
        }
        self.meet(now, frame.sender, frame.gave_up);
        self.gave_up &= !frame.met;
        self.on_acknowledged(now, frame.acknowledged);
        self.on_letters(now, frame.first, frame.letters)
    }

    /// The other side proved that this is its session.
    fn meet(&mut self, now: Moment, session: u64, gave_up: bool) {
        if self.theirs == Some(session) {
            return;
        }
        let first_meeting = self.theirs.replace(session).is_none();
        if !first_meeting || gave_up {
            self.begin_anew(now);
        }
        self.received = 0;
        // Letters that waited for the meeting go now; and the other side learns that it has been met.
        self.resend_at = None;
        self.owes = true;
    }

    /// Forgets everything of both directions, and says so on this side.
    fn begin_anew(&mut self, now: Moment) {
        self.outbox.clear();
        self.outbox_bytes = 0;
        (self.first, self.next, self.in_flight, self.sent) = (1, 1, 0, 0);
        (self.received, self.unacknowledged) = (0, 0);
        self.acknowledge_at = None;
        self.resend_at = None;
        self.delivered.push_back(Delivered::Reset);
        self.greet(now);
    }

    fn greet(&mut self, now: Moment) {
        self.owes = true;
        self.resend_after = RESEND_AFTER;
        self.resend_at = Some(now.plus(RESEND_AFTER));
    }

    fn on_acknowledged(&mut self, now: Moment, number: u64) {
        // A number that was never sent is nothing an honest other side says.
        if number < self.first || number > self.sent {
            return;
        }
        while self.first <= number {
            let Some(letter) = self.outbox.pop_front() else { break };
            self.outbox_bytes -= letter.len();
            if self.first < self.next {
                self.in_flight -= letter.len();
            }
            self.first += 1;
        }
        self.next = self.next.max(self.first);
        self.resend_after = RESEND_AFTER;
        self.resend_at = (self.next > self.first).then(|| now.plus(RESEND_AFTER));
    }

    fn on_letters(&mut self, now: Moment, first: u64, letters: Vec<Bytes>) -> Result<(), Refusal> {
        if letters.is_empty() {
            return Ok(());
        }
        let expected = self.received + 1;
        if first == 0 || first > expected {
            self.owes = true;
            return Err(Refusal::Gap);
        }
        let known = usize::try_from(expected - first).unwrap_or(usize::MAX);
        if known >= letters.len() {
            self.owes = true;
            return Err(Refusal::Duplicate);
        }
        for letter in letters.into_iter().skip(known) {
            self.received += 1;
            self.unacknowledged += 1;
            self.delivered.push_back(Delivered::Letter(letter));
        }
        self.acknowledge_at.get_or_insert(now.plus(ACKNOWLEDGE_AFTER));
        if self.unacknowledged >= ACKNOWLEDGE_LETTERS {
            self.owes = true;
        }
        Ok(())
    }

    /// Something that waited for a time may be due.
    pub(crate) fn on_timeout(&mut self, now: Moment) {
        if self.acknowledge_at.is_some_and(|at| at <= now) {
            self.acknowledge_at = None;
            self.owes = true;
        }
        if self.resend_at.is_some_and(|at| at <= now) {
            let after = (self.resend_after * 2).min(RESEND_AFTER_AT_MOST);
            self.send_again(now);
            self.resend_after = after;
            self.resend_at = self.resend_at.map(|_| now.plus(after));
        }
    }

    /// What joins the nodes was gone and is back: frames were lost, probably.
    pub(crate) fn on_reconnected(&mut self, now: Moment) {
        if !self.outbox.is_empty() || self.gave_up {
            self.send_again(now);
        }
    }

    fn send_again(&mut self, now: Moment) {
        self.next = self.first;
        self.in_flight = 0;
        self.greet(now);
    }

    /// The next frame to send; ask until there is none.
    pub(crate) fn poll_frame(&mut self, now: Moment) -> Option<Frame> {
        if let Some(session) = self.greeted.take() {
            let acknowledged = if self.theirs == Some(session) { self.received } else { 0 };
            return Some(self.frame(session, acknowledged, self.next, Vec::new()));
        }
        let first = self.next;
        let letters = if self.theirs.is_some() { self.next_letters() } else { Vec::new() };
        if letters.is_empty() && !self.owes {
            return None;
        }
        self.owes = false;
        self.unacknowledged = 0;
        self.acknowledge_at = None;
        if !letters.is_empty() && self.resend_at.is_none() {
            self.resend_at = Some(now.plus(self.resend_after));
        }
        let idle = self.outbox.is_empty() && !self.gave_up && self.theirs.is_some();
        if idle {
            self.resend_at = None;
        }
        Some(self.frame(self.theirs.unwrap_or(0), self.received, first, letters))
    }

    const fn frame(&self, receiver: u64, acknowledged: u64, first: u64, letters: Vec<Bytes>) -> Frame {
        let met = matches!(self.theirs, Some(theirs) if theirs == receiver);
        Frame { sender: self.mine, receiver, met, gave_up: self.gave_up, acknowledged, first, letters }
    }

    /// The letters of the next frame, as far as the window lets them.
    fn next_letters(&mut self) -> Vec<Bytes> {
        let mut letters = Vec::new();
        let mut bytes = 0;
        loop {
            let sent = self.next - self.first;
            let Some(letter) = usize::try_from(sent).ok().and_then(|index| self.outbox.get(index)) else {
                break;
            };
            let window = sent < WINDOW_LETTERS && self.in_flight + letter.len() <= WINDOW_BYTES;
            let frame = letters.len() < FRAME_LETTERS && bytes + letter.len() <= FRAME_BYTES;
            if (sent > 0 && !window) || (!letters.is_empty() && !frame) {
                break;
            }
            bytes += letter.len();
            self.in_flight += letter.len();
            self.retransmitted += u64::from(self.next <= self.sent);
            self.sent = self.sent.max(self.next);
            self.next += 1;
            letters.push(letter.clone());
        }
        letters
    }

    /// The next letter that arrived, or that some did not; ask until there is none.
    pub(crate) fn poll_letter(&mut self) -> Option<Delivered> {
        self.delivered.pop_front()
    }

    /// When [`Link::on_timeout`] is to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Moment> {
        [self.acknowledge_at, self.resend_at].into_iter().flatten().min()
    }

    /// How many letters were sent again since this was asked last.
    pub(crate) fn take_retransmitted(&mut self) -> u64 {
        std::mem::take(&mut self.retransmitted)
    }
}
