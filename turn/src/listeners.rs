//! Binds every listening socket of every worker, or none.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::{TcpListener, UdpSocket};

use crate::host::{self, HostAddress, Origin};
use crate::io::tcp;
use crate::io::udp::{self, Buffers, Sharing};
use crate::settings::TurnSettings;
use crate::start::{SocketKind, StartError};

/// Attempts to find a port that is free on every address, when any free port will do.
const FREE_PORT_ATTEMPTS: usize = 32;

/// What clients reach: addresses, and for each worker the sockets of each address, in the same order, which is that
/// of their [`ListenerId`](causeway_turn_core::ListenerId). The addresses on the first port come before those on the
/// second, and these before those on the alternate one.
pub(crate) struct Listeners {
    /// The host's address of each entry in `addresses`.
    pub(crate) hosts: Vec<HostAddress>,
    /// Addresses of this host that are no peers, besides those that are listened on.
    pub(crate) unserved: Vec<IpAddr>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) sockets: Vec<Vec<Listening>>,
    /// Which ports clients are told of.
    pub(crate) ports: Ports,
    /// What the kernel gave of [`udp::CLIENT_BUFFER`].
    pub(crate) buffers: Buffers,
}

/// The ports that clients are told of, on every address. Both serve plain and secure clients; they may be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// For `turn:`.
    pub(crate) plain: u16,
    /// By convention for `turns:`.
    pub(crate) secure: u16,
}

/// One worker's sockets on one address.
pub(crate) struct Listening {
    pub(crate) udp: UdpSocket,
    /// `None`: clients over TCP and TLS are switched off.
    pub(crate) tcp: Option<TcpListener>,
}

/// What to bind on each address.
#[derive(Clone, Copy)]
struct Plan {
    port: u16,
    tls_port: u16,
    /// 0: none.
    alternate_port: u16,
    streams: bool,
    workers: usize,
}

/// Binds what the settings name for `workers` workers.
pub(crate) fn bind(settings: &TurnSettings, workers: usize) -> Result<Listeners, StartError> {
    let host = host::interface_addresses().map_err(StartError::Interfaces)?;
    let chosen = host::choose(&settings.listen, &host);
    let plan = Plan {
        port: settings.port,
        tls_port: settings.tls_port(),
        alternate_port: settings.discovery.alternate_port,
        streams: settings.streams.any(),
        workers,
    };
    let mut listeners = bind_somewhere(&chosen, plan)?;
    listeners.unserved = host::unserved(&host, &listeners.hosts, &settings.peers.allowed);
    Ok(listeners)
}

/// Binds the ports of `plan`, and finds one that is free on every address in place of 0.
fn bind_somewhere(chosen: &[HostAddress], plan: Plan) -> Result<Listeners, StartError> {
    let mut attempt = bind_once(chosen, plan);
    for _ in 1..FREE_PORT_ATTEMPTS {
        match attempt {
            // Free on the first address, or for UDP, and taken on another, or for TCP.
            Err(StartError::AddressInUse { address, .. }) if !plan.names(address.port()) => {
                attempt = bind_once(chosen, plan);
            }
            Ok(_) | Err(_) => break,
        }
    }
    attempt
}

fn bind_once(chosen: &[HostAddress], plan: Plan) -> Result<Listeners, StartError> {
    let first = chosen.first().ok_or(StartError::NoAddress)?;
    let port = if plan.port == 0 { free_port(first)? } else { plan.port };
    let mut bound = Listeners {
        ports: Ports { plain: port, secure: port },
        hosts: Vec::new(),
        unserved: Vec::new(),
        addresses: Vec::new(),
        sockets: (0..plan.workers).map(|_| Vec::new()).collect(),
        buffers: Buffers { receive: usize::MAX, send: usize::MAX },
    };
    bound.bind_port(chosen, port, plan)?;
    // The first port is taken by now, so that the free one is another.
    let tls_port = if plan.tls_port == 0 { free_port(first)? } else { plan.tls_port };
    bound.ports.secure = tls_port;
    if tls_port != port {
        bound.bind_port(chosen, tls_port, plan)?;
    }
    if plan.alternate_port != 0 {
        bound.bind_port(chosen, plan.alternate_port, plan)?;
    }
    if bound.addresses.is_empty() { Err(StartError::NoAddress) } else { Ok(bound) }
}

fn free_port(host: &HostAddress) -> Result<u16, StartError> {
    let any = SocketAddr::new(host.ip, 0);
    udp::listener(any, Sharing::Alone)
        .and_then(|(socket, _)| socket.local_addr())
        .map(|address| address.port())
        .map_err(|error| listen_error(SocketKind::Udp, any, error))
}

impl Plan {
    /// Whether the operator chose this port.
    const fn names(&self, port: u16) -> bool {
        port == self.port || port == self.tls_port || port == self.alternate_port
    }
}

