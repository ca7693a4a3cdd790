//! Time as the wire carries it, and as pure code is told it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Seconds since the Unix epoch (the unit of a JWT's `exp`, RFC 7519 §2 NumericDate).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct UnixSeconds(pub u64);

impl UnixSeconds {
    /// This moment and `seconds` more, saturating.
    #[must_use]
    pub const fn plus(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// How many seconds `self` lies after `earlier`; 0 if it does not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// A monotonic moment: how long after an origin that the process chose at its start. It never jumps when the
/// wall clock is set. Only moments of one process can be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(Duration);

impl Moment {
    /// The moment `since_origin` after the origin.
    #[must_use]
    pub const fn from_origin(since_origin: Duration) -> Self {
        Self(since_origin)
    }

    /// How long after the origin.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }

    /// This moment and `duration` more, saturating.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// How long `self` lies after `earlier`; zero if it does not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The time, read once a turn by a shell and passed into pure code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// For durations and timers.
    pub moment: Moment,
    /// For what carries an expiry date.
    pub unix: UnixSeconds,
}

impl Now {
    /// The time `duration` later, on both clocks: how tests let time pass.
    #[must_use]
    pub const fn plus(self, duration: Duration) -> Self {
        Self { moment: self.moment.plus(duration), unix: self.unix.plus(duration.as_secs()) }
    }
}
