//! Hands a client to the worker that keeps an allocation or a peer connection for it.
//!
//! The kernel's hash decides which worker a client reaches. A mobility ticket (RFC 8016) names the worker of its
//! allocation, and whoever presents it usually comes from another port and so to another worker. That worker passes on
//! the request, and once the allocation has moved everything that comes from the same client:
//!
//! ```text
//! client ──► worker it reaches ──(bounded queue)──► worker that has the allocation ──► client
//! ```
//! These datagrams are copied. Only such clients are concerned: for everybody else this costs a look at two bytes.
//!
//! A connection is handed over whole, before the request is looked at that names a peer connection (RFC 6062) or an
//! allocation of another worker. Nothing is copied from then on.
//!
//! Reserved ports (RFC 8656 §7.2) go to where their clients are: see [`crate::io::reserved`].

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use causeway_protocol::{Moment, Now, UnixSeconds};
use causeway_stun::Message;
use causeway_stun::attributes::{ConnectionId, MobilityTicket};
use causeway_turn_core::{ClientAddr, NonceKey, Tickets, WorkerNumber};
use mio::Waker;
use tokio::sync::mpsc;

use crate::stream::Connection;

/// Datagrams that wait for one worker from all others together. Beyond it they are dropped and counted.
const QUEUE: usize = 1024;
/// Clients that one worker passes on at a time. A guess; beyond it, the client is not served.
const MAX_CLIENTS: usize = 4096;

/// Class request, method Refresh.
const REFRESH_REQUEST: [u8; 2] = [0x00, 0x04];
/// Class request, method ConnectionBind.
const CONNECTION_BIND_REQUEST: [u8; 2] = [0x00, 0x0B];
/// What one worker gives another.
pub(crate) enum Handed {
    /// A client's datagram, which worker `by` received.
    Datagram { by: usize, from: ClientAddr, datagram: Box<[u8]> },
    /// A client's connection, with everything that belongs to it.
    Connection(Box<Connection>),
}

/// What waits in a worker's queue.
enum Passed {
    Handed(Handed),
    /// A client that this worker has passed a datagram on of is worker `owner`'s from here on.
    Serves {
        owner: usize,
        client: ClientAddr,
    },
}

/// How much was given to other workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HandoverCounts {
    /// Datagrams passed on.
    pub(crate) datagrams: u64,
    /// Connections handed over.
    pub(crate) connections: u64,
}

/// The owner's queue is full: what was to be given is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The way to another worker.
#[derive(Clone)]
struct Way {
    queue: mpsc::Sender<Passed>,
    waker: Arc<Waker>,
}