impl Listeners {
    fn bind_port(&mut self, chosen: &[HostAddress], port: u16, plan: Plan) -> Result<(), StartError> {
        for host in chosen {
            let address = SocketAddr::new(host.ip, port);
            match bind_address(address, plan) {
                Ok(sockets) => self.add(host, address, sockets),
                Err(StartError::AddressNotAvailable { address }) if host.origin == Origin::Found => {
                    tracing::warn!(%address, "the address is not available; the relay goes on without it");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn add(&mut self, host: &HostAddress, address: SocketAddr, sockets: Vec<(Listening, Buffers)>) {
        self.hosts.push(host.clone());
        self.addresses.push(address);
        for (of_worker, (listening, buffers)) in self.sockets.iter_mut().zip(sockets) {
            of_worker.push(listening);
            self.buffers.receive = self.buffers.receive.min(buffers.receive);
            self.buffers.send = self.buffers.send.min(buffers.send);
        }
    }

    /// Every IP that relayed addresses may have.
    pub(crate) fn ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.hosts.iter().map(|host| host.ip)
    }
}

fn bind_address(address: SocketAddr, plan: Plan) -> Result<Vec<(Listening, Buffers)>, StartError> {
    (0..plan.workers)
        .map(|worker| {
            let sharing = match (worker, plan.workers) {
                (0, 1) => Sharing::Alone,
                (0, _) => Sharing::First,
                (_, _) => Sharing::Joining,
            };
            let (udp, buffers) = udp::listener(address, sharing)
                .map_err(|error| listen_error(SocketKind::Udp, address, error))?;
            let tcp = plan
                .streams
                .then(|| tcp::listener(address, sharing))
                .transpose()
                .map_err(|error| listen_error(SocketKind::Tcp, address, error))?;
            Ok((Listening { udp, tcp }, buffers))
        })
        .collect()
}

fn listen_error(socket: SocketKind, address: SocketAddr, source: io::Error) -> StartError {
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { socket, address },
        io::ErrorKind::AddrNotAvailable => StartError::AddressNotAvailable { address },
        io::ErrorKind::PermissionDenied => StartError::PermissionDenied { socket, address },
        _ => StartError::Listen { socket, address, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::StreamSettings;

    #[test]
    fn every_worker_gets_a_socket_on_every_address() {
        let listeners = bind(&settings(&["127.0.0.1", "::1"]), 3).unwrap();
        let ports: Vec<_> = listeners.addresses.iter().map(SocketAddr::port).collect();
        assert_eq!((ports[0], ports[2]), (ports[1], ports[3]));
        assert_ne!(ports[0], ports[2]);
        for of_worker in &listeners.sockets {
            let bound: Vec<_> = of_worker.iter().map(|sockets| sockets.udp.local_addr().unwrap()).collect();
            assert_eq!(bound, listeners.addresses);
            let accepting: Vec<_> = of_worker.iter().filter_map(|sockets| sockets.tcp.as_ref()).collect();
            assert_eq!(accepting.len(), 4);
        }
    }

    #[test]
    fn both_ports_may_be_the_same() {
        let first = bind(&settings(&["127.0.0.1"]), 1).unwrap().addresses[0].port();
        let same = TurnSettings { port: first, tls_port: Some(first), ..settings(&["127.0.0.1"]) };
        assert_eq!(bind(&same, 2).unwrap().addresses.len(), 1);
    }

    #[test]
    fn without_tcp_and_tls_nothing_is_accepted() {
        let streams = StreamSettings { tcp: false, tls: false, ..StreamSettings::default() };
        let listeners = bind(&TurnSettings { streams, ..settings(&["127.0.0.1"]) }, 1).unwrap();
        assert!(listeners.sockets[0].iter().all(|sockets| sockets.tcp.is_none()));
    }

    #[test]
    fn a_port_that_only_tcp_has_taken_is_an_error() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = bind(&TurnSettings { port, ..settings(&["127.0.0.1"]) }, 1).err().unwrap();
        assert!(matches!(error, StartError::AddressInUse { socket: SocketKind::Tcp, .. }), "{error}");
    }

    #[test]
    fn a_named_address_of_another_host_is_an_error() {
        let error = bind(&settings(&["127.0.0.1", "192.0.2.1"]), 1).err().unwrap();
        assert!(matches!(error, StartError::AddressNotAvailable { .. }), "{error}");
    }

    #[test]
    fn an_address_that_was_found_and_vanished_is_passed_over() {
        let host = |ip: &str| HostAddress { ip: ip.parse().unwrap(), interface: None, origin: Origin::Found };
        let plan = Plan { port: 0, tls_port: 0, alternate_port: 0, streams: true, workers: 1 };
        let listeners = bind_somewhere(&[host("127.0.0.1"), host("192.0.2.1")], plan).unwrap();
        assert_eq!(listeners.ips().collect::<Vec<_>>(), [host("127.0.0.1").ip; 2]);
    }

    #[test]
    fn a_taken_port_is_an_error_even_if_its_owner_shares_it() {
        let ours = bind(&settings(&["127.0.0.1"]), 2).unwrap();
        let port = ours.addresses[0].port();
        let again = TurnSettings { port, tls_port: Some(0), ..settings(&["127.0.0.1"]) };
        let error = bind(&again, 2).err().unwrap();
        assert!(matches!(error, StartError::AddressInUse { .. }), "{error}");
    }

    fn settings(listen: &[&str]) -> TurnSettings {
        let listen = listen.iter().map(|ip| ip.parse().unwrap()).collect();
        TurnSettings { listen, port: 0, ..TurnSettings::default() }
    }
}
