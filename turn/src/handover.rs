//! Hands a client to the worker that keeps a port for it.
//!
//! The kernel's hash decides which worker a client reaches. The port behind a RESERVATION-TOKEN (RFC 8656 §7.2) belongs
//! to the worker that gave the token, and whoever presents it usually comes from another port and so to another
//! worker. That worker passes on the request, and from then on everything that comes from the same client:
//!
//! ```text
//! client ──► worker it reaches ──(bounded queue)──► worker that owns the port ──► client
//! ```
//! These datagrams are copied. Only clients with such a token are concerned: for everybody else this costs a look at
//! two bytes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_stun::Message;
use causeway_stun::attributes::ReservationToken;
use causeway_turn_core::ClientAddr;
use mio::Waker;
use tokio::sync::mpsc;

/// Datagrams that wait for one worker from all others together. Beyond it they are dropped and counted.
const QUEUE: usize = 1024;
/// How long a token is looked for. RFC 8656 §7.2 has it kept for 30 seconds; its owner decides to the second.
const TOKEN_LIFETIME: Duration = Duration::from_secs(40);
/// Tokens of all workers at a time. A guess above what the cores keep.
const MAX_TOKENS: usize = 4096;
/// Clients that one worker passes on at a time. A guess; beyond it, the client's request is refused.
const MAX_CLIENTS: usize = 4096;

/// Class success, method Allocate.
const ALLOCATE_SUCCESS: [u8; 2] = [0x01, 0x03];
/// Class request, method Allocate.
const ALLOCATE_REQUEST: [u8; 2] = [0x00, 0x03];

/// A client's datagram that reached another worker.
pub(crate) struct Handed {
    pub(crate) from: ClientAddr,
    pub(crate) datagram: Box<[u8]>,
}

/// The owner's queue is full: the datagram is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// Which worker gave a token, and who has presented it since.
struct Token {
    owner: usize,
    until: Moment,
    client: Option<ClientAddr>,
}

/// The tokens of all workers. The lock is taken for requests and answers that carry one, never for data.
#[derive(Default)]
struct Tokens(Mutex<HashMap<[u8; 8], Token>>);

/// The way to another worker.
#[derive(Clone)]
struct Way {
    queue: mpsc::Sender<Handed>,
    waker: Arc<Waker>,
}

/// One worker's part in this.
pub(crate) struct Handover {
    worker: usize,
    tokens: Arc<Tokens>,
    ways: Arc<[Way]>,
    waiting: mpsc::Receiver<Handed>,
    /// Clients of this worker's socket that another worker serves.
    passed_on: HashMap<ClientAddr, PassedOn>,
    /// A client that was silent for longer has no allocation any more.
    max_lifetime: Duration,
}

struct PassedOn {
    owner: usize,
    last_heard: Moment,
}

/// One part for each worker, in the order of their wakers.
pub(crate) fn among(wakers: &[Arc<Waker>], max_lifetime: Duration) -> Vec<Handover> {
    let tokens = Arc::new(Tokens::default());
    let (ways, queues): (Vec<_>, Vec<_>) = wakers
        .iter()
        .map(|waker| {
            let (queue, waiting) = mpsc::channel(QUEUE);
            (Way { queue, waker: Arc::clone(waker) }, waiting)
        })
        .unzip();
    let ways: Arc<[Way]> = ways.into();
    queues
        .into_iter()
        .enumerate()
        .map(|(worker, waiting)| Handover {
            worker,
            tokens: Arc::clone(&tokens),
            ways: Arc::clone(&ways),
            waiting,
            passed_on: HashMap::new(),
            max_lifetime,
        })
        .collect()
}

impl Handover {
    /// From here on allocations may live this long; those alive may still live longer.
    pub(crate) fn remember_for(&mut self, max_lifetime: Duration) {
        self.max_lifetime = self.max_lifetime.max(max_lifetime);
    }

    /// Remembers the token in an answer of this worker, if there is one. Call it before the answer is sent.
    pub(crate) fn note_answer(&self, now: Moment, answer: &[u8]) {
        if self.ways.len() > 1
            && let Some(token) = token(answer, ALLOCATE_SUCCESS)
        {
            self.tokens.insert(token, self.worker, now);
        }
    }

    /// The other worker that is to have a client's datagram; `None`: this one serves it.
    pub(crate) fn owner(&mut self, now: Moment, from: ClientAddr, datagram: &[u8]) -> Option<usize> {
        if let Some(passed_on) = self.passed_on.get_mut(&from) {
            passed_on.last_heard = now;
            return Some(passed_on.owner);
        }
        if self.ways.len() == 1 {
            return None;
        }
        let token = token(datagram, ALLOCATE_REQUEST)?;
        if self.passed_on.len() >= MAX_CLIENTS {
            return None;
        }
        let owner = self.tokens.claim(token, from, now).filter(|owner| *owner != self.worker)?;
        self.passed_on.insert(from, PassedOn { owner, last_heard: now });
        Some(owner)
    }

    /// Passes a datagram on.
    pub(crate) fn pass_on(&self, owner: usize, from: ClientAddr, datagram: &[u8]) -> Result<(), Full> {
        let way = self.ways.get(owner).ok_or(Full)?;
        way.queue.try_send(Handed { from, datagram: datagram.into() }).map_err(|_full_or_gone| Full)?;
        // Not woken, the owner finds the datagram with its next one.
        let _ = way.waker.wake();
        Ok(())
    }

    /// The next datagram that another worker passed on.
    pub(crate) fn receive(&mut self) -> Option<Handed> {
        self.waiting.try_recv().ok()
    }

