//! The one place that reads the clocks. Everything else is told the time.

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use causeway_protocol::{Moment, Now, UnixSeconds};

static ORIGIN: OnceLock<Instant> = OnceLock::new();

/// The time, on both clocks. Moments count from the first call in this process.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn now() -> Now {
    let origin = *ORIGIN.get_or_init(Instant::now);
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    Now { moment: Moment::from_origin(origin.elapsed()), unix: UnixSeconds(unix.as_secs()) }
}

/// A moment as the standard library's type, for libraries that are told the time that way.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
pub fn instant(moment: Moment) -> Instant {
    *ORIGIN.get_or_init(Instant::now) + moment.since_origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_never_go_back() {
        let earlier = now();
        let later = now();
        assert!(later.moment >= earlier.moment);
    }

    #[test]
    fn an_instant_is_as_far_from_another_as_their_moments() {
        let earlier = now().moment;
        let later = earlier.plus(Duration::from_secs(7));
        assert_eq!(instant(later) - instant(earlier), Duration::from_secs(7));
    }

    #[test]
    fn the_wall_clock_is_in_this_century() {
        assert!(now().unix > UnixSeconds(1_700_000_000));
    }
}
