//! Which ownership of a room something belongs to.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Grows each time a room changes its owner. Of two that claim a room the one with the higher epoch owns it; whatever
/// carries a lower one is refused.
///
/// It fits into a JSON number of any language: it starts from Unix time in milliseconds or from 1, and stays below 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Before the first owner.
    pub const NONE: Self = Self(0);

    /// The next one, saturating.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_number_in_json() {
        assert_eq!(serde_json::to_string(&Epoch(7)).unwrap(), "7");
        assert_eq!(serde_json::from_str::<Epoch>("1800000000000").unwrap(), Epoch(1_800_000_000_000));
    }

    #[test]
    fn it_never_wraps() {
        assert_eq!(Epoch(u64::MAX).next(), Epoch(u64::MAX));
        assert!(Epoch::NONE < Epoch::NONE.next());
    }
}
