//! UDP sockets as the relay wants them: non-blocking, one family each, with large buffers.

use std::io;
use std::net::SocketAddr;

use mio::net::UdpSocket;
use rustix::net::sockopt::{
    Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, set_ip_mtu_discover, set_ipv6_mtu_discover,
};
use socket2::{Domain, Protocol, Socket, Type};

use crate::io::path_errors::keep_path_errors;

/// Asked of the kernel for each client socket, in bytes each way: 20 ms of 1.6 Gbit/s. A guess.
pub(crate) const CLIENT_BUFFER: usize = 4 << 20;
/// Asked of the kernel for each relay socket, which serves one allocation. A guess.
pub(crate) const RELAY_BUFFER: usize = 1 << 20;

/// Whether sockets of other workers listen on the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// The only one.
    Alone,
    /// The first of several. It binds alone, so that an address that anybody else uses is an error, and opens
    /// the address to the others afterwards. Two processes that both set `SO_REUSEPORT` before they bind would
    /// share their clients without a word.
    First,
    /// One more after the first.
    Joining,
}

/// Whether routers may fragment what a socket sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragmentation {
    /// DF is 0, and what ICMP says about the path is ignored: a forged message could shrink it.
    Allowed,
    /// DF is 1; what is larger than the path is refused by the kernel.
    Forbidden,
}

/// What the kernel gave of the buffers asked for, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Buffers {
    pub(crate) receive: usize,
    pub(crate) send: usize,
}

/// A socket that clients send to.
pub(crate) fn listener(address: SocketAddr, sharing: Sharing) -> io::Result<(UdpSocket, Buffers)> {
    let socket = plain(address)?;
    if sharing == Sharing::Joining {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&address.into())?;
    if sharing == Sharing::First {
        socket.set_reuse_port(true)?;
    }
    let buffers = grow(&socket, CLIENT_BUFFER)?;
    Ok((UdpSocket::from_std(socket.into()), buffers))
}

/// The socket of a relayed address.
pub(crate) fn relay(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = plain(address)?;
    socket.bind(&address.into())?;
    ask(&socket, RELAY_BUFFER)?;
    let socket = UdpSocket::from_std(socket.into());
    set_fragmentation(&socket, address, Fragmentation::Allowed)?;
    keep_path_errors(&socket, address)?;
    Ok(socket)
}

/// From here on the kernel keeps nothing for the socket, which is bound to `address`: it is connected to itself.
pub(crate) fn hear_nobody(socket: &UdpSocket, address: SocketAddr) -> io::Result<()> {
    socket.connect(address)
}

/// The end of [`hear_nobody`]. The socket stays bound (connect(2), `AF_UNSPEC`).
pub(crate) fn hear_everybody(socket: &UdpSocket) -> io::Result<()> {
    Ok(rustix::net::connect_unspec(socket)?)
}

/// Sets DF for everything that `socket`, which is bound to `address`, sends from now on.
pub(crate) fn set_fragmentation(
    socket: &UdpSocket,
    address: SocketAddr,
    fragmentation: Fragmentation,
) -> io::Result<()> {
    let forbidden = fragmentation == Fragmentation::Forbidden;
    match address {
        SocketAddr::V4(_) => {
            let mode = if forbidden { Ipv4PathMtuDiscovery::DO } else { Ipv4PathMtuDiscovery::OMIT };
            set_ip_mtu_discover(socket, mode)?;
        }
        SocketAddr::V6(_) => {
            let mode = if forbidden { Ipv6PathMtuDiscovery::DO } else { Ipv6PathMtuDiscovery::OMIT };
            set_ipv6_mtu_discover(socket, mode)?;
        }
    }
    Ok(())
}

fn plain(address: SocketAddr) -> io::Result<Socket> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

/// Asks for `bytes` each way. The kernel silently gives less where `net.core.rmem_max` and `wmem_max` say so.
fn ask(socket: &Socket, bytes: usize) -> io::Result<()> {
    socket.set_recv_buffer_size(bytes)?;
    socket.set_send_buffer_size(bytes)
}

/// The same, and says what was given.
fn grow(socket: &Socket, bytes: usize) -> io::Result<Buffers> {
    ask(socket, bytes)?;
    // socket(7): the kernel doubles the number it is given, for its own bookkeeping, and shows it doubled.
    Ok(Buffers { receive: socket.recv_buffer_size()? / 2, send: socket.send_buffer_size()? / 2 })
}

#[cfg(test)]
mod tests {
    use rustix::net::sockopt::{ip_mtu_discover, ipv6_mtu_discover};

    use super::*;

    const FREE: &str = "127.0.0.1:0";

    #[test]
    fn workers_share_an_address() {
        let (first, _) = listener(FREE.parse().unwrap(), Sharing::First).unwrap();
        let address = first.local_addr().unwrap();
        let joining: Vec<_> =
            (0..3).map(|_| listener(address, Sharing::Joining).unwrap().0.local_addr().unwrap()).collect();
        assert_eq!(joining, [address; 3]);
    }

    #[test]
    fn a_second_process_that_shares_too_is_refused() {
        let (first, _) = listener(FREE.parse().unwrap(), Sharing::First).unwrap();
        let error = listener(first.local_addr().unwrap(), Sharing::First).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_relayed_address_is_never_shared() {
        let first = relay(FREE.parse().unwrap()).unwrap();
        let error = relay(first.local_addr().unwrap()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn fragmentation_can_be_forbidden_and_allowed_again() {
        let v4 = "127.0.0.1:0".parse().unwrap();
        let socket = relay(v4).unwrap();
        set_fragmentation(&socket, v4, Fragmentation::Forbidden).unwrap();
        assert_eq!(ip_mtu_discover(&socket), Ok(Ipv4PathMtuDiscovery::DO));
        set_fragmentation(&socket, v4, Fragmentation::Allowed).unwrap();
        assert_eq!(ip_mtu_discover(&socket), Ok(Ipv4PathMtuDiscovery::OMIT));

        let v6 = "[::1]:0".parse().unwrap();
        let socket = relay(v6).unwrap();
        set_fragmentation(&socket, v6, Fragmentation::Forbidden).unwrap();
        assert_eq!(ipv6_mtu_discover(&socket), Ok(Ipv6PathMtuDiscovery::DO));
        set_fragmentation(&socket, v6, Fragmentation::Allowed).unwrap();
        assert_eq!(ipv6_mtu_discover(&socket), Ok(Ipv6PathMtuDiscovery::OMIT));
    }
}
