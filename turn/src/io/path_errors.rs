//! ICMP errors about datagrams that a socket sent: its queue of them (ip(7), `IP_RECVERR`).

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use crate::io::ancillary::ancillaries;
use crate::io::linux::{self, Receiver};

/// An error about a datagram that the socket sent earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PathError {
    /// Where the datagram went.
    pub(crate) to: SocketAddr,
    /// Type and code of ICMP, or of ICMPv6 if `to` is of IPv6.
    pub(crate) icmp_type: u8,
    pub(crate) icmp_code: u8,
    /// The next hop's MTU, if the error is about a datagram that is too big.
    pub(crate) mtu: u32,
}

/// Where the kernel has the error from (`struct sock_extended_err`, linux/errqueue.h).
const ORIGIN_LOCAL: u8 = 1;
const ORIGIN_ICMP: u8 = 2;
const ORIGIN_ICMP6: u8 = 3;

/// ICMP: destination unreachable, fragmentation needed (RFC 1191 §4).
const FRAGMENTATION_NEEDED: (u8, u8) = (3, 4);
/// ICMPv6: packet too big (RFC 4443 §3.2).
const PACKET_TOO_BIG: (u8, u8) = (2, 0);

/// Asks the kernel to keep ICMP errors for [`path_error`]. From then on each also fails one later send or receive.
pub(crate) fn keep_path_errors(socket: &impl AsFd, address: SocketAddr) -> io::Result<()> {
    let (level, option) = match address {
        SocketAddr::V4(_) => (libc::SOL_IP, libc::IP_RECVERR),
        SocketAddr::V6(_) => (libc::SOL_IPV6, libc::IPV6_RECVERR),
    };
    linux::set_option(socket, level, option, 1)
}

/// Takes the next error off the socket's queue; `None`: there is none. Errors that are no ICMP are passed over.
pub(crate) fn path_error(socket: &impl AsFd, receiver: &mut Receiver) -> io::Result<Option<PathError>> {
    loop {
        // Nobody needs the datagram's beginning, which comes along.
        match receiver.receive(socket, libc::MSG_ERRQUEUE, std::iter::once(<&mut [u8]>::default())) {
            Ok(_one) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        let Some(message) = receiver.message(0) else { return Ok(None) };
        if let (Some(error), Some(to)) = (extended_error(message.control), message.name)
            && let Some(error) = error.about(to)
        {
            return Ok(Some(error));
        }
    }
}

/// `struct sock_extended_err`: errno (4), origin, type, code, padding, info (4), data (4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ExtendedError {
    errno: i32,
    origin: u8,
    icmp_type: u8,
    icmp_code: u8,
    info: u32,
}

impl ExtendedError {
    fn about(self, to: SocketAddr) -> Option<PathError> {
        let (icmp_type, icmp_code) = match (self.origin, to) {
            (ORIGIN_ICMP, SocketAddr::V4(_)) | (ORIGIN_ICMP6, SocketAddr::V6(_)) => {
                (self.icmp_type, self.icmp_code)
            }
            // We are the router that would have had to fragment.
            (ORIGIN_LOCAL, _) if self.errno == libc::EMSGSIZE => match to {
                SocketAddr::V4(_) => FRAGMENTATION_NEEDED,
                SocketAddr::V6(_) => PACKET_TOO_BIG,
            },
            (_, _) => return None,
        };
        Some(PathError { to, icmp_type, icmp_code, mtu: self.info })
    }
}

/// Finds the error among control messages.
fn extended_error(control: &[u8]) -> Option<ExtendedError> {
    let wanted = [(libc::SOL_IP, libc::IP_RECVERR), (libc::SOL_IPV6, libc::IPV6_RECVERR)];
    let error = ancillaries(control).find(|message| wanted.contains(&(message.level, message.kind)))?;
    let &[e0, e1, e2, e3, origin, icmp_type, icmp_code, _, i0, i1, i2, i3, ..] = error.data else {
        return None;
    };
    Some(ExtendedError {
        errno: i32::from_ne_bytes([e0, e1, e2, e3]),
        origin,
        icmp_type,
        icmp_code,
        info: u32::from_ne_bytes([i0, i1, i2, i3]),
    })
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_closed_port_is_reported_with_the_address_that_the_datagram_went_to() {
        let mut receiver = Receiver::new(1);
        for (ip, expected) in [("127.0.0.1", (3, 3)), ("::1", (1, 4))] {
            let socket = UdpSocket::bind((ip, 0)).unwrap();
            keep_path_errors(&socket, socket.local_addr().unwrap()).unwrap();
            assert_eq!(path_error(&socket, &mut receiver).unwrap(), None);
            let closed = UdpSocket::bind((ip, 0)).unwrap().local_addr().unwrap();
            socket.send_to(b"anybody?", closed).unwrap();
            // The kernel answers itself before `send_to` returns, and the error ends the wait.
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            socket.recv_from(&mut [0; 8]).unwrap_err();
            let (icmp_type, icmp_code) = expected;
            let error = PathError { to: closed, icmp_type, icmp_code, mtu: 0 };
            assert_eq!(path_error(&socket, &mut receiver).unwrap(), Some(error));
            assert_eq!(path_error(&socket, &mut receiver).unwrap(), None);
        }
    }

    #[test]
    fn a_local_error_counts_as_that_of_a_router_if_it_is_about_size() {
        let local =
            |errno| ExtendedError { errno, origin: ORIGIN_LOCAL, icmp_type: 0, icmp_code: 0, info: 1400 };
        let v4 = local(libc::EMSGSIZE).about("192.0.2.1:1".parse().unwrap()).unwrap();
        assert_eq!((v4.icmp_type, v4.icmp_code, v4.mtu), (3, 4, 1400));
        let v6 = local(libc::EMSGSIZE).about("[2001:db8::1]:1".parse().unwrap()).unwrap();
        assert_eq!((v6.icmp_type, v6.icmp_code, v6.mtu), (2, 0, 1400));
        assert_eq!(local(libc::ENETUNREACH).about("192.0.2.1:1".parse().unwrap()), None);
    }

    #[test]
    fn an_error_is_found_behind_control_messages_of_another_kind() {
        let mut control = Vec::new();
        for (length, level, kind) in [(20usize, libc::SOL_SOCKET, 1), (32, libc::SOL_IP, libc::IP_RECVERR)] {
            control.extend(length.to_ne_bytes());
            control.extend(level.to_ne_bytes());
            control.extend(kind.to_ne_bytes());
            control.extend([0; 8]);
        }
        control.truncate(40);
        control.extend([0, 0, 0, 0, 2, 3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let found = extended_error(&control).unwrap();
        assert_eq!((found.origin, found.icmp_type, found.icmp_code), (2, 3, 3));
    }
}
