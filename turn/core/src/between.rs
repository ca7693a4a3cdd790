//! From one relayed address of this process to another, without the kernel: what the one sends is what the other has
//! received.
//!
//! ```text
//! client ─► its allocation ─(permission, limits, sent)─► … ─(permission, limits, received)─► an allocation ─► its client
//! ```
//! Both allocations see what they would see through their sockets, and count it. What the second one drops the first has
//! sent, as if a network had lost it. Where the second one is another worker's, the shell carries the data there.

use causeway_protocol::Now;

use crate::address::{PeerAddr, RelayPort};
use crate::counters::labels;
use crate::dropped::DropReason;
use crate::homes::Home;
use crate::policy::Passage;
use crate::relay::Relay;
use crate::tcp::WorkerNumber;
use crate::verdict::{Payload, Verdict};

/// The most that a UDP datagram carries, in bytes: 65,535 less its header, and over IPv4 that of IP.
const LARGEST_V4: usize = 65_507;
const LARGEST_V6: usize = 65_527;

labels! {
    /// How a datagram went from one relayed address of this process to another.
    Between {
        /// Both are the same worker's.
        Worker = "worker",
        /// The second is another worker's.
        OtherWorker = "other_worker",
    }
}

/// A live relayed address of this process, in the life that it had when data was sent to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveRelay {
    address: PeerAddr,
    home: Home,
}

impl LiveRelay {
    /// The worker whose [`Relay::on_relay`] takes what is sent there.
    #[must_use]
    pub fn worker(self) -> WorkerNumber {
        self.home.worker()
    }

    /// The local address that its socket is bound to.
    #[must_use]
    pub const fn address(self) -> PeerAddr {
        self.address
    }
}

impl Relay {
    /// Sends application data from a relayed address to a peer.
    #[inline]
    pub(crate) fn emit(
        &mut self,
        now: Now,
        on: RelayPort,
        peer: PeerAddr,
        way: Passage,
        payload: Payload,
        dont_fragment: bool,
    ) -> Verdict {
        match way {
            Passage::In { at, home: Some(home) } if fits_a_datagram(at, payload) => {
                let (to, from) = (LiveRelay { address: at, home }, PeerAddr::new(on.address));
                if home.worker() == self.config.worker {
                    self.deliver(now, Between::Worker, to, from, payload)
                } else {
                    Verdict::ToRelay { to, from, payload }
                }
            }
            // What is too long to be sent is the kernel's to refuse.
            Passage::In { at: to, .. } => Verdict::ToPeer { on, to, payload, dont_fragment },
            Passage::Out => Verdict::ToPeer { on, to: peer, payload, dont_fragment },
        }
    }

    /// What another worker's [`Verdict::ToRelay`] sends to a relayed address of this one. All of it is application data.
    /// An address that has been given back since, or has another life, is as a port that nobody has.
    pub fn on_relay(&mut self, now: Now, to: LiveRelay, from: PeerAddr, payload: &[u8]) -> Verdict {
        if to.worker() != self.config.worker || self.own.home(to.address.socket()) != Some(to.home) {
            return self.conclude(Err(DropReason::UnknownRelayPort));
        }
        self.deliver(now, Between::OtherWorker, to, from, Payload::within(payload, payload))
    }

    /// Application data arrives at a relayed address from another one of ours.
    fn deliver(
        &mut self,
        now: Now,
        how: Between,
        to: LiveRelay,
        from: PeerAddr,
        payload: Payload,
    ) -> Verdict {
        let on = RelayPort { slot: to.home.slot(), address: to.address.socket() };
        self.counters.count_between(how);
        self.receive(now, on, from, payload)
    }
}

/// Whether a kernel would send it.
fn fits_a_datagram(to: PeerAddr, payload: Payload) -> bool {
    let largest = if to.socket().is_ipv4() { LARGEST_V4 } else { LARGEST_V6 };
    payload.range().len() <= largest
}
