//! Carries data from one worker to another whose relayed address it is for.
//!
//! Each ordered pair of workers has a [lane](crate::lane). What does not fit is dropped and counted by whoever sends, as a
//! socket's full buffer would drop it. A worker that sleeps is woken once for all that a pass brought it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use mio::Waker;

use crate::lane::{Full, Reader, Writer, lane};

/// Payload that is on its way to one worker from one other, in bytes: about what Linux gives a socket by default.
const BYTES: usize = 256 << 10;
/// Payload that is on its way to one worker from all others, in bytes, as far as [`LEAST_BYTES`] permits. With what stands
/// beside it that is 3.5 MiB for 4 workers, and 2.3 MiB for each of 32. A guess.
const BYTES_OF_A_WORKER: usize = 2 << 20;
/// The largest datagram fits.
const LEAST_BYTES: usize = 64 << 10;
/// One datagram for so many bytes: those of calls are smaller, those of files larger.
const BYTES_OF_A_DATAGRAM: usize = 512;
/// Datagrams from one worker before the next one's. A guess.
const FROM_ONE: usize = 64;
/// Datagrams that [`Between::receive`] takes at most.
const AT_ONCE: usize = 128;

/// A datagram that has crossed: what was said about it, and where its payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Crossed<M> {
    pub(crate) message: M,
    start: usize,
    end: usize,
}

impl<M> Crossed<M> {
    /// Where the payload is, if the room that it was received into begins at `base`.
    pub(crate) const fn payload(&self, base: usize) -> Range<usize> {
        base + self.start..base + self.end
    }
}

/// The way to another worker.
struct Out<M> {
    lane: Writer<M>,
    /// Something was put in since the other was told.
    untold: bool,
}

/// How a worker is told that something is there.
struct Bell {
    /// It sleeps, or is about to, and has not been woken.
    asleep: AtomicBool,
    waker: Arc<Waker>,
}

/// One worker's part in this.
pub(crate) struct Between<M> {
    worker: usize,
    bells: Arc<[Bell]>,
    /// By worker; none to itself.
    outs: Box<[Option<Out<M>>]>,
    untold: bool,
    ins: Box<[Reader<M>]>,
    /// Who is received from first the next time.
    first: usize,
    crossed: Vec<Crossed<M>>,
}

/// One part for each worker, in the order of their wakers.
pub(crate) fn among<M: Copy>(wakers: &[Arc<Waker>]) -> Vec<Between<M>> {
    let count = wakers.len();
    let bell = |waker: &Arc<Waker>| Bell { asleep: AtomicBool::new(false), waker: Arc::clone(waker) };
    let bells: Arc<[Bell]> = wakers.iter().map(bell).collect();
    let bytes = (BYTES_OF_A_WORKER / count.max(2).saturating_sub(1)).clamp(LEAST_BYTES, BYTES);
    let mut ins: Vec<Vec<Reader<M>>> = wakers.iter().map(|_| Vec::with_capacity(count)).collect();
    let mut outs = Vec::with_capacity(count);
    for from in 0..count {
        let ways = ins.iter_mut().enumerate().map(|(to, ins)| {
            (from != to).then(|| {
                let (writer, reader) = lane(bytes / BYTES_OF_A_DATAGRAM, bytes);
                ins.push(reader);
                Out { lane: writer, untold: false }
            })
        });
        outs.push(ways.collect());
    }
    let parts = ins.into_iter().zip(outs).enumerate();
    parts
        .map(|(worker, (ins, outs))| Between {
            worker,
            bells: Arc::clone(&bells),
            outs,
            untold: false,
            ins: ins.into(),
            first: 0,
            crossed: Vec::with_capacity(AT_ONCE),
        })
        .collect()
}

impl<M: Copy> Between<M> {
    /// Gives a datagram to another worker, which looks at it after the next [`ring`](Self::ring) at the latest.
    pub(crate) fn send(&mut self, to: usize, message: M, payload: &[u8]) -> Result<(), Full> {
        let out = self.outs.get_mut(to).and_then(Option::as_mut).ok_or(Full)?;
        out.lane.push(message, payload)?;
        (out.untold, self.untold) = (true, true);
        Ok(())
    }

    /// Wakes those who sleep and have been given something.
    pub(crate) fn ring(&mut self) {
        if !std::mem::take(&mut self.untold) {
            return;
        }
        // First what was given is visible, then the other's sleep is looked at. The other does it the other way round
        // (`may_sleep`), so that at least one of the two sees what the other did.
        fence(Ordering::SeqCst);
        for (out, bell) in self.outs.iter_mut().zip(self.bells.iter()) {
            let Some(out) = out else { continue };
            if std::mem::take(&mut out.untold) && bell.asleep.swap(false, Ordering::Relaxed) {
                // Not woken, the other finds it with what it receives next.
                let _ = bell.waker.wake();
            }
        }
    }

    /// Whether nothing is there, so that the worker may sleep. Then whoever brings something wakes it.
    pub(crate) fn may_sleep(&self) -> bool {
        self.set_asleep(true);
        fence(Ordering::SeqCst);
        let nothing = self.is_empty();
        if !nothing {
            self.set_asleep(false);
        }
        nothing
    }

    /// The worker is awake, and looks for itself.
    pub(crate) fn wake_up(&self) {
        self.set_asleep(false);
    }

    fn set_asleep(&self, asleep: bool) {
        if let Some(bell) = self.bells.get(self.worker) {
            bell.asleep.store(asleep, Ordering::Relaxed);
        }
    }

    /// Nothing waits to be received.
    pub(crate) fn is_empty(&self) -> bool {
        self.ins.iter().all(Reader::is_empty)
    }