/// One worker's part in this.
pub(crate) struct Handover {
    worker: usize,
    ways: Arc<[Way]>,
    waiting: mpsc::Receiver<Passed>,
    /// What was taken from the queue on the way to what was behind it; at most as much as that holds.
    set_aside: VecDeque<Handed>,
    tickets: Tickets,
    /// The datagram that is being served, and which worker received it.
    serving: Option<(usize, ClientAddr)>,
    counts: HandoverCounts,
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
pub(crate) fn among(wakers: &[Arc<Waker>], nonce_key: &NonceKey, max_lifetime: Duration) -> Vec<Handover> {
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
            ways: Arc::clone(&ways),
            waiting,
            set_aside: VecDeque::new(),
            tickets: Tickets::new(nonce_key),
            serving: None,
            counts: HandoverCounts::default(),
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

    /// The other worker that is to have a client's datagram; `None`: this one serves it.
    pub(crate) fn owner(&mut self, now: Now, from: ClientAddr, datagram: &[u8]) -> Option<usize> {
        let Now { moment: now, unix } = now;
        if let Some(passed_on) = self.passed_on.get_mut(&from) {
            passed_on.last_heard = now;
            return Some(passed_on.owner);
        }
        if self.ways.len() == 1 {
            return None;
        }
        // A client whose allocation has moved may be faster than this worker's next turn.
        if !self.waiting.is_empty() {
            self.learn(now);
            if let Some(passed_on) = self.passed_on.get(&from) {
                return Some(passed_on.owner);
            }
        }
        self.ticket_owner(unix, datagram)
    }

    /// Passes a datagram on.
    pub(crate) fn pass_on(&mut self, owner: usize, from: ClientAddr, datagram: &[u8]) -> Result<(), Full> {
        let datagram = Handed::Datagram { by: self.worker, from, datagram: datagram.into() };
        self.pass(owner, Passed::Handed(datagram))?;
        self.counts.datagrams = self.counts.datagrams.wrapping_add(1);
        Ok(())
    }

    /// The other worker that has the peer connection or the allocation that a frame on a connection asks for.
    pub(crate) fn stream_owner(&self, now: Now, frame: &[u8]) -> Option<usize> {
        if self.ways.len() == 1 {
            return None;
        }
        if frame.starts_with(&CONNECTION_BIND_REQUEST) {
            let id = Message::decode(frame).ok()?.get::<ConnectionId>().ok()??;
            return self.another(WorkerNumber::of_connection(id));
        }
        self.ticket_owner(now.unix, frame)
    }

    /// Gives a connection to another worker.
    pub(crate) fn hand_over(&mut self, owner: usize, connection: Connection) -> Result<(), Full> {
        self.pass(owner, Passed::Handed(Handed::Connection(Box::new(connection))))?;
        self.counts.connections = self.counts.connections.wrapping_add(1);
        Ok(())
    }

    /// A client's allocation has moved to this 5-tuple. If another worker receives it, that passes on all that comes
    /// from there.
    pub(crate) fn on_moved(&self, client: ClientAddr) {
        if let Some((by, from)) = self.serving
            && from == client
        {
            // If its queue is full, the client's next Refresh tells it again.
            let _ = self.pass(by, Passed::Serves { owner: self.worker, client });
        }
    }

    pub(crate) const fn counts(&self) -> HandoverCounts {
        self.counts
    }

    /// RFC 8016 §3.2.2: the other worker that a Refresh request with a ticket is for.
    fn ticket_owner(&self, unix: UnixSeconds, datagram: &[u8]) -> Option<usize> {
        if !datagram.starts_with(&REFRESH_REQUEST) {
            return None;
        }
        let ticket = Message::decode(datagram).ok()?.get::<MobilityTicket<'_>>().ok()??;
        self.another(self.tickets.worker(ticket, unix)?)
    }

    /// The index of a worker, if there is one of this number and it is not this one.
    fn another(&self, worker: WorkerNumber) -> Option<usize> {
        let index = usize::from(worker.number());
        (index != self.worker && index < self.ways.len()).then_some(index)
    }

    fn pass(&self, to: usize, passed: Passed) -> Result<(), Full> {
        let way = self.ways.get(to).ok_or(Full)?;
        way.queue.try_send(passed).map_err(|_full_or_gone| Full)?;
        // Not woken, the other finds it with what it receives next.
        let _ = way.waker.wake();
        Ok(())
    }

    /// The next thing that another worker gave.
    pub(crate) fn receive(&mut self, now: Moment) -> Option<Handed> {
        if self.set_aside.is_empty() {
            self.learn(now);
        }
        let handed = self.set_aside.pop_front()?;
        self.serving = match &handed {
            Handed::Datagram { by, from, .. } => Some((*by, *from)),
            Handed::Connection(_) => None,
        };
        Some(handed)
    }

    /// Takes what is in the queue: remembers whose clients are, and sets the rest aside.
    fn learn(&mut self, now: Moment) {
        for _ in self.set_aside.len()..QUEUE {
            match self.waiting.try_recv() {
                Ok(Passed::Handed(handed)) => self.set_aside.push_back(handed),
                Ok(Passed::Serves { owner, client }) if self.passed_on.len() < MAX_CLIENTS => {
                    self.passed_on.insert(client, PassedOn { owner, last_heard: now });
                }
                // Its next Refresh tells it again.
                Ok(Passed::Serves { .. }) => {}
                Err(_empty) => return,
            }
        }
    }

    /// What was received last is done.
    pub(crate) fn served(&mut self) {
        self.serving = None;
    }

    /// Nothing waits to be received.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.set_aside.is_empty()
    }