    /// Nothing waits to be received.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Forgets clients that cannot have an allocation any more.
    pub(crate) fn forget_silent(&mut self, now: Moment) {
        let max_lifetime = self.max_lifetime;
        self.passed_on.retain(|_, passed_on| now.since(passed_on.last_heard) <= max_lifetime);
    }
}

impl Tokens {
    fn insert(&self, token: [u8; 8], owner: usize, now: Moment) {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tokens.retain(|_, token| token.until > now);
        if tokens.len() < MAX_TOKENS {
            tokens.insert(token, Token { owner, until: now.plus(TOKEN_LIFETIME), client: None });
        }
    }

    /// The owner of a token. It is the first client's that presents it, so that a token moves one client and no more.
    fn claim(&self, token: [u8; 8], client: ClientAddr, now: Moment) -> Option<usize> {
        let mut tokens = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let token = tokens.get_mut(&token).filter(|token| token.until > now)?;
        (*token.client.get_or_insert(client) == client).then_some(token.owner)
    }
}

/// The RESERVATION-TOKEN of a message that starts with `kind`.
fn token(datagram: &[u8], kind: [u8; 2]) -> Option<[u8; 8]> {
    if !datagram.starts_with(&kind) {
        return None;
    }
    let message = Message::decode(datagram).ok()?;
    let ReservationToken(token) = message.get().ok()??;
    Some(token)
}

#[cfg(test)]
mod tests {
    use causeway_stun::{Class, MessageWriter, Method, TransactionId};
    use causeway_turn_core::{ListenerId, Via};

    use super::*;

    const START: Moment = Moment::from_origin(Duration::ZERO);
    const MAX_LIFETIME: Duration = Duration::from_secs(3600);
    const TOKEN: [u8; 8] = [7; 8];

    #[test]
    fn a_client_with_a_token_goes_to_the_tokens_worker_and_stays_there() {
        let (_poll, mut workers) = workers(3);
        workers[2].note_answer(START, &answer(TOKEN));
        assert_eq!(workers[0].owner(START, client(1), &request(TOKEN)), Some(2));
        assert_eq!(workers[0].owner(START, client(1), b"anything"), Some(2));
        assert_eq!(workers[0].owner(START, client(2), b"anything"), None);
    }

    #[test]
    fn a_client_that_reaches_the_right_worker_stays_there() {
        let (_poll, mut workers) = workers(2);
        workers[1].note_answer(START, &answer(TOKEN));
        assert_eq!(workers[1].owner(START, client(1), &request(TOKEN)), None);
    }

    #[test]
    fn an_unknown_token_moves_nobody() {
        let (_poll, mut workers) = workers(2);
        workers[1].note_answer(START, &answer(TOKEN));
        assert_eq!(workers[0].owner(START, client(1), &request([8; 8])), None);
    }

    #[test]
    fn a_token_moves_one_client_only() {
        let (_poll, mut workers) = workers(2);
        workers[1].note_answer(START, &answer(TOKEN));
        assert_eq!(workers[0].owner(START, client(1), &request(TOKEN)), Some(1));
        assert_eq!(workers[0].owner(START, client(2), &request(TOKEN)), None);
    }

    #[test]
    fn an_old_token_moves_nobody() {
        let (_poll, mut workers) = workers(2);
        workers[1].note_answer(START, &answer(TOKEN));
        assert_eq!(workers[0].owner(START.plus(TOKEN_LIFETIME), client(1), &request(TOKEN)), None);
    }

    #[test]
    fn a_client_is_forgotten_after_the_longest_lifetime_of_silence() {
        let (_poll, mut workers) = workers(2);
        workers[1].note_answer(START, &answer(TOKEN));
        workers[0].owner(START, client(1), &request(TOKEN));
        workers[0].forget_silent(START.plus(MAX_LIFETIME));
        assert_eq!(workers[0].passed_on.len(), 1);
        workers[0].forget_silent(START.plus(MAX_LIFETIME + Duration::from_secs(1)));
        assert_eq!(workers[0].passed_on.len(), 0);
    }

    #[test]
    fn what_is_passed_on_arrives_until_the_queue_is_full() {
        let (_poll, mut workers) = workers(2);
        for _ in 0..QUEUE {
            assert_eq!(workers[0].pass_on(1, client(1), b"data"), Ok(()));
        }
        assert_eq!(workers[0].pass_on(1, client(1), b"data"), Err(Full));
        let handed = workers[1].receive().unwrap();
        assert_eq!((handed.from, &*handed.datagram), (client(1), &b"data"[..]));
        assert_eq!(workers[0].pass_on(1, client(1), b"data"), Ok(()));
    }

    fn workers(count: usize) -> (mio::Poll, Vec<Handover>) {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        (poll, among(&vec![waker; count], MAX_LIFETIME))
    }

    fn client(port: u16) -> ClientAddr {
        ClientAddr { source: ([192, 0, 2, 1], port).into(), listener: ListenerId(0), via: Via::Udp }
    }

    fn answer(token: [u8; 8]) -> Vec<u8> {
        message(Class::Success, token)
    }

    fn request(token: [u8; 8]) -> Vec<u8> {
        message(Class::Request, token)
    }

    fn message(class: Class, token: [u8; 8]) -> Vec<u8> {
        let mut buffer = vec![0; 64];
        let mut writer =
            MessageWriter::new(&mut buffer, class, Method::Allocate, TransactionId([1; 12])).unwrap();
        writer.put(&ReservationToken(token)).unwrap();
        let length = writer.finish();
        buffer.truncate(length);
        buffer
    }
}
