//! A token bucket of bytes that threads share: three atomics, no lock, no division per datagram.
//!
//! The bucket keeps the moment at which all that was taken will be paid for. Taking moves that moment on by the price of
//! the bytes; a bucket that is in debt for longer than the burst gives nothing. So nothing has to be refilled, and a new
//! rate applies at once, without a jump.
//!
//! ```text
//!        now                 paid for              now + burst
//! ────────┼──────────────────────┼──────────────────────┼────────► time
//!         │◄──── was taken ─────►│◄── may be taken ────►│
//! ```

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use causeway_protocol::Moment;

/// Ticks in a nanosecond: fine enough that at 10 GB/s the price of 100 bytes is right to 1 %, coarse enough for 36 years.
const TICKS_PER_NANO: u64 = 16;
const TICKS_PER_SECOND: u64 = 1_000_000_000 * TICKS_PER_NANO;
/// Bits behind the point of a price.
const FRACTION: u32 = 20;

/// What may be taken at once after a pause, as time of the rate. A guess: workers read the clock once a batch, which lasts
/// some milliseconds under load; and over five seconds a full bucket adds 1 %.
const BURST: Duration = Duration::from_millis(50);
/// But at least so many bytes: a video key frame's packets leave at once. A guess; it counts below 640 KB/s.
const MIN_BURST_BYTES: u64 = 32 * 1024;

/// A price that says: nothing passes.
const CLOSED: u64 = u64::MAX;

/// A rate in bytes per second that holds for all who share the bucket. `Relaxed` throughout: the numbers say nothing about other memory, and a
/// change of the rate that is seen a datagram later is as good.
#[derive(Debug)]
pub struct Bucket {
    /// Ticks per byte, with a binary fraction; 0: no limit.
    price: AtomicU64,
    /// Ticks.
    burst: AtomicU64,
    /// Ticks since the clock's origin.
    paid: AtomicU64,
}

/// Bytes per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rate(u64);

impl Rate {
    /// No limit.
    pub const UNLIMITED: Self = Self(u64::MAX);

    /// Exactly this; 0 lets nothing pass.
    #[must_use]
    pub const fn exactly(bytes_per_second: u64) -> Self {
        Self(bytes_per_second)
    }

    /// As settings say it: 0 is no limit.
    #[must_use]
    pub const fn of_setting(bytes_per_second: u64) -> Self {
        if bytes_per_second == 0 { Self::UNLIMITED } else { Self(bytes_per_second) }
    }

    /// [`Rate::UNLIMITED`] is the highest.
    #[must_use]
    pub const fn bytes_per_second(self) -> u64 {
        self.0
    }

    fn price(self) -> u64 {
        match self {
            Self::UNLIMITED => 0,
            Self(0) => CLOSED,
            Self(rate) => (TICKS_PER_SECOND << FRACTION).checked_div(rate).unwrap_or(CLOSED).max(1),
        }
    }

    fn burst(self) -> u64 {
        let least = MIN_BURST_BYTES.saturating_mul(TICKS_PER_SECOND).checked_div(self.0).unwrap_or(0);
        ticks(BURST).max(least)
    }
}

impl Bucket {
    /// Full.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self {
            price: AtomicU64::new(rate.price()),
            burst: AtomicU64::new(rate.burst()),
            paid: AtomicU64::new(0),
        }
    }

    /// From here on this rate. What was taken stays to be paid for as long as before.
    pub fn set_rate(&self, rate: Rate) {
        self.burst.store(rate.burst(), Ordering::Relaxed);
        self.price.store(rate.price(), Ordering::Relaxed);
    }

    /// Takes the bytes; `false`: too early, and nothing is taken. The last datagram of a burst may be paid for
    /// afterwards, so that the longest one passes at any rate.
    pub fn take(&self, bytes: usize, now: Moment) -> bool {
        let price = self.price.load(Ordering::Relaxed);
        if price == 0 {
            return true;
        }
        if price == CLOSED {
            return false;
        }
        let cost = cost(bytes, price);
        let now = ticks(now.since_origin());
        let latest = now.saturating_add(self.burst.load(Ordering::Relaxed));
        self.paid
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |paid| {
                (paid < latest).then(|| paid.max(now).saturating_add(cost))
            })
            .is_ok()
    }
}

fn cost(bytes: usize, price: u64) -> u64 {
    let cost = u128::from(price).saturating_mul(bytes as u128) >> FRACTION;
    u64::try_from(cost).unwrap_or(u64::MAX)
}

