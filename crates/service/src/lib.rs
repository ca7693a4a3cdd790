//! How a Causeway process starts and stops: config, tracing, metrics, health, shutdown.
