//! The one place of this tool that reads a clock: a load generator is told nothing by anybody, it measures.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since the first call in this process; the same for all threads, and never going back.
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub(crate) fn nanoseconds() -> u64 {
    let origin = *ORIGIN.get_or_init(Instant::now);
    u64::try_from(origin.elapsed().as_nanos()).expect("a process that lives less than 584 years")
}

/// A duration as this clock counts it.
pub(crate) fn of(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
