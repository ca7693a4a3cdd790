//! Sends on all lanes, receives on all lanes, and measures a span of it.
//!
//! Each half has a core of its own if there are enough, and never sleeps unless it is told to: otherwise the server would
//! pay for waking the generator.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::args::Waiting;
use crate::clock;
use crate::cores::Cores;
use crate::failure::{Doing, Failure};
use crate::histogram::Histogram;
use crate::proc::CpuTime;
use crate::relay::lane::{Lane, Progress};
use crate::relay::receiver::Receiver;
use crate::relay::stamp::Stamp;
use crate::schedule::Schedule;

/// Before the measured span: caches fill, buffers reach their size. A guess.
const WARM_UP: Duration = Duration::from_millis(300);
/// After the last packet was sent, what has not arrived when nothing has arrived for so long is lost.
const DRAIN: Duration = Duration::from_secs(1);
/// A lane whose window is full and where nothing arrives for so long has lost what is on its way. A guess, far above the
/// time that a full buffer of the server's takes.
const GIVE_UP: Duration = Duration::from_millis(100);
/// How fast to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As fast as the server takes it, with so many packets of each lane on their way.
    Window(u64),
    /// So many packets a second on all lanes together, evenly spaced.
    Rate(u64),
}

/// What was seen in the measured span.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// How long it was.
    pub(crate) span: Duration,
    /// Packets that arrived in it.
    pub(crate) delivered: u64,
    /// What the server used in it.
    pub(crate) cpu: CpuTime,
    /// Packets sent and never received, before the span, in it and behind it.
    pub(crate) lost: u64,
    /// Packets sent in all.
    pub(crate) sent: u64,
    /// From handing a packet to the kernel until it was received, in nanoseconds, of those that arrived in the span.
    pub(crate) latency: Histogram,
}

/// Runs the lanes for a warm-up and a span. `used` says what the server has used so far.
pub(crate) fn run(
    lanes: &[Lane],
    burst: usize,
    pace: Pace,
    span: Duration,
    waiting: Waiting,
    cores: Cores,
    used: &dyn Fn() -> Result<CpuTime, Failure>,
) -> Result<Seen, Failure> {
    for lane in lanes {
        for socket in [&lane.from, &lane.to] {
            socket.set_nonblocking(true).doing("making a socket poll")?;
        }
    }
    let flags = Flags::default();
    let receiver = Receiver::new(lanes, &flags.measuring);
    let mut sender = Sender::new(lanes, burst, pace);
    cores.pin_sender()?;
    if cores.one_thread() {
        let mut receiver = receiver;
        let measured = measure(&mut sender, &flags, span, used, &mut || {
            receiver.turn();
        })?;
        return Ok(measured.with(receiver.latency, lanes));
    }
    thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            let mut receiver = receiver;
            // On a machine without that core it runs where it may.
            let _ = cores.pin_receiver();
            while !flags.done.load(Ordering::Relaxed) {
                if receiver.turn() == 0 && waiting == Waiting::Sleeping {
                    receiver.sleep();
                }
            }
            receiver.latency
        });
        let measured = measure(&mut sender, &flags, span, used, &mut || {});
        flags.done.store(true, Ordering::Relaxed);
        let latency = receiving.join().expect("the receiver does not panic");
        Ok(measured?.with(latency, lanes))
    })
}

/// Warm-up, span, drain. `between` is called between two turns of the sender.
fn measure(
    sender: &mut Sender<'_>,
    flags: &Flags,
    span: Duration,
    used: &dyn Fn() -> Result<CpuTime, Failure>,
    between: &mut dyn FnMut(),
) -> Result<Measured, Failure> {
    let lanes = sender.lanes;
    let mut send_until = |end: u64| {
        loop {
            let now = clock::nanoseconds();
            if now >= end {
                return;
            }
            sender.turn(now);
            between();
        }
    };
    send_until(clock::nanoseconds() + clock::of(WARM_UP));
    let (begin, used_before, received_before) = (clock::nanoseconds(), used()?, received(lanes));
    flags.measuring.store(true, Ordering::Relaxed);
    send_until(begin + clock::of(span));
    let (end, used_after, received_after) = (clock::nanoseconds(), used()?, received(lanes));
    flags.measuring.store(false, Ordering::Relaxed);
    let (mut arrived, mut last) = (received(lanes), clock::nanoseconds());
    while lanes.iter().any(|lane| lane.progress.lost() > 0) && clock::nanoseconds() < last + clock::of(DRAIN)
    {
        between();
        let so_far = received(lanes);
        if so_far > arrived {
            (arrived, last) = (so_far, clock::nanoseconds());
        }
    }
    Ok(Measured {
        span: Duration::from_nanos(end - begin),
        delivered: received_after - received_before,
        cpu: used_after.since(used_before),
    })
}

