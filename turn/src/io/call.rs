//! One call of the kernel that sends what is planned on one socket, and what becomes of it when the kernel refuses.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use rustix::io::Errno;

use crate::io::arena::Arena;
use crate::io::linux::Sender;
use crate::io::offloads::IoCounts;
use crate::io::runs::{Piece, Place, Run, Runs, Way};
use crate::io::sockets::is_of_an_earlier_one;
use crate::labels::{labels, tally};

labels! {
    /// Why a datagram did not leave. The names are the values of a metric's label.
    SendFailure {
        /// The socket's or the device's buffer is full (`EAGAIN`, `ENOBUFS`, `ENOMEM`).
        BufferFull = "buffer_full",
        /// Larger than the path allows with DF set, or than UDP carries (`EMSGSIZE`).
        TooLarge = "too_large",
        /// No route, or the destination said that nobody is there.
        Unreachable = "unreachable",
        /// A firewall rule or a broadcast address (`EPERM`, `EACCES`).
        Forbidden = "forbidden",
        /// The socket has been closed since the send was planned.
        Closed = "closed",
        /// A client over TCP or TLS reads too slowly: its queue is full.
        QueueFull = "queue_full",
        /// The client's allocation is another worker's, and that worker's queue is full.
        HandoverFull = "handover_full",
        /// The peer is a relayed address of another worker, and too much is on its way there.
        OtherWorkerFull = "other_worker_full",
        /// Anything else the kernel said.
        Other = "other",
    }
}

tally! {
    /// Failures so far, by reason.
    SendFailures of SendFailure
}

/// RFC 8489 §14: attributes end on a multiple of four bytes.
const PADDING: [u8; 3] = [0; 3];

/// Everything that is planned, and where its bytes are.
pub(crate) struct Planned<'a> {
    pub(crate) runs: &'a Runs,
    pub(crate) arena: &'a Arena,
    pub(crate) answers: &'a [u8],
}

/// What is counted of sends.
pub(crate) struct Account<'a> {
    pub(crate) failures: &'a mut SendFailures,
    pub(crate) counts: &'a mut IoCounts,
}

/// For what leaves together, and for what the kernel would not take together.
pub(crate) struct Senders {
    together: Sender,
    alone: Sender,
}

/// A socket and how its errors are to be taken.
pub(crate) struct Call<'a, F> {
    pub(crate) socket: &'a UdpSocket,
    /// How often a message is tried while the kernel reports errors of earlier ones.
    pub(crate) attempts: u32,
    /// Where a way leads.
    pub(crate) to: F,
}

/// What the caller has to know about calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Where the last datagram should have gone that is too large for its path.
    pub(crate) oversized: Option<SocketAddr>,
    /// The network card cannot send trains, and never will.
    pub(crate) trains_fail: bool,
}

impl<'a> Planned<'a> {
    /// Header, body and padding.
    pub(crate) fn parts(&self, piece: &'a Piece) -> [&'a [u8]; 3] {
        let body = match piece.body() {
            (Place::Received, range) => self.arena.at(range),
            (Place::Answers, range) => self.answers.get(range).unwrap_or_default(),
        };
        let padding = PADDING.get(..piece.padding()).unwrap_or_default();
        [self.runs.header(piece), body, padding]
    }
}

impl Account<'_> {
    /// So many datagrams did not leave.
    pub(crate) fn lost(&mut self, count: u32, failure: SendFailure) {
        (0..count).for_each(|_| self.failures.count(failure));
    }

    /// None of the datagrams left.
    pub(crate) fn all_lost(&mut self, runs: &[Run], failure: SendFailure) {
        runs.iter().for_each(|run| self.lost(run.count, failure));
    }

    fn sent(&mut self, run: &Run) {
        if run.count > 1 {
            self.counts.sent_in_trains = self.counts.sent_in_trains.wrapping_add(u64::from(run.count));
        } else {
            self.counts.sent_alone = self.counts.sent_alone.wrapping_add(1);
        }
    }

    fn called(&mut self) {
        self.counts.send_calls = self.counts.send_calls.wrapping_add(1);
    }
}

impl Senders {
    /// For calls of so many messages with so many datagrams together.
    pub(crate) fn new(messages: usize, datagrams: usize) -> Self {
        Self { together: Sender::new(messages, 3 * datagrams), alone: Sender::new(1, 3) }
    }
}

