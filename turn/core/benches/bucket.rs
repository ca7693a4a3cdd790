//! The bucket beside governor's, on the same datagrams in the same run, alone and with four threads on one: read the
//! ratios, not the times.

#![allow(clippy::unwrap_used, reason = "a benchmark's input is its own")]
#![allow(missing_docs, reason = "nothing here is public")]

use std::num::NonZeroU32;
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_turn_core::{Bucket, Rate};
use divan::{Bencher, black_box};
use governor::clock::FakeRelativeClock;
use governor::{Quota, RateLimiter};

const RATE: u32 = 1_000_000_000;
const DATAGRAM: u32 = 1_200;

fn main() {
    divan::main();
}

/// One clock reading a batch, as workers do; it stands still here, and the bucket is large enough not to refuse.
#[divan::bench(threads = [1, 4])]
fn causeway(bencher: Bencher<'_, '_>) {
    let bucket = Bucket::new(Rate::exactly(u64::from(RATE) * 1_000));
    let now = Moment::from_origin(Duration::from_secs(1));
    bencher.bench(|| bucket.take(black_box(DATAGRAM as usize), black_box(now)));
}

#[divan::bench(threads = [1, 4])]
fn governor_with_a_clock_that_stands_still(bencher: Bencher<'_, '_>) {
    let quota = Quota::per_second(NonZeroU32::new(u32::MAX).unwrap());
    let limiter = RateLimiter::direct_with_clock(quota, FakeRelativeClock::default());
    let datagram = NonZeroU32::new(DATAGRAM).unwrap();
    bencher.bench(|| limiter.check_n(black_box(datagram)).is_ok());
}

#[divan::bench(threads = [1, 4])]
fn governor_as_it_comes(bencher: Bencher<'_, '_>) {
    let limiter = RateLimiter::direct(Quota::per_second(NonZeroU32::new(u32::MAX).unwrap()));
    let datagram = NonZeroU32::new(DATAGRAM).unwrap();
    bencher.bench(|| limiter.check_n(black_box(datagram)).is_ok());
}
