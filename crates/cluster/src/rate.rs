//! Token buckets that all nodes share.

use std::num::NonZeroU32;
use std::time::Duration;

use causeway_protocol::Moment;

/// How fast something may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SharedRate {
    /// How often at once.
    pub burst: NonZeroU32,
    /// How long until one more is free again.
    pub refill: Duration,
}

impl SharedRate {
    /// How long a bucket that was emptied takes to be full again.
    pub(crate) fn whole(&self) -> Duration {
        self.refill.saturating_mul(self.burst.get())
    }

    /// Takes a token from a bucket that will be full at `full_at`: when it will be full then (the generic cell rate algorithm,
    /// ITU-T I.371), or how long until there is a token. `scripts/take.lua` decides the same.
    pub(crate) fn take(&self, full_at: Moment, now: Moment) -> Result<Moment, Duration> {
        let after = full_at.max(now).plus(self.refill);
        let wait = after.since(now.plus(self.whole()));
        if wait.is_zero() { Ok(after) } else { Err(wait) }
    }
}

/// What a bucket said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// There was a token.
    Yes,
    /// There is none.
    No {
        /// How long until there is one.
        retry_after: Duration,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: SharedRate =
        SharedRate { burst: NonZeroU32::new(3).unwrap(), refill: Duration::from_secs(10) };

    #[test]
    fn the_burst_passes_and_then_one_for_each_refill() {
        let mut full_at = at(100);
        for _ in 0..3 {
            full_at = RATE.take(full_at, at(100)).unwrap();
        }
        assert_eq!(RATE.take(full_at, at(100)), Err(Duration::from_secs(10)));
        assert_eq!(RATE.take(full_at, at(104)), Err(Duration::from_secs(6)));
        full_at = RATE.take(full_at, at(110)).unwrap();
        assert_eq!(RATE.take(full_at, at(110)), Err(Duration::from_secs(10)));
    }

    #[test]
    fn a_bucket_holds_no_more_than_the_burst() {
        let mut full_at = at(0);
        for _ in 0..3 {
            full_at = RATE.take(full_at, at(10_000)).unwrap();
        }
        assert!(RATE.take(full_at, at(10_000)).is_err());
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
