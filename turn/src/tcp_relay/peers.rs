//! A worker's TCP relay sockets, under the slots that the core gives.

use std::io;
use std::time::Duration;

use causeway_protocol::Moment;
use causeway_turn_core::{BindError, ConnectError, Direction, PeerAddr, PeerConnection, RelayPort};
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use rustix::io::Errno;

use crate::io::sockets::{SocketKey, bind_error};
use crate::io::tcp;
use crate::stream::Connection;
use crate::tcp_relay::{CHUNK, Pumped, Splice};

/// How long the other direction of a half-closed connection may be silent. A guess, as long as Linux waits for the
/// other side's end of a connection that nobody reads any more (`tcp_fin_timeout`).
const HALF_CLOSED: Duration = Duration::from_secs(60);

/// A worker's TCP relay sockets. Dropping it closes them.
pub(crate) struct TcpRelay {
    registry: Registry,
    /// By the slot of their relay port.
    listeners: Vec<Option<(TcpListener, RelayPort)>>,
    /// By the slot of their connection.
    peers: Vec<Option<Peer>>,
    scratch: Box<[u8]>,
}

struct Peer {
    connection: PeerConnection,
    socket: TcpStream,
    state: State,
}

enum State {
    /// The kernel connects.
    Connecting,
    /// It stands; nothing is read before the client asks for it, so that the kernel's buffer is all that fills.
    Waiting,
    Spliced(Box<Splice>),
}

/// What a look at a listener brought.
pub(crate) enum Accepting {
    /// A connection, which nobody has decided about.
    Accepted(RelayPort, PeerAddr, TcpStream),
    /// Nothing for now.
    Blocked,
    /// The process has no room for another open file: look again in a while.
    Starved,
}

impl TcpRelay {
    pub(crate) fn new(registry: Registry) -> Self {
        Self {
            registry,
            listeners: Vec::new(),
            peers: Vec::new(),
            scratch: vec![0; CHUNK].into_boxed_slice(),
        }
    }

    /// Listens on a relayed address.
    pub(crate) fn listen(&mut self, port: RelayPort) -> Result<(), BindError> {
        let mut listener = tcp::relay_listener(port.address).map_err(|error| bind_error(&error))?;
        self.registry
            .register(&mut listener, SocketKey::RelayAcceptor(port.slot).token(), Interest::READABLE)
            .map_err(|error| bind_error(&error))?;
        put(&mut self.listeners, port.slot, (listener, port));
        Ok(())
    }

    /// Stops listening on a relayed address, if that is what the slot does.
    pub(crate) fn unlisten(&mut self, port: RelayPort) {
        if let Some(place) = self.listeners.get_mut(port.slot as usize) {
            *place = None;
        }
    }

    /// Accepts one connection on the relayed address in a slot.
    pub(crate) fn accept(&self, slot: u32) -> Accepting {
        let Some(Some((listener, port))) = self.listeners.get(slot as usize) else {
            return Accepting::Blocked;
        };
        loop {
            match listener.accept() {
                Ok((socket, source)) => return Accepting::Accepted(*port, PeerAddr::new(source), socket),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Accepting::Blocked,
                Err(error) if is_starved(&error) => return Accepting::Starved,
                // accept(2): errors of a connection that is already gone are to be passed over; each takes one away,
                // so this ends.
                Err(_gone) => {}
            }
        }
    }

    /// Keeps a connection that the core has accepted.
    pub(crate) fn keep(&mut self, connection: PeerConnection, socket: TcpStream) -> io::Result<()> {
        tcp::prepare(&socket)?;
        self.insert(connection, socket, State::Waiting)
    }

    /// Connects to a peer from a relayed address; [`TcpRelay::connected`] says what became of it.
    pub(crate) fn connect(
        &mut self,
        connection: PeerConnection,
        from: RelayPort,
        to: PeerAddr,
    ) -> Result<(), ConnectError> {
        let socket = tcp::connect_from(from.address, to.socket()).map_err(|error| connect_error(&error))?;
        tcp::prepare(&socket).map_err(|error| connect_error(&error))?;
        self.insert(connection, socket, State::Connecting).map_err(|error| connect_error(&error))
    }