    /// Takes datagrams from the others in turn, their payloads into `room`, one behind the other, and says how many.
    /// `room` has to be large enough for the largest.
    pub(crate) fn receive(&mut self, room: &mut [u8]) -> usize {
        self.crossed.clear();
        let mut start = 0;
        let (later, first) = self.ins.split_at_mut(self.first);
        for lane in first.iter_mut().chain(later) {
            for _ in 0..FROM_ONE.min(AT_ONCE - self.crossed.len()) {
                let free = room.get_mut(start..).unwrap_or_default();
                let Some((message, length)) = lane.pop(free) else { break };
                self.crossed.push(Crossed { message, start, end: start + length });
                start += length;
            }
        }
        // Whoever got nothing, for want of room too, is the first before long.
        self.first = (self.first + 1).checked_rem(self.ins.len()).unwrap_or(0);
        self.crossed.len()
    }

    /// The datagram in this place of those that were received last.
    pub(crate) fn crossed(&self, place: usize) -> Option<Crossed<M>> {
        self.crossed.get(place).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_one_worker_gives_another_arrives_there_and_nowhere_else() {
        let (_poll, mut workers) = workers(3);
        workers[0].send(2, 'a', b"hi").unwrap();
        workers[1].send(2, 'b', b"ho").unwrap();
        assert_eq!(workers[0].send(0, 'x', b""), Err(Full), "there is no way to itself");
        assert_eq!(workers[0].send(3, 'x', b""), Err(Full), "nor to nobody");
        assert!(workers[0].is_empty() && workers[1].is_empty());
        assert_eq!(taken(&mut workers[2]), [('a', b"hi".to_vec()), ('b', b"ho".to_vec())]);
        assert!(workers[2].is_empty());
    }

    #[test]
    fn nobody_is_starved_by_a_worker_that_gives_more() {
        let (_poll, mut workers) = workers(4);
        for _ in 0..3 * FROM_ONE {
            workers[0].send(3, 'a', &[1; 100]).unwrap();
            workers[1].send(3, 'b', &[2; 100]).unwrap();
        }
        workers[2].send(3, 'c', b"once").unwrap();
        let mut round = || taken(&mut workers[3]).into_iter().map(|(message, _)| message).collect::<String>();
        assert_eq!(round(), "a".repeat(FROM_ONE) + &"b".repeat(FROM_ONE));
        assert_eq!(round(), "b".repeat(FROM_ONE) + "c" + &"a".repeat(FROM_ONE - 1));
    }

    #[test]
    fn the_largest_datagram_crosses_among_many_workers() {
        let (_poll, mut workers) = workers(40);
        workers[0].send(39, 'a', &[7; 65_527]).unwrap();
        assert_eq!(taken(&mut workers[39]), [('a', vec![7; 65_527])]);
    }

    #[test]
    fn a_lane_is_full_at_its_bound() {
        let (_poll, mut workers) = workers(2);
        let sent = std::iter::from_fn(|| workers[0].send(1, 'a', &[7; 1024]).ok()).count();
        assert_eq!(sent, BYTES / 1024);
        let received = std::iter::from_fn(|| Some(taken(&mut workers[1])).filter(|taken| !taken.is_empty()));
        assert_eq!(received.flatten().count(), sent);
    }

    #[test]
    fn a_sleeper_is_woken_once_and_whoever_is_awake_is_not() {
        let (mut poll, mut workers) = workers(2);
        workers[0].send(1, 'a', b"").unwrap();
        workers[0].ring();
        assert!(!rings(&mut poll), "it is awake");
        assert!(!workers[1].may_sleep(), "something is there");
        assert_eq!(taken(&mut workers[1]).len(), 1);
        assert!(workers[1].may_sleep());
        workers[0].send(1, 'b', b"").unwrap();
        assert!(!rings(&mut poll), "before the end of the pass");
        workers[0].ring();
        assert!(rings(&mut poll));
        workers[0].send(1, 'c', b"").unwrap();
        workers[0].ring();
        assert!(!rings(&mut poll), "it was told already");
    }

    #[test]
    fn no_worker_sleeps_over_what_was_given_to_it() {
        let poll = mio::Poll::new().unwrap();
        let idle = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        let mut sleeper = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(sleeper.registry(), mio::Token(0)).unwrap());
        let [mut giver, mut taker] = <[_; 2]>::try_from(among(&[idle, waker])).ok().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for message in 0..20_000u32 {
                    while giver.send(1, message, b"") == Err(Full) {
                        std::thread::yield_now();
                    }
                    giver.ring();
                }
            });
            let mut events = mio::Events::with_capacity(1);
            let mut expected = 0;
            while expected < 20_000 {
                if taker.may_sleep() {
                    sleeper.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
                    assert!(!events.is_empty(), "slept over message {expected}");
                }
                taker.wake_up();
                for place in 0..taker.receive(&mut [0; 16]) {
                    assert_eq!(taker.crossed(place).unwrap().message, expected);
                    expected += 1;
                }
            }
        });
    }

    fn workers(count: usize) -> (mio::Poll, Vec<Between<char>>) {
        let poll = mio::Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), mio::Token(0)).unwrap());
        (poll, among(&vec![waker; count]))
    }

    fn taken(worker: &mut Between<char>) -> Vec<(char, Vec<u8>)> {
        let mut room = vec![0; 65_536];
        let count = worker.receive(&mut room);
        let crossed = (0..count).map(|place| worker.crossed(place).unwrap());
        crossed.map(|crossed| (crossed.message, room[crossed.payload(0)].to_vec())).collect()
    }

    fn rings(poll: &mut mio::Poll) -> bool {
        let mut events = mio::Events::with_capacity(1);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        !events.is_empty()
    }
}
