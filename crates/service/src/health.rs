//! Whether the process lives, and whether it can do its work.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// What a part of the process says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Not yet able to work.
    Starting,
    /// Working.
    Ready,
    /// Takes no new work and finishes the old.
    Draining,
    /// Cannot work.
    Failed,
}

impl Condition {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }
}

/// The conditions of all parts. `/livez` never looks at them: a process that cannot reach something else is
/// not helped by a restart. `/readyz` does.
#[derive(Clone, Debug, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<&'static str, Condition>>>,
}

impl Health {
    /// No parts yet: not ready.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What `part` says of itself from now on.
    pub fn set(&self, part: &'static str, condition: Condition) {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).insert(part, condition);
    }

    /// Whether there are parts and all are ready.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        !parts.is_empty() && parts.values().all(|&condition| condition == Condition::Ready)
    }

    /// One line a part: `relay ready`.
    #[must_use]
    pub fn report(&self) -> String {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.iter().fold(String::new(), |mut lines, (part, condition)| {
            writeln!(lines, "{part} {}", condition.as_str()).expect("a String takes any text");
            lines
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_every_part_is() {
        let health = Health::new();
        assert!(!health.is_ready(), "nothing has started");
        health.set("relay", Condition::Ready);
        health.set("rooms", Condition::Starting);
        assert!(!health.is_ready());
        health.set("rooms", Condition::Ready);
        assert!(health.is_ready());
        health.set("relay", Condition::Draining);
        assert!(!health.is_ready());
        assert_eq!(health.report(), "relay draining\nrooms ready\n");
    }
}