    /// Forgets clients that cannot have an allocation any more.
    pub(crate) fn forget_silent(&mut self, now: Moment) {
        let max_lifetime = self.max_lifetime;
        self.passed_on.retain(|_, passed_on| now.since(passed_on.last_heard) <= max_lifetime);
    }
}

#[cfg(test)]
mod tests {
    use causeway_stun::{Class, MessageWriter, Method, TransactionId};
    use causeway_turn_core::{ListenerId, Via};

    use super::*;

    const START: Moment = Moment::from_origin(Duration::ZERO);
    const MAX_LIFETIME: Duration = Duration::from_secs(3600);

    #[test]
    fn a_client_is_forgotten_after_the_longest_lifetime_of_silence() {
        let (_poll, mut workers) = workers(2);
        move_through(&mut workers, client(1));
        assert_eq!(workers[0].owner(at(START), client(1), b"data"), Some(1));
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
        let Some(Handed::Datagram { by, from, datagram }) = workers[1].receive(START) else { panic!() };
        assert_eq!((by, from, &*datagram), (0, client(1), &b"data"[..]));
        assert_eq!(workers[0].pass_on(1, client(1), b"data"), Ok(()));
        assert_eq!(workers[0].counts().datagrams, QUEUE as u64 + 1);
    }

    #[test]
    fn a_client_that_moved_through_another_worker_is_passed_on_from_there() {
        let (_poll, mut workers) = workers(3);
        workers[0].pass_on(2, client(1), b"refresh").unwrap();
        assert!(workers[2].receive(START).is_some());
        workers[2].on_moved(client(1));
        workers[2].served();
        workers[2].on_moved(client(2));
        assert!(workers[0].receive(START).is_none());
        assert_eq!(workers[0].owner(at(START), client(1), b"data"), Some(2));
        assert_eq!(workers[0].owner(at(START), client(2), b"data"), None);
    }

    #[test]
    fn a_connection_goes_to_the_worker_that_its_connection_id_names() {
        let (_poll, workers) = workers(2);
        let bind = |id| {
            let mut buffer = vec![0; 64];
            let transaction = TransactionId([1; 12]);
            let mut writer =
                MessageWriter::new(&mut buffer, Class::Request, Method::ConnectionBind, transaction).unwrap();
            writer.put(&ConnectionId(id)).unwrap();
            let length = writer.finish();
            workers[0].stream_owner(at(START), &buffer[..length])
        };
        assert_eq!(bind(1 << 23), Some(1));
        assert_eq!(bind(0), None, "its own");
        assert_eq!(bind(2 << 23), None, "a worker that does not exist");
        assert_eq!(workers[0].stream_owner(at(START), b"anything"), None);
    }

    fn at(moment: Moment) -> Now {
        Now { moment, unix: UnixSeconds(0) }
    }

    fn workers(count: usize) -> (mio::Poll, Vec<Handover>) {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        (poll, among(&vec![waker; count], &NonceKey::from_bytes([1; 32]), MAX_LIFETIME))
    }

    fn client(port: u16) -> ClientAddr {
        ClientAddr { source: ([192, 0, 2, 1], port).into(), listener: ListenerId(0), via: Via::Udp }
    }

    /// The first worker passes on a client, whose allocation the second moves.
    fn move_through(workers: &mut [Handover], client: ClientAddr) {
        workers[0].pass_on(1, client, b"refresh").unwrap();
        assert!(workers[1].receive(START).is_some());
        workers[1].on_moved(client);
        workers[1].served();
    }
}
