//! How a Causeway process starts, reloads and stops: configuration, logs, metrics, health, shutdown.

#![forbid(unsafe_code)]

pub mod clock;
pub mod config;
pub mod health;
pub mod hidden;
pub mod log;
pub mod metrics;
pub mod ops;
pub mod reload;
pub mod reload_signals;
pub mod shutdown;

pub use hidden::Hidden;
