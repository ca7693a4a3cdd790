//! Which sends leave together: datagrams of one size on one way are one train, whatever was planned in between.
//!
//! Datagrams of one way keep their order. Those of different ways do not, which the network does not promise either.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use causeway_turn_core::{ClientAddr, Header, ListenerId, PeerAddr, RelayPort};

use crate::io::udp::Fragmentation;

/// Datagrams of one train. Linux cuts 64 before 6.9, and 128 since (`UDP_MAX_SEGMENTS`).
const TRAIN: u32 = 64;
/// Bytes of one train. A UDP payload is at most 65,507 bytes over IPv4.
const TRAIN_BYTES: usize = 65_000;
/// Ways that are remembered to be in use. Two that fall on the same place only make shorter trains.
const RECENT: usize = 256;

/// From which of our sockets to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// From a relay socket to a peer.
    Peer { on: RelayPort, to: PeerAddr, fragmentation: Fragmentation },
    /// From a listener's UDP socket to a client.
    Client { listener: ListenerId, to: SocketAddr },
    /// Into a client's connection or DTLS session.
    Session(ClientAddr),
}

/// Where the middle of a datagram is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// In the arena.
    Received(Range<usize>),
    /// Among the outbox's answers.
    Answer(Range<usize>),
}

/// One datagram to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) header: Header,
    pub(crate) body: Body,
    /// Zero bytes at the end.
    pub(crate) padding: u8,
}

/// Datagrams that go one way in one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) way: Way,
    /// The size of each datagram but the last, which may be shorter.
    segment: usize,
    pub(crate) count: u32,
    bytes: usize,
    /// Nothing can follow: the last datagram is shorter.
    closed: bool,
    first: u32,
    last: u32,
}

/// What is planned.
pub(crate) struct Runs {
    runs: Vec<Run>,
    /// In the order they were planned, each with the next of its run.
    pieces: Vec<(Piece, u32)>,
    /// The youngest run of each way, at the place of the way's address; left over from earlier plans, too.
    recent: Box<[u32; RECENT]>,
    longest: u32,
}

const NONE: u32 = u32::MAX;

impl Runs {
    /// With room for so many datagrams. Without `trains` each run is one datagram.
    pub(crate) fn new(capacity: usize, trains: bool) -> Self {
        Self {
            runs: Vec::with_capacity(capacity),
            pieces: Vec::with_capacity(capacity),
            recent: Box::new([NONE; RECENT]),
            longest: if trains { TRAIN } else { 1 },
        }
    }

    /// No trains from now on.
    pub(crate) fn give_up_trains(&mut self) {
        self.longest = 1;
    }

    /// How many datagrams are planned.
    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Plans a datagram.
    #[inline]
    pub(crate) fn push(&mut self, way: Way, piece: Piece) {
        let size = piece.size();
        let Ok(index) = u32::try_from(self.pieces.len()) else { return };
        self.pieces.push((piece, NONE));
        let recent = self.recent.get_mut(place(&way));
        let run = recent.as_deref().and_then(|run| self.runs.get_mut(*run as usize));
        if let Some(run) = run
            && run.takes(&way, size, self.longest)
        {
            if let Some((_, next)) = self.pieces.get_mut(run.last as usize) {
                *next = index;
            }
            run.last = index;
            run.count += 1;
            run.bytes += size;
            run.closed = size < run.segment;
            return;
        }
        if let (Some(recent), Ok(youngest)) = (recent, u32::try_from(self.runs.len())) {
            *recent = youngest;
        }
        let closed = size == 0;
        self.runs.push(Run { way, segment: size, count: 1, bytes: size, closed, first: index, last: index });
    }

    /// The runs from `first` on that leave by the same socket, at most `most` of them.
    pub(crate) fn together(&self, first: usize, most: usize) -> &[Run] {
        let rest = self.runs.get(first..).unwrap_or_default();
        let Some(head) = rest.first() else { return rest };
        let count = rest.iter().take(most).take_while(|run| run.way.shares_socket(&head.way)).count();
        rest.get(..count.max(1)).unwrap_or_default()
    }

    /// The datagrams of a run.
    pub(crate) fn pieces(&self, run: &Run) -> impl Iterator<Item = &Piece> {
        let mut next = run.first;
        std::iter::from_fn(move || {
            let (piece, following) = self.pieces.get(next as usize)?;
            next = *following;
            Some(piece)
        })
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.pieces.clear();
    }
}

impl Run {
    /// Where the kernel is to cut, if there is more than one datagram.
    pub(crate) fn train(&self) -> Option<u16> {
        u16::try_from(self.segment).ok().filter(|_| self.count > 1)
    }

    #[inline]
    fn takes(&self, way: &Way, size: usize, longest: u32) -> bool {
        !self.closed
            && self.count < longest
            // A train cannot end with an empty datagram: nothing would be left to cut.
            && (1..=self.segment).contains(&size)
            && self.bytes + size <= TRAIN_BYTES
            && self.way == *way
    }
}

impl Piece {
    fn size(&self) -> usize {
        let (Body::Received(body) | Body::Answer(body)) = &self.body;
        self.header.as_bytes().len() + body.len() + usize::from(self.padding)
    }
}

impl Way {
    /// Whose address is at its end.
    pub(crate) fn destination(&self) -> SocketAddr {
        match self {
            Self::Peer { to, .. } => to.socket(),
            Self::Client { to, .. } => *to,
            Self::Session(client) => client.source,
        }
    }

