//! Everything within one process: the Bus and the cluster of a single process, and several nodes for tests.

mod bus;
mod hub;
mod node;

pub use bus::MemoryBus;
pub use hub::MemoryHub;
pub use node::MemoryCluster;
