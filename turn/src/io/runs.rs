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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the arena.
    Received,
    /// Among the outbox's answers.
    Answers,
}

/// One datagram to send. There are as many as a pass has datagrams, so each is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    start: u32,
    end: u32,
    /// Which of the headers is in front, if one is.
    header: u32,
    /// The next of its run.
    next: u32,
    place: Place,
    /// Zero bytes at the end.
    padding: u8,
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
    /// In the order they were planned.
    pieces: Vec<Piece>,
    headers: Vec<Header>,
    /// The youngest run of each way, at the place of the way's address; left over from earlier plans, too.
    recent: Box<[u32; RECENT]>,
    longest: u32,
    /// The run that grew last.
    youngest: u32,
}

const NONE: u32 = u32::MAX;

impl Runs {
    /// With room for so many datagrams. Without `trains` each run is one datagram.
    pub(crate) fn new(capacity: usize, trains: bool) -> Self {
        Self {
            runs: Vec::with_capacity(capacity),
            pieces: Vec::with_capacity(capacity),
            headers: Vec::with_capacity(capacity),
            recent: Box::new([NONE; RECENT]),
            longest: if trains { TRAIN } else { 1 },
            youngest: NONE,
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

    /// Plans a datagram: what is at `body` in its place, a header in front of it, and so many zero bytes behind.
    #[inline]
    pub(crate) fn push(
        &mut self,
        way: &Way,
        header: Option<&Header>,
        place: Place,
        body: &Range<usize>,
        padding: u8,
    ) {
        let (Ok(start), Ok(end)) = (u32::try_from(body.start), u32::try_from(body.end)) else { return };
        let (Ok(index), Ok(run)) = (u32::try_from(self.pieces.len()), u32::try_from(self.runs.len())) else {
            return;
        };
        let size = header.map_or(0, |header| header.as_bytes().len()) + body.len() + usize::from(padding);
        let header = header.map_or(NONE, |header| {
            self.headers.push(*header);
            u32::try_from(self.headers.len() - 1).unwrap_or(NONE)
        });
        self.pieces.push(Piece { start, end, header, next: NONE, place, padding });
        let Some(recent) = self.recent.get_mut(place_of(way)) else { return };
        self.youngest = *recent;
        if let Some(run) = self.runs.get_mut(*recent as usize)
            && run.takes(way, size, self.longest)
        {
            if let Some(last) = self.pieces.get_mut(run.last as usize) {
                last.next = index;
            }
            run.last = index;
            run.count += 1;
            run.bytes += size;
            run.closed = size < run.segment;
            return;
        }
        *recent = run;
        self.youngest = run;
        let closed = size == 0;
        self.runs.push(Run {
            way: *way,
            segment: size,
            count: 1,
            bytes: size,
            closed,
            first: index,
            last: index,
        });
    }

    /// Whether a body of this length can join the datagram that was planned last, with the same header.
    #[inline]
    pub(crate) fn takes_another(&self, length: usize) -> bool {
        let (Some(run), Some(last)) = (self.runs.get(self.youngest as usize), self.pieces.last()) else {
            return false;
        };
        last.place == Place::Received
            && last.padding == 0
            && length == (last.end - last.start) as usize
            && run.has_room(run.segment, self.longest)
    }

    /// Plans a body like the last one's; [`Self::takes_another`] has to have said so.
    #[inline]
    pub(crate) fn push_another(&mut self, body: &Range<usize>) {
        let (Ok(start), Ok(end)) = (u32::try_from(body.start), u32::try_from(body.end)) else { return };
        let Ok(index) = u32::try_from(self.pieces.len()) else { return };
        let (Some(run), Some(last)) = (self.runs.get_mut(self.youngest as usize), self.pieces.last_mut())
        else {
            return;
        };
        let piece = Piece { start, end, next: NONE, ..*last };
        last.next = index;
        run.last = index;
        run.count += 1;
        run.bytes += run.segment;
        self.pieces.push(piece);
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
            let piece = self.pieces.get(next as usize)?;
            next = piece.next;
            Some(piece)
        })
    }

    /// What is in front of a datagram's body.
    pub(crate) fn header(&self, piece: &Piece) -> &[u8] {
        self.headers.get(piece.header as usize).map_or(&[], Header::as_bytes)
    }

    /// Forgets all.
    pub(crate) fn clear(&mut self) {
        self.youngest = NONE;
        self.runs.clear();
        self.pieces.clear();
        self.headers.clear();
    }
}

impl Run {
    /// Where the kernel is to cut, if there is more than one datagram.
    pub(crate) fn train(&self) -> Option<u16> {
        u16::try_from(self.segment).ok().filter(|_| self.count > 1)
    }