struct Measured {
    span: Duration,
    delivered: u64,
    cpu: CpuTime,
}

impl Measured {
    fn with(self, latency: Histogram, lanes: &[Lane]) -> Seen {
        let Self { span, delivered, cpu } = self;
        let lost = lanes.iter().map(|lane| lane.progress.lost()).sum();
        let sent = lanes.iter().map(|lane| lane.progress.sent.load(Ordering::Relaxed)).sum();
        Seen { span, delivered, cpu, lost, sent, latency }
    }
}

fn received(lanes: &[Lane]) -> u64 {
    lanes.iter().map(|lane| lane.progress.received.load(Ordering::Relaxed)).sum()
}

/// What the measuring thread tells the receiving one.
#[derive(Default)]
struct Flags {
    measuring: AtomicBool,
    done: AtomicBool,
}

/// The sending half.
struct Sender<'l> {
    lanes: &'l [Lane],
    /// For each lane what it sends in one call, and how it stands with its window.
    trains: Vec<Train>,
    burst: u64,
    turns: Turns,
    next_lane: usize,
}

/// What decides when to send.
enum Turns {
    Window(u64),
    Schedule(Schedule),
}

/// Packets in one piece, which the kernel cuts.
struct Train {
    packets: Vec<u8>,
    sent: u64,
    /// Numbers below this have arrived, or are given up.
    settled: u64,
    /// When `settled` last moved.
    moved: u64,
}

impl Train {
    /// Looks at what has arrived and says how many packets are on their way.
    fn in_flight(&mut self, progress: &Progress, now: u64) -> u64 {
        let reached = progress.reached.load(Ordering::Relaxed);
        if reached > self.settled {
            (self.settled, self.moved) = (reached, now);
        } else if now.saturating_sub(self.moved) > clock::of(GIVE_UP) {
            (self.settled, self.moved) = (self.sent, now);
        }
        self.sent.saturating_sub(self.settled)
    }
}

impl<'l> Sender<'l> {
    fn new(lanes: &'l [Lane], burst: usize, pace: Pace) -> Self {
        let now = clock::nanoseconds();
        let turns = match pace {
            Pace::Window(window) => Turns::Window(window),
            Pace::Rate(rate) => Turns::Schedule(Schedule::new(rate, burst as u64)),
        };
        let train =
            |lane: &Lane| Train { packets: lane.packet.repeat(burst), sent: 0, settled: 0, moved: now };
        Self { lanes, trains: lanes.iter().map(train).collect(), burst: burst as u64, turns, next_lane: 0 }
    }

    /// Sends what is due: a burst on each lane whose window has room, or one burst if the schedule says so.
    fn turn(&mut self, now: u64) {
        match &mut self.turns {
            Turns::Window(window) => {
                let window = *window;
                for number in 0..self.lanes.len() {
                    self.fill(number, window);
                }
            }
            Turns::Schedule(schedule) => {
                if schedule.take(now) {
                    self.send(self.next_lane, now);
                    self.next_lane = (self.next_lane + 1) % self.lanes.len();
                }
            }
        }
    }

    fn fill(&mut self, number: usize, window: u64) {
        let (Some(lane), Some(train)) = (self.lanes.get(number), self.trains.get_mut(number)) else { return };
        let now = clock::nanoseconds();
        if train.in_flight(&lane.progress, now) + self.burst <= window {
            self.send(number, now);
        }
    }

    /// Sends one burst. What the kernel does not take is not sent and not counted.
    fn send(&mut self, number: usize, now: u64) {
        let (Some(lane), Some(train)) = (self.lanes.get(number), self.trains.get_mut(number)) else { return };
        for (packet, number) in train.packets.chunks_exact_mut(lane.packet.len()).zip(train.sent..) {
            #[expect(clippy::cast_possible_truncation, reason = "numbers wrap; see Stamp")]
            Stamp { sent: now, number: number as u32 }.write(packet, lane.stamp_at);
        }
        if lane.from.send(&train.packets).is_ok() {
            if train.sent == train.settled {
                train.moved = now;
            }
            train.sent += self.burst;
            lane.progress.sent.store(train.sent, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_opens_when_packets_arrive_and_when_they_are_given_up() {
        let progress = Progress::default();
        let mut train = Train { packets: vec![], sent: 10, settled: 0, moved: 0 };
        assert_eq!(train.in_flight(&progress, 1), 10);
        progress.reached.store(4, Ordering::Relaxed);
        assert_eq!(train.in_flight(&progress, 2), 6);
        let given_up = 3 + clock::of(GIVE_UP);
        assert_eq!(train.in_flight(&progress, given_up), 0);
    }
}
