//! From one relayed address of this process to another, without the kernel: what the one sends is what the other has
//! received.
//!
//! ```text
//! client ─► its allocation ─(permission, limits, sent)─► … ─(permission, limits, received)─► an allocation ─► its client
//! ```
//! Both allocations see what they would see through their sockets, and count it. What the second one drops the first has
//! sent, as if a network had lost it.

use causeway_protocol::Now;

use crate::address::{PeerAddr, RelayPort};
use crate::counters::labels;
use crate::policy::Passage;
use crate::relay::Relay;
use crate::verdict::{Payload, Verdict};

/// The most that a UDP datagram carries, in bytes: 65,535 less its header, and over IPv4 that of IP.
const LARGEST_V4: usize = 65_507;
const LARGEST_V6: usize = 65_527;

labels! {
    /// How a datagram went from one relayed address of this process to another.
    Between {
        /// Both are the same worker's.
        Worker = "worker",
    }
}

impl Relay {
    /// Sends application data from a relayed address to a peer.
    pub(crate) fn emit(
        &mut self,
        now: Now,
        on: RelayPort,
        way: Passage,
        payload: Payload,
        dont_fragment: bool,
    ) -> Verdict {
        let Passage { at: to, home } = way;
        match home {
            Some(home) if home.worker() == self.config.worker && fits_a_datagram(to, payload) => {
                let port = RelayPort { slot: home.slot(), address: to.socket() };
                self.deliver(now, Between::Worker, port, PeerAddr::new(on.address), payload)
            }
            // What is too long to be sent is the kernel's to refuse.
            Some(_) | None => Verdict::ToPeer { on, to, payload, dont_fragment },
        }
    }

    /// Application data arrives at a relayed address from another one of ours.
    fn deliver(
        &mut self,
        now: Now,
        how: Between,
        on: RelayPort,
        from: PeerAddr,
        payload: Payload,
    ) -> Verdict {
        self.counters.count_between(how);
        self.receive(now, on, from, payload)
    }
}

/// Whether a kernel would send it.
fn fits_a_datagram(to: PeerAddr, payload: Payload) -> bool {
    let largest = if to.socket().is_ipv4() { LARGEST_V4 } else { LARGEST_V6 };
    payload.range().len() <= largest
}
