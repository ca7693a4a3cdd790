//! A worker's sockets: two per listener for its clients, their connections, one per relayed address for their peers.

use std::io;
use std::net::SocketAddr;

use causeway_protocol::Moment;
use causeway_turn_core::{BindError, ClientAddr, ListenerId, PeerAddr, RelayPort, SessionId, Via};
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;

use crate::io::offloads::Offloads;
use crate::io::path_errors::PathError;
use crate::io::reserved::ReservedSockets;
use crate::io::udp::{self, Fragmentation};
use crate::listeners::Listening;
use crate::proxied::Proxied;
use crate::stream::{Connection, Streams};

/// Wakes the worker for what comes from other threads.
pub(crate) const WAKER: Token = Token(usize::MAX);
/// A token is a kind above this bit and an index below.
const KIND: u32 = 32;
const _: () = assert!(usize::BITS == 64, "tokens need 64 bits");

/// Which socket is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketKey {
    /// The UDP socket on a listener's address.
    Client(ListenerId),
    /// The relay socket in a slot.
    Relay(u32),
    /// The accepting TCP socket on a listener's address.
    Acceptor(ListenerId),
    /// The connection of a session.
    Stream(u32),
    /// The accepting TCP socket of the relayed address in a slot.
    RelayAcceptor(u32),
    /// The connection to a peer in a slot.
    Peer(u32),
    /// The client's data connection that is spliced to the peer's in a slot.
    DataConnection(u32),
}

impl SocketKey {
    /// The socket that mio means; `None` for the waker.
    pub(crate) fn of(token: Token) -> Option<Self> {
        let index = u32::try_from(token.0 & 0xFFFF_FFFF).ok()?;
        let listener = || u16::try_from(index).ok().map(ListenerId);
        match token.0 >> KIND {
            0 => listener().map(Self::Client),
            1 => Some(Self::Relay(index)),
            2 => listener().map(Self::Acceptor),
            3 => Some(Self::Stream(index)),
            4 => Some(Self::RelayAcceptor(index)),
            5 => Some(Self::Peer(index)),
            6 => Some(Self::DataConnection(index)),
            _ => None,
        }
    }

    pub(crate) fn token(self) -> Token {
        let (kind, index) = match self {
            Self::Client(listener) => (0, u32::from(listener.0)),
            Self::Relay(slot) => (1, slot),
            Self::Acceptor(listener) => (2, u32::from(listener.0)),
            Self::Stream(slot) => (3, slot),
            Self::RelayAcceptor(slot) => (4, slot),
            Self::Peer(slot) => (5, slot),
            Self::DataConnection(slot) => (6, slot),
        };
        Token(kind << KIND | index as usize)
    }
}

/// The socket of a relayed address.
pub(crate) struct RelaySocket {
    pub(crate) socket: UdpSocket,
    pub(crate) port: RelayPort,
    fragmentation: Fragmentation,
    /// Where the last datagram that was too large for its path should have gone.
    pub(crate) oversized: Option<PeerAddr>,
}

impl RelaySocket {
    /// Sets DF for what is sent next, if it is not set so already.
    pub(crate) fn set_fragmentation(&mut self, fragmentation: Fragmentation) -> io::Result<()> {
        if self.fragmentation != fragmentation {
            udp::set_fragmentation(&self.socket, self.port.address, fragmentation)?;
            self.fragmentation = fragmentation;
        }
        Ok(())
    }

    /// Which peer an error is about. The kernel leaves the port out of what it finds itself about an IPv4 datagram of a
    /// socket without a fixed destination.
    pub(crate) fn peer_of(&self, error: &PathError) -> PeerAddr {
        match self.oversized {
            Some(peer) if error.to.port() == 0 && peer.socket().ip() == error.to.ip() => peer,
            Some(_) | None => PeerAddr::new(error.to),
        }
    }
}

/// All sockets of a worker. Dropping it closes them.
pub(crate) struct Sockets {
    registry: Registry,
    pub(crate) offloads: Offloads,
    listeners: Vec<Listening>,
    /// Clients' connections.
    pub(crate) streams: Streams,
    /// Clients behind proxies.
    pub(crate) proxied: Proxied,
    /// By the slot that the core gave.
    relays: Vec<Option<RelaySocket>>,
    /// Those of reserved ports, for all workers.
    pub(crate) reserved: ReservedSockets,
}

impl Sockets {
    /// Takes the listening sockets, in the order of their [`ListenerId`].
    pub(crate) fn new(
        registry: Registry,
        offloads: Offloads,
        mut listeners: Vec<Listening>,
        streams: Streams,
        proxied: Proxied,
        reserved: ReservedSockets,
    ) -> io::Result<Self> {
        for (id, listener) in (0..=u16::MAX).map(ListenerId).zip(&mut listeners) {
            offloads.prepare(&listener.udp)?;
            registry.register(&mut listener.udp, SocketKey::Client(id).token(), Interest::READABLE)?;
            if let Some(tcp) = &mut listener.tcp {
                registry.register(tcp, SocketKey::Acceptor(id).token(), Interest::READABLE)?;
            }
        }
        Ok(Self { registry, offloads, listeners, streams, proxied, relays: Vec::new(), reserved })
    }

