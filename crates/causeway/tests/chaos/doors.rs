//! Where clients reach the nodes: a load balancer that knows addresses and not who is well.

use std::net::SocketAddr;
use std::sync::Mutex;

use rand::RngExt;
use rand::rngs::StdRng;

/// The nodes' addresses for clients. A restarted node has another one.
#[derive(Default)]
pub struct Doors {
    addresses: Mutex<Vec<SocketAddr>>,
}

impl Doors {
    pub fn set(&self, node: usize, address: SocketAddr) {
        let mut addresses = self.addresses.lock().unwrap();
        if addresses.len() <= node {
            addresses.resize(node + 1, address);
        }
        addresses[node] = address;
    }

    pub fn of(&self, node: usize) -> SocketAddr {
        self.addresses.lock().unwrap()[node]
    }

    pub fn count(&self) -> usize {
        self.addresses.lock().unwrap().len()
    }

    /// Any node but this one, if there is another.
    pub fn another(&self, than: Option<usize>, random: &mut StdRng) -> usize {
        let count = self.count();
        match than {
            Some(than) if count > 1 => {
                let node = random.random_range(0..count - 1);
                if node < than { node } else { node + 1 }
            }
            Some(_) | None => random.random_range(0..count),
        }
    }
}