    #[inline]
    fn takes(&self, way: &Way, size: usize, longest: u32) -> bool {
        self.has_room(size, longest) && self.way == *way
    }

    #[inline]
    fn has_room(&self, size: usize, longest: u32) -> bool {
        !self.closed
            && self.count < longest
            // A train cannot end with an empty datagram: nothing would be left to cut.
            && (1..=self.segment).contains(&size)
            && self.bytes + size <= TRAIN_BYTES
    }
}

impl Piece {
    /// Where its body is.
    pub(crate) fn body(&self) -> (Place, Range<usize>) {
        (self.place, self.start as usize..self.end as usize)
    }

    /// Zero bytes at its end.
    pub(crate) fn padding(&self) -> usize {
        usize::from(self.padding)
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
fn place_of(way: &Way) -> usize {
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
    fn header_and_padding_count() {
        let mut runs = Runs::new(4, true);
        runs.push(&way(1), None, Place::Received, &(0..51), 0);
        let mut header = Header::EMPTY;
        header.extend(&[7; 48]);
        runs.push(&way(1), Some(&header), Place::Answers, &(3..4), 2);
        let [run] = runs.together(0, 8) else { panic!("one run") };
        assert_eq!((run.count, run.train()), (2, Some(51)));
        let pieces: Vec<_> =
            runs.pieces(run).map(|piece| (runs.header(piece).len(), piece.body(), piece.padding())).collect();
        assert_eq!(pieces, [(0, (Place::Received, 0..51), 0), (48, (Place::Answers, 3..4), 2)]);
    }

    #[test]
    fn another_like_the_last_has_its_header_and_its_way() {
        let mut runs = Runs::new(4, true);
        let mut header = Header::EMPTY;
        header.extend(&[7; 4]);
        runs.push(&way(1), Some(&header), Place::Received, &(0..50), 0);
        push(&mut runs, way(2), 50);
        runs.push(&way(1), Some(&header), Place::Received, &(50..100), 0);
        assert!(runs.takes_another(50));
        runs.push_another(&(100..150));
        assert!(!runs.takes_another(49));
        let [one, two] = runs.together(0, 8) else { panic!("two runs") };
        assert_eq!((one.count, one.train(), two.count), (3, Some(54), 1));
        let pieces: Vec<_> =
            runs.pieces(one).map(|piece| (runs.header(piece), piece.body().1, piece.padding())).collect();
        assert_eq!(pieces, [0..50, 50..100, 100..150].map(|body| (&[7; 4][..], body, 0)));
    }

    #[test]
    fn there_is_no_other_after_an_answer_a_full_train_a_shorter_one_or_nothing() {
        let mut runs = Runs::new(4, true);
        assert!(!runs.takes_another(10));
        runs.push(&way(1), None, Place::Answers, &(0..10), 0);
        assert!(!runs.takes_another(10));
        push(&mut runs, way(2), 10);
        push(&mut runs, way(2), 9);
        assert!(!runs.takes_another(9));
        push(&mut runs, way(3), 30_000);
        assert!(runs.takes_another(30_000));
        runs.push_another(&(0..30_000));
        assert!(!runs.takes_another(30_000));
        push(&mut runs, way(4), 10);
        runs.clear();
        assert!(!runs.takes_another(10));
        runs.give_up_trains();
        push(&mut runs, way(1), 10);
        assert!(!runs.takes_another(10));
    }

    #[test]
    fn without_trains_all_go_alone() {
        let mut runs = Runs::new(4, true);
        runs.give_up_trains();
        for _ in 0..2 {
            push(&mut runs, way(1), 100);
        }
        assert_eq!(runs.together(0, 8).len(), 2);
    }

    #[test]
    fn what_was_planned_before_is_forgotten() {
        let mut runs = Runs::new(4, true);
        push(&mut runs, way(2), 100);
        push(&mut runs, way(1), 100);
        runs.clear();
        push(&mut runs, way(1), 100);
        push(&mut runs, way(1), 100);
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
            push(&mut runs, way, 7);
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
            push(&mut runs, way(*port), *size);
        }
        let found: Vec<(Way, Vec<usize>)> = runs
            .together(0, usize::MAX)
            .iter()
            .map(|run| (run.way, runs.pieces(run).map(|piece| piece.body().1.len()).collect()))
            .collect();
        let expected: Vec<_> = expected.iter().map(|(port, sizes)| (way(*port), sizes.to_vec())).collect();
        assert_eq!(found, expected);
    }

    fn way(port: u16) -> Way {
        Way::Client { listener: ListenerId(0), to: SocketAddr::from(([192, 0, 2, 1], port)) }
    }

    fn push(runs: &mut Runs, way: Way, size: usize) {
        runs.push(&way, None, Place::Received, &(0..size), 0);
    }
}