    /// Whether one call can send both ways.
    fn shares_socket(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Peer { on, fragmentation, .. },
                Self::Peer { on: other_on, fragmentation: other_fragmentation, .. },
            ) => on.slot == other_on.slot && fragmentation == other_fragmentation,
            (Self::Client { listener, .. }, Self::Client { listener: other, .. }) => listener == other,
            (Self::Session(_) | Self::Peer { .. } | Self::Client { .. }, _) => false,
        }
    }
}

/// Where a way is in [`Runs::recent`]. Whoever chooses addresses that collide gets shorter trains and nothing else.
#[inline]
fn place(way: &Way) -> usize {
    let to = way.destination();
    let socket = match way {
        Way::Peer { on, .. } => on.slot,
        Way::Client { listener, .. } => u32::from(listener.0),
        Way::Session(_) => 0,
    };
    let ip = match to.ip() {
        IpAddr::V4(v4) => v4.to_bits(),
        IpAddr::V6(v6) => {
            let bits = v6.to_bits();
            // The network and the host in it.
            #[expect(clippy::cast_possible_truncation, reason = "parts of it are what is wanted")]
            let folded = (bits as u32) ^ ((bits >> 64) as u32);
            folded
        }
    };
    // Multiplying by an odd number moves every bit up: Knuth's golden ratio.
    let mixed = (ip ^ u32::from(to.port()).rotate_left(16) ^ socket).wrapping_mul(0x9E37_79B1);
    (mixed >> 24) as usize % RECENT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_of_one_size_on_one_way_leave_together_whatever_is_between() {
        check(
            &[(1, 100), (2, 100), (1, 100), (2, 100), (1, 100)],
            &[(1, &[100, 100, 100]), (2, &[100, 100])],
        );
    }

    #[test]
    fn a_shorter_one_ends_its_train_and_a_longer_one_begins_another() {
        check(&[(1, 100), (1, 60), (1, 60), (1, 100)], &[(1, &[100, 60]), (1, &[60]), (1, &[100])]);
    }

    #[test]
    fn an_empty_one_goes_alone() {
        check(&[(1, 100), (1, 0), (1, 0), (1, 100)], &[(1, &[100]), (1, &[0]), (1, &[0]), (1, &[100])]);
    }

    #[test]
    fn a_train_has_no_more_than_the_kernel_cuts() {
        let many = vec![(1, 10); 100];
        check(&many, &[(1, &[10; 64]), (1, &[10; 36])]);
        let large = vec![(1, 30_000); 3];
        check(&large, &[(1, &[30_000; 2]), (1, &[30_000])]);
    }

    #[test]
    fn without_trains_all_go_alone() {
        let mut runs = Runs::new(4, true);
        runs.give_up_trains();
        for _ in 0..2 {
            runs.push(way(1), piece(100));
        }
        assert_eq!(runs.together(0, 8).len(), 2);
    }

    #[test]
    fn what_was_planned_before_is_forgotten() {
        let mut runs = Runs::new(4, true);
        runs.push(way(2), piece(100));
        runs.push(way(1), piece(100));
        runs.clear();
        runs.push(way(1), piece(100));
        runs.push(way(1), piece(100));
        assert_eq!(runs.together(0, 8).iter().map(|run| run.count).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn one_call_serves_one_socket() {
        let mut runs = Runs::new(4, true);
        let peer = |slot, port| Way::Peer {
            on: RelayPort { slot, address: SocketAddr::from(([192, 0, 2, 9], 50_000)) },
            to: PeerAddr::new(SocketAddr::from(([192, 0, 2, 1], port))),
            fragmentation: Fragmentation::Allowed,
        };
        let session = Way::Session(ClientAddr {
            source: SocketAddr::from(([192, 0, 2, 3], 5)),
            listener: ListenerId(0),
            via: causeway_turn_core::Via::Udp,
        });
        for way in [way(1), way(2), peer(1, 1), peer(1, 2), peer(2, 1), session, session] {
            runs.push(way, piece(7));
        }
        let mut calls = Vec::new();
        let mut first = 0;
        while !runs.together(first, 8).is_empty() {
            calls.push(runs.together(first, 8).len());
            first += runs.together(first, 8).len();
        }
        assert_eq!(calls, [2, 2, 1, 1]);
        assert_eq!(runs.together(0, 1).len(), 1);
    }

    /// Plans datagrams of these sizes to clients on these ports and compares the trains.
    fn check(planned: &[(u16, usize)], expected: &[(u16, &[usize])]) {
        let mut runs = Runs::new(4, true);
        for (port, size) in planned {
            runs.push(way(*port), piece(*size));
        }
        let found: Vec<(Way, Vec<usize>)> = runs
            .together(0, usize::MAX)
            .iter()
            .map(|run| (run.way, runs.pieces(run).map(Piece::size).collect()))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(port, sizes)| (way(*port), sizes.to_vec())).collect();
        assert_eq!(found, expected);
    }

    fn way(port: u16) -> Way {
        Way::Client { listener: ListenerId(0), to: SocketAddr::from(([192, 0, 2, 1], port)) }
    }

    fn piece(size: usize) -> Piece {
        Piece { header: Header::EMPTY, body: Body::Received(0..size), padding: 0 }
    }
}
