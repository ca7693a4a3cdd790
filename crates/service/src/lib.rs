//! How a Causeway process starts and stops: configuration, logs, metrics, health, shutdown.

#![forbid(unsafe_code)]

pub mod clock;
