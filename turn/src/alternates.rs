//! Knows the relays of other nodes and tells them about this one, so that one that is full or draining can send clients
//! to one that is not.
//!
//! ```text
//! this node ──RelayNode every 2 s──► Bus ──► table (lease 10 s) ──Control::Alternates──► workers ──300──► clients
//! ```
//! A lease counts by this node's clock from when the message came: the clocks of nodes differ.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use causeway_cluster::{Bus, Delivery, Subscription};
use causeway_protocol::bus::{BusMessage, RelayAddress, RelayNode, RelayTransport};
use causeway_protocol::{Moment, NodeId};
use causeway_service::clock;
use causeway_turn_core::{AlternateServer, Control, ExternalIps, Transport};
use tokio::sync::watch;

use crate::control::WorkerHandle;
use crate::listeners::Ports;
use crate::settings::TurnSettings;
use crate::worker::Signals;

/// Nodes that are remembered; further ones are passed over. A guess: clients need one, and nobody runs so many.
const MAX_NODES: usize = 256;
/// Addresses of one node that are remembered. A guess.
const MAX_ADDRESSES: usize = 32;

/// What this node says about itself.
pub(crate) struct OwnNode {
    pub(crate) node: NodeId,
    /// As bound.
    pub(crate) addresses: Vec<RelayAddress>,
    pub(crate) external: watch::Receiver<ExternalIps>,
    pub(crate) domain: Option<String>,
    /// Alive, of each worker.
    pub(crate) allocations: Vec<Arc<AtomicU64>>,
    pub(crate) signals: Arc<Signals>,
}

impl OwnNode {
    fn as_it_is(&self) -> RelayNode {
        let external = self.external.borrow();
        let outside = |address: &RelayAddress| RelayAddress {
            address: external.outside(address.address),
            transport: address.transport,
        };
        let allocations: u64 = self.allocations.iter().map(|alive| alive.load(Ordering::Relaxed)).sum();
        RelayNode {
            node: self.node.clone(),
            addresses: self.addresses.iter().map(outside).collect(),
            domain: self.domain.clone(),
            allocations: u32::try_from(allocations).unwrap_or(u32::MAX),
            capacity: u32::try_from(self.signals.capacity.load(Ordering::Relaxed)).unwrap_or(u32::MAX),
            draining: self.signals.draining.load(Ordering::Acquire),
        }
    }
}

/// The task. When it ends, however it does, other nodes are told to send nobody here any more.
pub(crate) struct Alternates {
    pub(crate) own: OwnNode,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) nodes: Subscription,
    pub(crate) table: NodeTable,
}

impl Alternates {
    /// Runs until the Bus is gone.
    pub(crate) async fn run(mut self, workers: Vec<WorkerHandle>) {
        let mut ticks = tokio::time::interval(RelayNode::REPEAT);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                delivery = self.nodes.next() => match delivery {
                    Some(Delivery::Message(BusMessage::RelayNode(node))) if node.node == self.own.node => {}
                    Some(Delivery::Message(BusMessage::RelayNode(node))) => {
                        if self.table.on_node(clock::now().moment, node) == News::Now {
                            self.tell(&workers).await;
                        }
                    }
                    // Of another topic; or some were lost, and are said again in two seconds.
                    Some(Delivery::Message(
                        BusMessage::RelayUsage(_)
                        | BusMessage::RelayOrder(_)
                        | BusMessage::RoomLimits(_)
                        | BusMessage::RoomAddresses(_)
                        | BusMessage::RoomQuery(_),
                    ) | Delivery::Gap) => {}
                    None => return,
                },
                () = self.own.signals.drain_begun.notified() => self.announce(self.own.as_it_is()),
                _ = ticks.tick() => {
                    self.announce(self.own.as_it_is());
                    self.table.forget_expired(clock::now().moment);
                    self.tell(&workers).await;
                }
            }
        }
    }

    fn announce(&self, node: RelayNode) {
        if let Err(error) = self.bus.publish(BusMessage::RelayNode(node)) {
            tracing::debug!(%error, "other nodes are not told about this relay; the next time is soon");
        }
    }

    async fn tell(&mut self, workers: &[WorkerHandle]) {
        if let Some(servers) = self.table.take_changed() {
            for worker in workers {
                worker.order(Control::Alternates(Arc::clone(&servers))).await;
            }
        }
    }
}

impl Drop for Alternates {
    fn drop(&mut self) {
        self.announce(RelayNode { draining: true, ..self.own.as_it_is() });
    }
}

/// When workers have to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// At once: a node came, or begins or ceases to take clients.
    Now,
    /// With the next tick, if at all.
    Later,
}

/// The relays of other nodes.
#[derive(Default)]
pub(crate) struct NodeTable {
    nodes: HashMap<NodeId, Known>,
    changed: bool,
}

struct Known {
    node: RelayNode,
    until: Moment,
}

impl NodeTable {
    fn on_node(&mut self, now: Moment, mut node: RelayNode) -> News {
        node.addresses.truncate(MAX_ADDRESSES);
        let until = now.plus(RelayNode::LEASE);
        let is_full = self.nodes.len() >= MAX_NODES;
        match self.nodes.get_mut(&node.node) {
            Some(known) => {
                let news =
                    if (known.node.room() == 0) == (node.room() == 0) { News::Later } else { News::Now };
                self.changed |= known.node != node;
                *known = Known { node, until };
                news
            }
            None if is_full => News::Later,
            None => {
                self.changed = true;
                self.nodes.insert(node.node.clone(), Known { node, until });
                News::Now
            }
        }
    }