    /// What became of the connection in a slot, once, if it was connecting.
    pub(crate) fn connected(&mut self, slot: u32) -> Option<(PeerConnection, Result<(), ConnectError>)> {
        let peer = self.peers.get_mut(slot as usize)?.as_mut()?;
        let State::Connecting = peer.state else { return None };
        let failed = match peer.socket.take_error() {
            Ok(None) => match peer.socket.peer_addr() {
                Ok(_) => None,
                // Still connecting: readiness of a socket that had the slot before.
                Err(error) if error.kind() == io::ErrorKind::NotConnected => return None,
                Err(error) => Some(error),
            },
            Ok(Some(error)) | Err(error) => Some(error),
        };
        let connection = peer.connection;
        match failed {
            None => {
                peer.state = State::Waiting;
                Some((connection, Ok(())))
            }
            Some(error) => {
                self.disconnect(connection);
                Some((connection, Err(connect_error(&error))))
            }
        }
    }

    /// Makes a client's connection the other end of a peer's; `false` if the peer's is gone.
    pub(crate) fn splice(&mut self, now: Moment, connection: PeerConnection, mut client: Connection) -> bool {
        let Some(peer) = self.peers.get_mut(connection.slot as usize).and_then(Option::as_mut) else {
            return false;
        };
        let token = SocketKey::DataConnection(connection.slot).token();
        if peer.connection != connection || client.register(&self.registry, token).is_err() {
            return false;
        }
        peer.state = State::Spliced(Box::new(Splice::new(client, now)));
        true
    }

    /// Passes bytes on the splice in a slot, as many as `allow` lets.
    pub(crate) fn pump(
        &mut self,
        now: Moment,
        slot: u32,
        mut allow: impl FnMut(PeerConnection, Direction, usize) -> usize,
    ) -> Option<(PeerConnection, Pumped)> {
        let peer = self.peers.get_mut(slot as usize)?.as_mut()?;
        let State::Spliced(splice) = &mut peer.state else { return None };
        let connection = peer.connection;
        let allow = |direction, length| allow(connection, direction, length);
        Some((connection, splice.pump(now, &mut peer.socket, &mut self.scratch, allow)))
    }

    /// Closes a connection to a peer and the client's, if it is spliced.
    pub(crate) fn disconnect(&mut self, connection: PeerConnection) {
        if let Some(place) = self.peers.get_mut(connection.slot as usize)
            && let Some(mut peer) = place.take_if(|peer| peer.connection == connection)
            && let State::Spliced(splice) = &mut peer.state
        {
            splice.close();
        }
    }

    /// Half-closed connections on which nothing has passed for too long.
    pub(crate) fn overdue(&self, now: Moment) -> Vec<PeerConnection> {
        let is_overdue = |peer: &&Peer| match &peer.state {
            State::Spliced(splice) => splice.is_half_closed() && now.since(splice.last_passed) >= HALF_CLOSED,
            State::Connecting | State::Waiting => false,
        };
        self.peers.iter().flatten().filter(is_overdue).map(|peer| peer.connection).collect()
    }

    /// Whether there is any connection.
    pub(crate) fn is_empty(&self) -> bool {
        self.peers.iter().all(Option::is_none)
    }

    fn insert(&mut self, connection: PeerConnection, mut socket: TcpStream, state: State) -> io::Result<()> {
        let token = SocketKey::Peer(connection.slot).token();
        self.registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
        put(&mut self.peers, connection.slot, Peer { connection, socket, state });
        Ok(())
    }
}

fn put<T>(places: &mut Vec<Option<T>>, slot: u32, thing: T) {
    let slot = slot as usize;
    if places.len() <= slot {
        places.resize_with(slot + 1, || None);
    }
    if let Some(place) = places.get_mut(slot) {
        *place = Some(thing);
    }
}

/// The process has no room for another open file.
fn is_starved(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM))
}

fn connect_error(error: &io::Error) -> ConnectError {
    match Errno::from_io_error(error) {
        Some(Errno::CONNREFUSED | Errno::CONNRESET) => ConnectError::Refused,
        Some(Errno::TIMEDOUT | Errno::HOSTUNREACH | Errno::NETUNREACH) => ConnectError::Unreachable,
        Some(_) | None => ConnectError::Local,
    }
}
