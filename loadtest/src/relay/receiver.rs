//! The receiving half of the generator: counts what arrives, and how long it was on its way.

use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::poll::{PollFd, PollFlags, poll};

use crate::clock;
use crate::histogram::Histogram;
use crate::relay::lane::Lane;

/// A sleeping receiver looks up this often, in milliseconds.
const LONGEST_SLEEP: u8 = 50;
/// Receives from one socket before the next one's turn.
const RECEIVES_PER_TURN: usize = 64;
/// The largest datagram, or joined run of them.
const LARGEST: usize = 1 << 16;

/// Takes what arrives on all lanes.
pub(crate) struct Receiver<'l> {
    lanes: &'l [Lane],
    measuring: &'l AtomicBool,
    buffer: Vec<u8>,
    /// Of what arrived while it was measured.
    pub(crate) latency: Histogram,
}

impl<'l> Receiver<'l> {
    pub(crate) fn new(lanes: &'l [Lane], measuring: &'l AtomicBool) -> Self {
        Self { lanes, measuring, buffer: vec![0; LARGEST], latency: Histogram::default() }
    }

    /// Takes what has arrived on each lane, and says how often something had.
    pub(crate) fn turn(&mut self) -> usize {
        let mut arrivals = 0;
        let measuring = self.measuring.load(Ordering::Relaxed);
        for lane in self.lanes {
            for _ in 0..RECEIVES_PER_TURN {
                match lane.to.recv(&mut self.buffer) {
                    Ok(length) => {
                        arrivals += 1;
                        let received = self.buffer.get(..length).unwrap_or_default();
                        count(lane, received, measuring.then_some(&mut self.latency));
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // ICMP about an earlier datagram, which is lost and counted so.
                    Err(_) => {}
                }
            }
        }
        arrivals
    }

    /// Sleeps until something arrives, or a moment: the end of the run is told by a flag.
    pub(crate) fn sleep(&self) {
        let wanted = |lane: &'l Lane| PollFd::new(lane.to.as_fd(), PollFlags::POLLIN);
        let mut sockets: Vec<_> = self.lanes.iter().map(wanted).collect();
        // A signal ends it early, which does no harm.
        let _ = poll(&mut sockets, LONGEST_SLEEP);
    }
}

/// Counts the packets of one receive.
fn count(lane: &Lane, mut received: &[u8], mut latency: Option<&mut Histogram>) {
    let now = clock::nanoseconds();
    let progress = &lane.progress;
    let (mut packets, mut reached) = (0, progress.reached.load(Ordering::Relaxed));
    while let Some((stamp, rest)) = lane.arriving.first(received) {
        received = rest;
        let Some(stamp) = stamp else { continue };
        packets += 1;
        reached = reached.max(unwrap_number(stamp.number, reached) + 1);
        if let Some(latency) = &mut latency {
            latency.record(now.saturating_sub(stamp.sent), 1);
        }
    }
    progress.reached.store(reached, Ordering::Relaxed);
    progress.received.store(progress.received.load(Ordering::Relaxed) + packets, Ordering::Relaxed);
}

/// The number of 64 bits that ends in these 32 and is nearest to `near`.
fn unwrap_number(number: u32, near: u64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "distances wrap on purpose"
    )]
    let ahead = i64::from(number.wrapping_sub(near as u32) as i32);
    near.saturating_add_signed(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_where_their_32_bits_wrap() {
        assert_eq!(unwrap_number(5, 3), 5);
        assert_eq!(unwrap_number(3, 5), 3);
        assert_eq!(unwrap_number(2, 0xFFFF_FFFE), 0x1_0000_0002);
        assert_eq!(unwrap_number(0xFFFF_FFFF, 0x1_0000_0002), 0xFFFF_FFFF);
    }
}
