//! Real nodes, a real Redis, and everything that can happen to them, against a checker that knows every event.
//!
//! `CAUSEWAY_CHAOS_SEED` repeats the faults of a run, `CAUSEWAY_CHAOS_SECONDS` (60) says how long it takes,
//! `CAUSEWAY_CHAOS_ALOUD=1` with `--nocapture` prints everything that happens in the rooms.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod alone;
mod book;
mod cluster;
mod crowd;
mod doors;
mod fault;
mod health;
mod http;
mod installation;
mod life;
mod line;
mod node;
mod outgoing;
mod plan;
mod proxy;
mod redis;
mod said;
mod scene;
mod socket;
mod storm;
mod wire;

use std::sync::{Mutex, PoisonError};

/// One at a time: each has processes of its own, and promises with times in them.
fn run(test: impl Future<Output = ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let _mine = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

/// From the environment, or drawn.
fn seed() -> u64 {
    match std::env::var("CAUSEWAY_CHAOS_SEED") {
        Ok(seed) => seed.parse().expect("CAUSEWAY_CHAOS_SEED is a number"),
        Err(_) => rand::random(),
    }
}