fn ticks(duration: Duration) -> u64 {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    nanos.saturating_mul(TICKS_PER_NANO)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const MB: u64 = 1_000_000;

    #[test]
    fn five_seconds_at_a_rate_pass_as_many_bytes_as_it_says() {
        for rate in [MB, 10 * MB, 100 * MB] {
            for bytes in [160, 1_200, 65_000] {
                check(rate, passed(&Bucket::new(Rate::exactly(rate)), 2 * rate, bytes, 1), "one worker");
            }
        }
    }

    #[test]
    fn workers_that_read_the_clock_at_different_times_share_one_rate() {
        for rate in [MB, 10 * MB, 100 * MB] {
            let bucket = Bucket::new(Rate::exactly(rate));
            check(rate, passed(&bucket, 2 * rate, 1_200, 4), "four workers in turn");
        }
    }

    #[test]
    fn threads_that_take_at_once_share_one_rate() {
        for rate in [MB, 10 * MB, 100 * MB] {
            let bucket = Bucket::new(Rate::exactly(rate));
            // Each thread plays the same five seconds, a step together: the clock goes on when all are through.
            let steps = std::sync::Barrier::new(4);
            let total = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for step in 0..500 {
                            let now = at_micros(step * 10_000);
                            let offered = usize::try_from(rate / 100).unwrap() / 1_200 + 1;
                            let passed = (0..offered).filter(|_| bucket.take(1_200, now)).count();
                            total.fetch_add(passed * 1_200, Ordering::Relaxed);
                            steps.wait();
                        }
                    });
                }
            });
            check(rate, total.into_inner() as u64, "four threads");
        }
    }

    #[test]
    fn who_stays_below_the_rate_loses_nothing() {
        let bucket = Bucket::new(Rate::exactly(MB));
        // 0.99 MB/s in batches of 20 ms.
        let kept = (0..250).all(|batch| {
            let now = at_micros(batch * 20_000);
            (0..15).all(|_| bucket.take(1_320, now))
        });
        assert!(kept);
    }

    #[test]
    fn a_pause_earns_one_burst_and_no_more() {
        let bucket = Bucket::new(Rate::exactly(10 * MB));
        let now = at_micros(3_600_000_000);
        let burst = (0..10_000).filter(|_| bucket.take(1_000, now)).count();
        assert_eq!(burst, 500);
    }

    #[test]
    fn a_slow_bucket_passes_the_longest_datagram() {
        let bucket = Bucket::new(Rate::exactly(1));
        assert!(bucket.take(65_535, at_micros(0)));
        assert!(!bucket.take(1, at_micros(30_000_000)));
    }

    #[test]
    fn a_new_rate_holds_at_once() {
        let bucket = Bucket::new(Rate::exactly(100 * MB));
        passed(&bucket, 200 * MB, 1_200, 1);
        bucket.set_rate(Rate::exactly(MB));
        let later: u64 = (500..1_000)
            .map(|step| (0..100).filter(|_| bucket.take(1_200, at_micros(step * 10_000))).count() as u64)
            .sum();
        check(MB, later * 1_200, "after the change");
    }

    #[test]
    fn no_limit_is_none_and_a_rate_of_zero_is_nothing() {
        let bucket = Bucket::new(Rate::of_setting(0));
        assert!((0..1_000_000).all(|_| bucket.take(65_535, at_micros(0))));
        bucket.set_rate(Rate::exactly(0));
        assert!(!bucket.take(1, at_micros(1_000_000)));
    }

    /// Offers more than the rate for five seconds, in batches of 2 ms of one worker after the other; what passed.
    fn passed(bucket: &Bucket, offered_per_second: u64, bytes: usize, workers: u64) -> u64 {
        let mut owed = 0;
        let mut passed = 0;
        for batch in 0..2_500 {
            owed += offered_per_second / 500;
            // Another worker's clock is up to a batch behind.
            let now = at_micros(batch * 2_000 + (workers - batch % workers) * 500);
            while owed >= bytes as u64 {
                owed -= bytes as u64;
                passed += if bucket.take(bytes, now) { bytes as u64 } else { 0 };
            }
        }
        passed
    }

    #[track_caller]
    fn check(rate: u64, passed: u64, what: &str) {
        let off = passed.abs_diff(5 * rate) as f64 / (5 * rate) as f64;
        assert!(off < 0.03, "{what}: {passed} bytes in 5 s at {rate}, {:.1} % off", off * 100.0);
    }

    fn at_micros(micros: u64) -> Moment {
        Moment::from_origin(Duration::from_micros(micros))
    }
}