    pub(crate) fn listener(&self, ListenerId(id): ListenerId) -> Option<&UdpSocket> {
        self.listeners.get(usize::from(id)).map(|listener| &listener.udp)
    }

    /// Accepts one connection, which is then a session or closed. `WouldBlock`: there is none.
    pub(crate) fn accept(&mut self, id: ListenerId, now: Moment) -> io::Result<()> {
        let listener = self.listeners.get(usize::from(id.0)).and_then(|listener| listener.tcp.as_ref());
        let (socket, source) = listener.ok_or(io::ErrorKind::WouldBlock)?.accept()?;
        let token = |SessionId(slot)| SocketKey::Stream(slot).token();
        self.streams.admit(socket, source, id, &self.registry, token, now);
        Ok(())
    }

    /// Takes a session's connection out, for another purpose or another worker.
    pub(crate) fn take_stream(&mut self, session: SessionId) -> Option<Connection> {
        self.streams.take(session, &self.registry)
    }

    /// Takes the connection that another worker handed over, and says in which place.
    pub(crate) fn adopt_stream(&mut self, connection: Connection) -> Option<SessionId> {
        let token = |SessionId(slot)| SocketKey::Stream(slot).token();
        self.streams.adopt(connection, &self.registry, token)
    }

    /// A client got an allocation.
    pub(crate) fn on_allocation(&mut self, client: ClientAddr) {
        match client.via {
            Via::Tcp(session) | Via::Tls(session) => self.streams.on_allocation(session),
            Via::Udp | Via::Dtls(_) => {}
        }
    }

    pub(crate) fn relay(&self, slot: u32) -> Option<&RelaySocket> {
        self.relays.get(slot as usize)?.as_ref()
    }

    pub(crate) fn relay_mut(&mut self, slot: u32) -> Option<&mut RelaySocket> {
        self.relays.get_mut(slot as usize)?.as_mut()
    }

    /// Binds a relayed address, and reserves the next one if it is named: both or neither.
    pub(crate) fn bind(&mut self, port: RelayPort, next: Option<SocketAddr>) -> Result<(), BindError> {
        let socket = udp::relay(port.address).map_err(|error| bind_error(&error))?;
        let aside = next.map(reserve).transpose().map_err(|error| bind_error(&error))?;
        self.keep(port, socket)?;
        if let (Some(next), Some(aside)) = (next, aside) {
            self.reserved.set_aside(next, aside);
        }
        Ok(())
    }

    /// Makes the socket of a reserved port a relay socket of this worker.
    pub(crate) fn bind_reserved(&mut self, port: RelayPort) -> Result<(), BindError> {
        let socket = self.reserved.take(port.address).ok_or(BindError::AddressNotAvailable)?;
        udp::hear_everybody(&socket).map_err(|error| bind_error(&error))?;
        self.keep(port, socket)
    }

    /// Closes a relay socket. What waits in its buffer is lost, as it would be a moment later.
    pub(crate) fn unbind(&mut self, port: RelayPort) {
        if let Some(place) = self.relays.get_mut(port.slot as usize) {
            // Closing removes it from epoll too: nobody else has this file description.
            *place = None;
        }
    }

    /// Keeps a bound socket in the slot of its port.
    fn keep(&mut self, port: RelayPort, mut socket: UdpSocket) -> Result<(), BindError> {
        self.offloads
            .prepare(&socket)
            .and_then(|()| {
                let token = SocketKey::Relay(port.slot).token();
                self.registry.register(&mut socket, token, Interest::READABLE)
            })
            .map_err(|error| bind_error(&error))?;
        let slot = port.slot as usize;
        if self.relays.len() <= slot {
            self.relays.resize_with(slot + 1, || None);
        }
        if let Some(place) = self.relays.get_mut(slot) {
            let fragmentation = Fragmentation::Allowed;
            *place = Some(RelaySocket { socket, port, fragmentation, oversized: None });
        }
        Ok(())
    }
}

/// A socket that keeps a port and nothing that comes to it.
fn reserve(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = udp::relay(address)?;
    udp::hear_nobody(&socket, address)?;
    Ok(socket)
}

pub(crate) fn bind_error(error: &io::Error) -> BindError {
    match Errno::from_io_error(error) {
        Some(Errno::ADDRINUSE) => BindError::AddressInUse,
        Some(Errno::ADDRNOTAVAIL) => BindError::AddressNotAvailable,
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => BindError::OutOfSockets,
        Some(_) | None => BindError::Refused,
    }
}

