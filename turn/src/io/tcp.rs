//! TCP sockets as the relay wants them: non-blocking, one family each, with little waiting in the kernel.

use std::io;
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use rustix::io::Errno;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use crate::io::udp::Sharing;

/// Connections that wait to be accepted, per worker and address; the kernel caps it at `net.core.somaxconn`.
const BACKLOG: i32 = 1024;
/// Bytes that the kernel takes beyond what is in flight. What waits there is stale when it leaves, so it is kept
/// short: 10 ms at 100 Mbit/s. A guess.
const NOT_SENT: u32 = 128 << 10;

/// A socket that accepts clients.
pub(crate) fn listener(address: SocketAddr, sharing: Sharing) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    // Connections of an earlier process that wait for their end (TIME_WAIT) do not keep the port.
    socket.set_reuse_address(true)?;
    if sharing == Sharing::Joining {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    // Of sockets that only set SO_REUSEADDR, a second one that listens is refused.
    socket.listen(BACKLOG)?;
    if sharing == Sharing::First {
        socket.set_reuse_port(true)?;
    }
    Ok(TcpListener::from_std(socket.into()))
}

/// A socket that accepts peers on a relayed address. Nobody else listens there; connections from the same address
/// may be opened beside it (RFC 6062 §5.2).
pub(crate) fn relay_listener(address: SocketAddr) -> io::Result<TcpListener> {
    listener(address, Sharing::First)
}

/// Begins to connect from a relayed address, which has a [listener](relay_listener).
pub(crate) fn connect_from(local: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = Socket::new(Domain::for_address(local), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&local.into())?;
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if Errno::from_io_error(&error) == Some(Errno::INPROGRESS) => {}
        Err(error) => return Err(error),
    }
    Ok(TcpStream::from_std(socket.into()))
}

/// Prepares an accepted connection.
pub(crate) fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_notsent_lowat(NOT_SENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FREE: &str = "127.0.0.1:0";

    #[test]
    fn workers_share_an_address() {
        let first = listener(FREE.parse().unwrap(), Sharing::First).unwrap();
        let address = first.local_addr().unwrap();
        let joining: Vec<_> = (0..3).map(|_| listener(address, Sharing::Joining).unwrap()).collect();
        assert!(joining.iter().all(|socket| socket.local_addr().unwrap() == address));
    }

    #[test]
    fn connections_leave_from_a_relayed_address_while_it_listens() {
        let peer = std::net::TcpListener::bind(FREE).unwrap();
        let relayed = relay_listener(FREE.parse().unwrap()).unwrap().local_addr().unwrap();
        let listening = relay_listener(relayed).unwrap();
        let _connecting = connect_from(relayed, peer.local_addr().unwrap()).unwrap();
        assert_eq!(peer.accept().unwrap().1, relayed);
        drop(listening);
    }

    #[test]
    fn a_second_process_that_shares_too_is_refused() {
        let first = listener(FREE.parse().unwrap(), Sharing::First).unwrap();
        let error = listener(first.local_addr().unwrap(), Sharing::First).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
