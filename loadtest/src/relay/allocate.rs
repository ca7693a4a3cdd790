//! Allocations that come and go, as a client's whole life: Allocate without a credential, 401, Allocate with one, and
//! Refresh with a lifetime of 0.
//!
//! Each allocation has a socket of its own as long as there are any left, because coturn answers 437 for a while on one whose
//! allocation has ended. So every server sees the same three requests, wherever it takes its nonces from.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use causeway_stun::attributes::{Lifetime, RequestedTransport};
use causeway_stun::{Class, Message, MessageWriter, Method, TransactionId};

use crate::clock;
use crate::failure::{Doing, Failure};
use crate::files;
use crate::histogram::Histogram;
use crate::proc::CpuTime;
use crate::relay::client::{Challenge, Client, error_code, transaction_id};
use crate::relay::generator::Seen;
use crate::relay::server::LOGIN;

/// Before the measured span. A guess.
const WARM_UP: Duration = Duration::from_millis(300);
/// A request without an answer is sent once more (RFC 8489 §6.2.1).
const RETRANSMIT_AFTER: Duration = Duration::from_millis(500);
/// Sockets of all clients together: about as many as coturn ends allocations in a round of two seconds, and fewer than
/// Linux has free ports.
const SOCKETS: usize = 18_000;
/// Open files that are left for everything else.
const OTHER_FILES: usize = 100;
/// RFC 8656 §5: Allocation Mismatch; the client goes on to its next socket.
const MISMATCH: u16 = 437;
/// The longest message here.
const LONGEST: usize = 1024;

/// Runs `count` clients for a span and counts their pairs of Allocate and Refresh.
pub(crate) fn run(
    server: SocketAddr,
    count: usize,
    span: Duration,
    used: &dyn Fn() -> Result<CpuTime, Failure>,
) -> Result<Seen, Failure> {
    let sockets = SOCKETS.min(files::allowed()?.saturating_sub(OTHER_FILES)) / count;
    let clients: Result<Vec<_>, _> = (0..count).map(|_| Cycle::start(server, sockets.max(1))).collect();
    let mut clients = clients?;
    let mut latency = Histogram::default();
    let begin = clock::nanoseconds() + clock::of(WARM_UP);
    while clock::nanoseconds() < begin {
        for client in &mut clients {
            client.turn(&mut latency)?;
        }
    }
    let tally = |clients: &[Cycle]| {
        let pairs: u64 = clients.iter().map(|client| client.pairs).sum();
        let repeated: u64 = clients.iter().map(|client| client.repeated).sum();
        (pairs, repeated)
    };
    let (pairs_before, repeated_before) = tally(&clients);
    let mut latency = Histogram::default();
    let (begin, used_before) = (clock::nanoseconds(), used()?);
    let end = begin + clock::of(span);
    while clock::nanoseconds() < end {
        for client in &mut clients {
            client.turn(&mut latency)?;
        }
    }
    let (end, used_after) = (clock::nanoseconds(), used()?);
    let (pairs, repeated) = tally(&clients);
    Ok(Seen {
        span: Duration::from_nanos(end - begin),
        delivered: pairs - pairs_before,
        cpu: used_after.since(used_before),
        lost: repeated - repeated_before,
        sent: pairs - pairs_before,
        latency,
    })
}

/// One client on its way round.
struct Cycle {
    server: SocketAddr,
    sockets: Vec<Arc<UdpSocket>>,
    /// Which of them is in use.
    socket: usize,
    challenge: Option<Challenge>,
    method: Method,
    request: Vec<u8>,
    transaction: TransactionId,
    transactions: u64,
    /// When the pair began, and when the request was last sent.
    began: u64,
    asked: u64,
    pairs: u64,
    /// Requests that had to be sent once more.
    repeated: u64,
}

impl Cycle {
    fn start(server: SocketAddr, count: usize) -> Result<Self, Failure> {
        let mut sockets = Vec::with_capacity(count);
        for _ in 0..count {
            let socket = Client::new(server, LOGIN)?.socket;
            socket.set_nonblocking(true).doing("making a socket poll")?;
            sockets.push(socket);
        }
        let mut cycle = Self {
            server,
            sockets,
            socket: 0,
            challenge: None,
            method: Method::Allocate,
            request: Vec::new(),
            transaction: transaction_id(0),
            transactions: 0,
            began: clock::nanoseconds(),
            asked: 0,
            pairs: 0,
            repeated: 0,
        };
        cycle.ask(Method::Allocate)?;
        Ok(cycle)
    }

    /// Takes an answer if there is one, and asks the next thing.
    fn turn(&mut self, latency: &mut Histogram) -> Result<(), Failure> {
        let mut buffer = [0; LONGEST];
        let received = self.sockets.get(self.socket).map(|socket| socket.recv(&mut buffer));
        let Some(Ok(length)) = received else {
            if clock::nanoseconds().saturating_sub(self.asked) > clock::of(RETRANSMIT_AFTER) {
                self.repeated += 1;
                self.send();
            }
            return Ok(());
        };
        let Ok(answer) = Message::decode(buffer.get(..length).unwrap_or_default()) else { return Ok(()) };
        if answer.transaction_id() != self.transaction {
            return Ok(());
        }
        match (answer.class(), self.method) {
            (Class::Success, Method::Allocate) => self.ask(Method::Refresh),
            (Class::Success, _) => {
                let now = clock::nanoseconds();
                latency.record(now.saturating_sub(self.began), 1);
                self.began = now;
                self.pairs += 1;
                self.next_socket()
            }
            (Class::Error, method) => {
                let code = error_code(&answer);
                if code == MISMATCH {
                    return self.next_socket();
                }
                let challenge = Challenge::of(&answer, LOGIN).filter(|_| matches!(code, 401 | 438));
                let refused = Failure::Refused { server: self.server, method, code };
                self.challenge = Some(challenge.ok_or(refused)?);
                self.ask(method)
            }
            (Class::Request | Class::Indication, _) => Ok(()),
        }
    }

    /// Begins anew where the server knows nothing of this client.
    fn next_socket(&mut self) -> Result<(), Failure> {
        self.challenge = None;
        self.socket = (self.socket + 1) % self.sockets.len();
        self.ask(Method::Allocate)
    }

    fn ask(&mut self, method: Method) -> Result<(), Failure> {
        self.method = method;
        self.transactions += 1;
        self.transaction = transaction_id(self.transactions);
        self.request.resize(LONGEST, 0);
        let mut writer = MessageWriter::new(&mut self.request, Class::Request, method, self.transaction)?;
        match method {
            Method::Allocate => writer.put(&RequestedTransport::UDP)?,
            _ => writer.put(&Lifetime { seconds: 0 })?,
        }
        if let Some(challenge) = &self.challenge {
            challenge.seal(LOGIN, &mut writer)?;
        }
        let length = writer.finish();
        self.request.truncate(length);
        self.send();
        Ok(())
    }

    /// What the kernel does not take is lost, and sent once more as if the network had lost it.
    fn send(&mut self) {
        let _ = self.sockets.get(self.socket).map(|socket| socket.send(&self.request));
        self.asked = clock::nanoseconds();
    }
}