impl<F: Fn(&Way) -> SocketAddr> Call<'_, F> {
    /// Sends all of `runs`.
    pub(crate) fn send<'a>(
        &self,
        senders: &mut Senders,
        planned: &Planned<'a>,
        runs: &'a [Run],
        account: &mut Account<'_>,
    ) -> Ended {
        let mut gathering = senders.together.gather();
        for run in runs {
            gathering.message((self.to)(&run.way), run.train());
            for piece in planned.runs.pieces(run) {
                planned.parts(piece).into_iter().for_each(|part| gathering.part(part));
            }
        }
        let mut ended = Ended::default();
        let mut first = 0;
        let mut attempts = 1..self.attempts;
        while let Some(run) = runs.get(first) {
            match gathering.send(self.socket, first) {
                Ok(count) => {
                    account.called();
                    let sent = runs.get(first..first + count).unwrap_or_default();
                    sent.iter().for_each(|run| account.sent(run));
                    first += count;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The relay's other peers must not suffer from one that is gone.
                Err(error) if is_of_an_earlier_one(&error) && attempts.next().is_some() => continue,
                Err(error) if run.count > 1 && is_about_trains(&error) => {
                    account.counts.trains_refused = account.counts.trains_refused.wrapping_add(1);
                    ended.trains_fail |= Errno::from_io_error(&error) == Some(Errno::IO);
                    self.send_one_by_one(&mut senders.alone, planned, run, account, &mut ended);
                    first += 1;
                }
                Err(error) => {
                    self.give_up(run, run.count, &error, account, &mut ended);
                    first += 1;
                }
            }
            attempts = 1..self.attempts;
        }
        ended
    }

    fn send_one_by_one<'a>(
        &self,
        sender: &mut Sender,
        planned: &Planned<'a>,
        run: &'a Run,
        account: &mut Account<'_>,
        ended: &mut Ended,
    ) {
        let to = (self.to)(&run.way);
        for piece in planned.runs.pieces(run) {
            let mut gathering = sender.gather();
            gathering.message(to, None);
            planned.parts(piece).into_iter().for_each(|part| gathering.part(part));
            let mut attempts = 1..self.attempts;
            loop {
                match gathering.send(self.socket, 0) {
                    Ok(_one) => {
                        account.called();
                        account.counts.sent_alone = account.counts.sent_alone.wrapping_add(1);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) if is_of_an_earlier_one(&error) && attempts.next().is_some() => continue,
                    Err(error) => self.give_up(run, 1, &error, account, ended),
                }
                break;
            }
        }
    }

    fn give_up(
        &self,
        run: &Run,
        count: u32,
        error: &io::Error,
        account: &mut Account<'_>,
        ended: &mut Ended,
    ) {
        let failure = failure(error);
        account.lost(count, failure);
        if failure == SendFailure::TooLarge {
            ended.oversized = Some((self.to)(&run.way));
        }
    }
}

/// Whether datagrams may pass one by one where their train did not: larger than the path together with its header
/// (`EINVAL`, `EMSGSIZE`), or through a card without checksums (`EIO`).
fn is_about_trains(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::MSGSIZE | Errno::IO | Errno::OPNOTSUPP | Errno::NOPROTOOPT)
    )
}

/// What the kernel means.
pub(crate) fn failure(error: &io::Error) -> SendFailure {
    match Errno::from_io_error(error) {
        Some(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => SendFailure::BufferFull,
        Some(Errno::MSGSIZE) => SendFailure::TooLarge,
        Some(
            Errno::NETUNREACH
            | Errno::HOSTUNREACH
            | Errno::CONNREFUSED
            | Errno::NETDOWN
            | Errno::HOSTDOWN
            | Errno::ADDRNOTAVAIL,
        ) => SendFailure::Unreachable,
        Some(Errno::PERM | Errno::ACCESS) => SendFailure::Forbidden,
        Some(_) | None => SendFailure::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use causeway_turn_core::ListenerId;

    use super::*;
    use crate::io::linux;

    #[test]
    fn the_datagrams_of_a_train_that_the_kernel_refuses_leave_one_by_one() {
        let (socket, peer) = (socket(), socket());
        // Without checksums the kernel cuts nothing (EINVAL).
        linux::set_option(&socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
        let mut failures = SendFailures::default();
        let mut counts = IoCounts::default();
        let mut runs = Runs::new(4, true);
        for answer in [0..2, 2..4, 4..5] {
            plan(&mut runs, peer.local_addr().unwrap(), &answer);
        }
        let planned = Planned { runs: &runs, arena: &Arena::new(), answers: b"aabbc" };
        let call = Call { socket: &socket, attempts: 1, to: Way::destination };
        let mut account = Account { failures: &mut failures, counts: &mut counts };
        let ended = call.send(&mut Senders::new(1, 3), &planned, runs.together(0, 1), &mut account);
        assert_eq!(ended, Ended::default());
        assert_eq!((counts.trains_refused, counts.sent_alone, counts.sent_in_trains), (1, 3, 0));
        let mut buffer = [0; 8];
        for expected in [b"aa".as_slice(), b"bb", b"c"] {
            let length = peer.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected);
        }
        assert_eq!(failures, SendFailures::default());
    }

    #[test]
    fn what_is_too_large_is_lost_and_the_others_leave() {
        let (socket, peer) = (socket(), socket());
        let mut failures = SendFailures::default();
        let mut counts = IoCounts::default();
        let mut runs = Runs::new(4, true);
        let to = peer.local_addr().unwrap();
        for answer in [0..65_535, 0..1, 0..65_535, 0..2] {
            plan(&mut runs, to, &answer);
        }
        let answers = vec![7; 65_535];
        let planned = Planned { runs: &runs, arena: &Arena::new(), answers: &answers };
        let call = Call { socket: &socket, attempts: 1, to: Way::destination };
        let mut account = Account { failures: &mut failures, counts: &mut counts };
        let ended = call.send(&mut Senders::new(4, 4), &planned, runs.together(0, 4), &mut account);
        assert_eq!(ended, Ended { oversized: Some(to), trains_fail: false });
        assert_eq!(failures.of(SendFailure::TooLarge), 2);
        let mut buffer = [0; 8];
        let lengths = [1, 2].map(|_| peer.recv(&mut buffer).unwrap());
        assert_eq!(lengths, [1, 2]);
    }

    fn plan(runs: &mut Runs, to: SocketAddr, answer: &std::ops::Range<usize>) {
        let way = Way::Client { listener: ListenerId(0), to };
        runs.push(&way, None, Place::Answers, answer, 0);
    }

    fn socket() -> UdpSocket {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        UdpSocket::from_std(socket)
    }
}
