//! What Redis, the network and strangers do to nodes, and what nodes make of it.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

#[path = "../support/mod.rs"]
mod support;

mod away;
mod clocks;
mod hostile;
mod node;
mod proxy;
mod servers;
mod silent;
