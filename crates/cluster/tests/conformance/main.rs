//! What every implementation of `Cluster` and `Bus` promises, checked against each of them.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

#[path = "../support/mod.rs"]
mod support;

mod bus;
mod installation;
mod mail;
mod nodes;
mod ownership;
mod rate;
mod records;
