//! Binds every listening socket of every worker, or none.

use std::io;
use std::net::{IpAddr, SocketAddr};

use mio::net::UdpSocket;

use crate::host::{self, HostAddress, Origin};
use crate::io::udp::{self, Buffers, Sharing};
use crate::settings::TurnSettings;
use crate::start::StartError;

/// Attempts to find a port that is free on every address, when any free port will do.
const FREE_PORT_ATTEMPTS: usize = 32;

/// What clients reach: addresses, and for each worker one socket per address, in the same order.
pub(crate) struct Listeners {
    pub(crate) hosts: Vec<HostAddress>,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) sockets: Vec<Vec<UdpSocket>>,
    /// What the kernel gave of [`udp::CLIENT_BUFFER`].
    pub(crate) buffers: Buffers,
}

/// Binds what the settings name for `workers` workers.
pub(crate) fn bind(settings: &TurnSettings, workers: usize) -> Result<Listeners, StartError> {
    let host = host::interface_addresses().map_err(StartError::Interfaces)?;
    let chosen = host::choose(&settings.listen, &host);
    if settings.port != 0 {
        return bind_port(&chosen, settings.port, workers);
    }
    let mut attempt = bind_free_port(&chosen, workers);
    for _ in 1..FREE_PORT_ATTEMPTS {
        match attempt {
            // Free on the first address and taken on another.
            Err(StartError::AddressInUse { .. }) => attempt = bind_free_port(&chosen, workers),
            Ok(_) | Err(_) => break,
        }
    }
    attempt
}

fn bind_free_port(chosen: &[HostAddress], workers: usize) -> Result<Listeners, StartError> {
    let first = chosen.first().ok_or(StartError::NoAddress)?;
    let any = SocketAddr::new(first.ip, 0);
    let free = udp::listener(any, Sharing::Alone)
        .and_then(|(socket, _)| socket.local_addr())
        .map_err(|error| listen_error(any, error))?;
    bind_port(chosen, free.port(), workers)
}

fn bind_port(chosen: &[HostAddress], port: u16, workers: usize) -> Result<Listeners, StartError> {
    let mut bound = Listeners {
        hosts: Vec::new(),
        addresses: Vec::new(),
        sockets: (0..workers).map(|_| Vec::new()).collect(),
        buffers: Buffers { receive: usize::MAX, send: usize::MAX },
    };
    for host in chosen {
        match bind_address(SocketAddr::new(host.ip, port), workers) {
            Ok(sockets) => bound.add(host, SocketAddr::new(host.ip, port), sockets),
            Err(StartError::AddressNotAvailable { address }) if host.origin == Origin::Found => {
                tracing::warn!(%address, "the address is not available; the relay goes on without it");
            }
            Err(error) => return Err(error),
        }
    }
    if bound.addresses.is_empty() { Err(StartError::NoAddress) } else { Ok(bound) }
}

impl Listeners {
    fn add(&mut self, host: &HostAddress, address: SocketAddr, sockets: Vec<(UdpSocket, Buffers)>) {
        self.hosts.push(host.clone());
        self.addresses.push(address);
        for (of_worker, (socket, buffers)) in self.sockets.iter_mut().zip(sockets) {
            of_worker.push(socket);
            self.buffers.receive = self.buffers.receive.min(buffers.receive);
            self.buffers.send = self.buffers.send.min(buffers.send);
        }
    }

    /// Every IP that relayed addresses may have.
    pub(crate) fn ips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.hosts.iter().map(|host| host.ip)
    }
}

fn bind_address(address: SocketAddr, workers: usize) -> Result<Vec<(UdpSocket, Buffers)>, StartError> {
    (0..workers)
        .map(|worker| {
            let sharing = match (worker, workers) {
                (0, 1) => Sharing::Alone,
                (0, _) => Sharing::First,
                (_, _) => Sharing::Joining,
            };
            udp::listener(address, sharing).map_err(|error| listen_error(address, error))
        })
        .collect()
}

fn listen_error(address: SocketAddr, source: io::Error) -> StartError {
    match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse { address },
        io::ErrorKind::AddrNotAvailable => StartError::AddressNotAvailable { address },
        io::ErrorKind::PermissionDenied => StartError::PermissionDenied { address },
        _ => StartError::Listen { address, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_worker_gets_a_socket_on_every_address() {
        let listeners = bind(&settings(&["127.0.0.1", "::1"]), 3).unwrap();
        assert_eq!(listeners.addresses.len(), 2);
        assert_eq!(listeners.addresses[0].port(), listeners.addresses[1].port());
        let counts: Vec<_> = listeners.sockets.iter().map(Vec::len).collect();
        assert_eq!(counts, [2, 2, 2]);
    }

    #[test]
    fn a_named_address_of_another_host_is_an_error() {
        let error = bind(&settings(&["127.0.0.1", "192.0.2.1"]), 1).err().unwrap();
        assert!(matches!(error, StartError::AddressNotAvailable { .. }), "{error}");
    }

    #[test]
    fn an_address_that_was_found_and_vanished_is_passed_over() {
        let host = |ip: &str| HostAddress { ip: ip.parse().unwrap(), interface: None, origin: Origin::Found };
        let listeners = bind_free_port(&[host("127.0.0.1"), host("192.0.2.1")], 1).unwrap();
        assert_eq!(listeners.ips().collect::<Vec<_>>(), [host("127.0.0.1").ip]);
    }

    #[test]
    fn a_taken_port_is_an_error_even_if_its_owner_shares_it() {
        let ours = bind(&settings(&["127.0.0.1"]), 2).unwrap();
        let again = TurnSettings { port: ours.addresses[0].port(), ..settings(&["127.0.0.1"]) };
        let error = bind(&again, 2).err().unwrap();
        assert!(matches!(error, StartError::AddressInUse { .. }), "{error}");
    }

    fn settings(listen: &[&str]) -> TurnSettings {
        let listen = listen.iter().map(|ip| ip.parse().unwrap()).collect();
        TurnSettings { listen, port: 0, ..TurnSettings::default() }
    }
}
