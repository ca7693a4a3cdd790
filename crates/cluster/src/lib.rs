//! How the nodes of one installation find one another, share rooms, and tell one another things.
//!
//! - [`Cluster`]: live nodes, who owns which room, reliable mail from node to node, what is kept of rooms, limits that hold for all.
//! - [`Bus`]: topics that every process hears, relays too. It loses messages rather than block or grow: a subscriber that
//!   falls behind is told so by [`Delivery::Gap`] and asks again for what it needs.
//!
//! [`MemoryHub`] and [`MemoryBus`] join the parts of one process, [`RedisCluster`] and [`RedisBus`] those of many.

#![forbid(unsafe_code)]

mod bus;
mod clock;
mod cluster;
mod disk;
mod link;
mod mail;
mod memory;
mod metrics;
mod nodes;
mod ownership;
mod rate;
mod records;
mod redis;
mod seal;

pub use bus::{Bus, Delivery, PublishError, Subscription, Topic};
pub use cluster::{BoxFuture, Cluster, ClusterError};
pub use disk::{DiskError, DiskRecords};
pub use mail::{Arrival, LONGEST_LETTER, MOST_BYTES, MOST_LETTERS, Mailbox, PostError};
pub use memory::{MemoryBus, MemoryCluster, MemoryHub};
pub use nodes::{Connection, Lease, NodeFacts, Nodes};
pub use ownership::{Claim, HandOverError, Owner, Standing};
pub use rate::{SharedRate, Taken};
pub use records::{MemoryRecords, Record, Records, SaveError, Written};
pub use redis::{LeaseTimes, Redis, RedisBus, RedisCluster, RedisUrl, RedisUrlError};