    fn forget_expired(&mut self, now: Moment) {
        let before = self.nodes.len();
        self.nodes.retain(|_, known| now < known.until);
        self.changed |= self.nodes.len() != before;
    }

    /// What workers are to know, unless they know it.
    fn take_changed(&mut self) -> Option<Arc<[AlternateServer]>> {
        std::mem::take(&mut self.changed).then(|| {
            let takes_clients = self.nodes.values().filter(|known| known.node.room() > 0);
            takes_clients.flat_map(|known| servers(&known.node)).collect()
        })
    }
}

fn servers(node: &RelayNode) -> impl Iterator<Item = AlternateServer> {
    let domain: Option<Arc<str>> = node.domain.as_deref().map(Arc::from);
    node.addresses.iter().map(move |address| AlternateServer {
        transport: match address.transport {
            RelayTransport::Udp => Transport::Udp,
            RelayTransport::Tcp => Transport::Tcp,
            RelayTransport::Tls => Transport::Tls,
            RelayTransport::Dtls => Transport::Dtls,
        },
        address: address.address,
        domain: domain.clone(),
        room: node.room(),
    })
}

/// How clients reach this node: in the clear on the port for that, encrypted on the other.
pub(crate) fn addresses(
    listening: &[SocketAddr],
    ports: Ports,
    settings: &TurnSettings,
) -> Vec<RelayAddress> {
    let streams = &settings.streams;
    [
        (RelayTransport::Udp, ports.plain, true),
        (RelayTransport::Tcp, ports.plain, streams.tcp),
        (RelayTransport::Tls, ports.secure, streams.tls),
        (RelayTransport::Dtls, ports.secure, settings.dtls.enabled && cfg!(feature = "dtls")),
    ]
    .into_iter()
    .filter(|(_, _, is_on)| *is_on)
    .flat_map(|(transport, port, _)| {
        let on_port = listening.iter().filter(move |address| address.port() == port);
        on_port.map(move |address| RelayAddress { transport, address: *address })
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_node_is_told_of_at_once_when_it_comes_fills_up_or_drains_and_with_the_tick_otherwise() {
        let mut table = NodeTable::default();
        assert_eq!(table.on_node(at(0), node("a", 0)), News::Now);
        assert_eq!(rooms(&mut table), [100]);
        assert_eq!(table.on_node(at(2), node("a", 40)), News::Later);
        assert_eq!(rooms(&mut table), [60]);
        assert_eq!(table.on_node(at(4), node("a", 40)), News::Later);
        assert_eq!(table.take_changed(), None);
        assert_eq!(table.on_node(at(6), node("a", 100)), News::Now);
        assert_eq!(rooms(&mut table), [0; 0]);
        assert_eq!(table.on_node(at(8), node("a", 99)), News::Now);
        assert_eq!(table.on_node(at(9), RelayNode { draining: true, ..node("a", 99) }), News::Now);
        assert_eq!(rooms(&mut table), [0; 0]);
    }

    #[test]
    fn a_lease_counts_from_when_the_message_came() {
        let mut table = NodeTable::default();
        table.on_node(at(0), node("a", 0));
        table.on_node(at(5), node("b", 0));
        table.forget_expired(at(9));
        assert_eq!(rooms(&mut table), [100, 100]);
        table.forget_expired(at(10));
        assert_eq!(rooms(&mut table), [100]);
        table.forget_expired(at(15));
        assert_eq!(rooms(&mut table), [0; 0]);
    }

    #[test]
    fn the_table_has_a_bound_and_so_has_what_one_node_says() {
        let mut table = NodeTable::default();
        for number in 0..300 {
            let address = "51.0.0.2:3478".parse().unwrap();
            let addresses = vec![RelayAddress { transport: RelayTransport::Udp, address }; 100];
            table.on_node(at(0), RelayNode { addresses, ..node(&format!("n{number}"), 0) });
        }
        assert_eq!(table.take_changed().unwrap().len(), MAX_NODES * MAX_ADDRESSES);
    }

    #[test]
    fn plain_and_secure_transports_have_their_ports() {
        let listening =
            ["51.0.0.1:3478", "51.0.0.1:5349", "51.0.0.1:3479"].map(|address| address.parse().unwrap());
        let ports = Ports { plain: 3478, secure: 5349 };
        let mut settings = TurnSettings::default();
        settings.dtls.enabled = false;
        let told = |settings: &TurnSettings| -> Vec<_> {
            addresses(&listening, ports, settings)
                .iter()
                .map(|way| (way.transport, way.address.port()))
                .collect()
        };
        use RelayTransport::{Tcp, Tls, Udp};
        assert_eq!(told(&settings), [(Udp, 3478), (Tcp, 3478), (Tls, 5349)]);
        (settings.streams.tcp, settings.streams.tls) = (false, false);
        assert_eq!(told(&settings), [(Udp, 3478)]);
    }

    fn rooms(table: &mut NodeTable) -> Vec<u32> {
        table.changed = true;
        table.take_changed().unwrap().iter().map(|server| server.room).collect()
    }

    fn node(name: &str, allocations: u32) -> RelayNode {
        let address = "51.0.0.2:3478".parse().unwrap();
        RelayNode {
            node: name.parse().unwrap(),
            addresses: vec![RelayAddress { transport: RelayTransport::Udp, address }],
            domain: None,
            allocations,
            capacity: 100,
            draining: false,
        }
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_origin(Duration::from_secs(seconds))
    }
}
