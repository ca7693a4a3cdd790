//! How this crate is told the time.

use std::sync::Arc;

use causeway_protocol::Now;

/// Reads the clocks. The wall clock is asked for expiry dates only; leases and owners never depend on it.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;