/// Whether an error may be about an earlier datagram of the socket, for which an ICMP error came. The kernel then fails
/// one call of whatever kind, does nothing else, and is done with it.
pub(crate) fn is_of_an_earlier_one(error: &io::Error) -> bool {
    // What ICMP and ICMPv6 errors become: `icmp_err_convert` and `icmpv6_err_convert` in the kernel.
    matches!(
        Errno::from_io_error(error),
        Some(
            Errno::CONNREFUSED
                | Errno::HOSTUNREACH
                | Errno::NETUNREACH
                | Errno::MSGSIZE
                | Errno::NOPROTOOPT
                | Errno::OPNOTSUPP
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::PROTO
                | Errno::ACCESS
                | Errno::CONNRESET
        )
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::proxied::Proxies;
    use crate::settings::TurnSettings;
    use crate::stream::{Accepted, Sources, StreamLimits};

    #[test]
    fn a_token_finds_its_socket_again() {
        for key in [
            SocketKey::Client(ListenerId(0)),
            SocketKey::Client(ListenerId(u16::MAX)),
            SocketKey::Relay(0),
            SocketKey::Relay(u32::MAX),
            SocketKey::Acceptor(ListenerId(u16::MAX)),
            SocketKey::Stream(u32::MAX),
            SocketKey::RelayAcceptor(u32::MAX),
            SocketKey::Peer(0),
            SocketKey::DataConnection(u32::MAX),
        ] {
            assert_eq!(SocketKey::of(key.token()), Some(key));
        }
        assert_eq!(SocketKey::of(WAKER), None);
    }

    #[test]
    fn a_taken_port_is_reported_as_taken() {
        let (poll, mut sockets) = sockets();
        sockets.bind(port(0, "127.0.0.1:0"), None).unwrap();
        let taken = sockets.relay(0).unwrap().socket.local_addr().unwrap();
        assert_eq!(sockets.bind(RelayPort { slot: 1, address: taken }, None), Err(BindError::AddressInUse));
        drop(poll);
    }

    #[test]
    fn an_address_of_another_host_is_reported_as_such() {
        let (_poll, mut sockets) = sockets();
        let error = sockets.bind(port(0, "192.0.2.1:0"), None);
        assert_eq!(error, Err(BindError::AddressNotAvailable));
    }

    #[test]
    fn of_a_pair_both_are_bound_or_neither() {
        let (_poll, mut sockets) = sockets();
        sockets.bind(port(0, "127.0.0.1:0"), None).unwrap();
        let taken = sockets.relay(0).unwrap().socket.local_addr().unwrap();
        assert_eq!(sockets.bind(port(1, "127.0.0.1:0"), Some(taken)), Err(BindError::AddressInUse));
        assert!(sockets.relay(1).is_none());
    }

    #[test]
    fn a_reserved_port_hears_nobody_until_a_worker_takes_it() {
        for ip in ["127.0.0.1", "::1"] {
            let (_poll, mut one) = sockets();
            let (mut poll, mut other) = sockets();
            let mut reserved = ReservedSockets::among(2);
            (other.reserved, one.reserved) = (reserved.remove(1), reserved.remove(0));
            let any = SocketAddr::new(ip.parse().unwrap(), 0);
            let address = std::net::UdpSocket::bind(any).unwrap().local_addr().unwrap();
            let peer = std::net::UdpSocket::bind(any).unwrap();
            one.bind(RelayPort { slot: 0, address: any }, Some(address)).unwrap();
            peer.send_to(b"too early", address).unwrap();

            assert_eq!(other.bind_reserved(RelayPort { slot: 4, address }), Ok(()));
            let again = one.bind_reserved(RelayPort { slot: 5, address });
            assert_eq!(again, Err(BindError::AddressNotAvailable));
            // The kernel tells the peer once that nobody was there.
            let _ = peer.send_to(b"", address);
            peer.send_to(b"in time", address).unwrap();
            let mut events = mio::Events::with_capacity(1);
            poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
            let ready = events.iter().next().map(mio::event::Event::token);
            assert_eq!(ready, Some(SocketKey::Relay(4).token()));
            let socket = &other.relay(4).unwrap().socket;
            // Among them may be the error about the first of them.
            let received = (0..4).filter_map(|_| socket.recv_from(&mut [0; 64]).ok());
            let lengths: Vec<_> = received.map(|(length, _)| length).filter(|length| *length > 0).collect();
            assert_eq!(lengths, [b"in time".len()]);
        }
    }

    #[test]
    fn an_unbound_port_is_free_again() {
        let (_poll, mut sockets) = sockets();
        sockets.bind(port(0, "127.0.0.1:0"), None).unwrap();
        let address = sockets.relay(0).unwrap().socket.local_addr().unwrap();
        sockets.unbind(port(0, "127.0.0.1:0"));
        assert_eq!(sockets.bind(RelayPort { slot: 0, address }, None), Ok(()));
    }

    fn sockets() -> (mio::Poll, Sockets) {
        let poll = mio::Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let limits = StreamLimits::share(&TurnSettings::default(), 1);
        let sources = Arc::new(Sources::new(1));
        let accepted = Accepted { tcp: true, tls: None, proxies: Proxies::default(), sources };
        let streams = Streams::new(limits, accepted);
        let reserved = ReservedSockets::among(1).remove(0);
        (
            poll,
            Sockets::new(registry, Offloads::default(), Vec::new(), streams, Proxied::default(), reserved)
                .unwrap(),
        )
    }

    fn port(slot: u32, address: &str) -> RelayPort {
        RelayPort { slot, address: address.parse().unwrap() }
    }
}
