//! Nodes that share a Redis: commands on one connection, subscriptions on another.
//!
//! Redis loses nothing of ours that matters when it is restarted empty: leases and owners are written anew, letters are sent
//! again, and the Bus says that it has a gap. What it keeps for good are the records of rooms.

mod address;
mod bus;
mod cluster;
mod commands;
mod keys;
mod lease;
mod line;
mod listener;
mod mail;
mod rooms;

use std::sync::Arc;

use causeway_protocol::{NodeId, Now};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::metrics;
use commands::Commands;
use listener::Listener;

pub use address::{RedisUrl, RedisUrlError};
pub use bus::RedisBus;
pub use cluster::RedisCluster;
pub use lease::LeaseTimes;

/// A Redis that this process is connected with, or tries to be.
pub struct Redis {
    node: NodeId,
    clock: Clock,
    commands: Arc<Commands>,
    listener: Listener,
}

impl Redis {
    /// Begins to connect, and never ceases to try. Wants a tokio runtime around it.
    #[must_use]
    pub fn connect(
        url: RedisUrl,
        node: NodeId,
        clock: impl Fn() -> Now + Send + Sync + 'static,
    ) -> Arc<Self> {
        metrics::describe();
        let clock: Clock = Arc::new(clock);
        let commands = Arc::new(Commands::new(url.clone(), Arc::clone(&clock)));
        let listener = Listener::start(url, keys::probes(&node), Arc::clone(&commands), Arc::clone(&clock));
        Arc::new(Self { node, clock, commands, listener })
    }

    /// Whether Redis brings what other processes say.
    #[must_use]
    pub fn listening(&self) -> watch::Receiver<bool> {
        self.listener.listening()
    }
}
