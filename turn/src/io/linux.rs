//! What Linux offers and no safe library wraps: many datagrams in one call, with what the kernel says beside them.
//!
//! The only unsafe code of the project.
#![allow(unsafe_code)]

use std::io;
use std::marker::PhantomData;
use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

/// `struct sockaddr_in6`; an IPv4 address takes 16 bytes of it.
const NAME: usize = size_of::<libc::sockaddr_in6>();
#[expect(clippy::cast_possible_truncation, reason = "28")]
const NAME_LENGTH: libc::socklen_t = NAME as libc::socklen_t;
/// Room for control messages: a `sock_extended_err` (16) with its offender's address (28) takes 64.
const CONTROL: usize = 128;
/// The control message of `UDP_SEGMENT`: a header of 16 bytes, and two of data padded to eight.
const SEGMENT_CONTROL: usize = 24;
const SEND_FLAGS: libc::c_int = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;

/// Sets a socket option that is an integer.
pub(crate) fn set_option(
    socket: &impl AsFd,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(&value)).map_err(io::Error::other)?;
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open while `socket` is borrowed, and the kernel reads `length` bytes at `value`, which
    // lives until the call returns.
    let result = unsafe { libc::setsockopt(descriptor, level, option, (&raw const value).cast(), length) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// An address as the kernel writes it.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Name([u8; NAME]);

impl Name {
    const EMPTY: Self = Self([0; NAME]);

    /// The name and how many of its bytes count.
    fn of(address: SocketAddr) -> (Self, libc::socklen_t) {
        let Self(mut bytes) = Self::EMPTY;
        let [f0, f1, p0, p1, rest @ ..] = &mut bytes;
        [*p0, *p1] = address.port().to_be_bytes();
        let (family, length) = match address {
            SocketAddr::V4(v4) => {
                let [a0, a1, a2, a3, ..] = rest;
                [*a0, *a1, *a2, *a3] = v4.ip().octets();
                (libc::AF_INET, size_of::<libc::sockaddr_in>())
            }
            SocketAddr::V6(v6) => {
                let flow = v6.flowinfo().to_ne_bytes();
                let fields = flow.into_iter().chain(v6.ip().octets()).chain(v6.scope_id().to_ne_bytes());
                rest.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
                (libc::AF_INET6, NAME)
            }
        };
        [*f0, *f1] = libc::sa_family_t::try_from(family).unwrap_or_default().to_ne_bytes();
        (Self(bytes), libc::socklen_t::try_from(length).unwrap_or_default())
    }

    fn address(&self) -> Option<SocketAddr> {
        let [f0, f1, p0, p1, rest @ ..] = &self.0;
        let port = u16::from_be_bytes([*p0, *p1]);
        match libc::c_int::from(u16::from_ne_bytes([*f0, *f1])) {
            libc::AF_INET => {
                let &[a0, a1, a2, a3, ..] = rest;
                Some(SocketAddr::from(([a0, a1, a2, a3], port)))
            }
            libc::AF_INET6 => {
                let (&flow, rest) = rest.split_first_chunk::<4>()?;
                let (&ip, rest) = rest.split_first_chunk::<16>()?;
                let (&scope, _) = rest.split_first_chunk::<4>()?;
                let (flow, scope) = (u32::from_ne_bytes(flow), u32::from_ne_bytes(scope));
                Some(SocketAddr::V6(SocketAddrV6::new(Ipv6Addr::from(ip), port, flow, scope)))
            }
            _ => None,
        }
    }
}

/// Receives several messages in one call, and keeps what the kernel said about them until the next.
pub(crate) struct Receiver {
    headers: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    names: Box<[Name]>,
    controls: Box<[Control]>,
    received: usize,
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// What came in one message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Received<'a> {
    /// How many bytes of its buffer it takes.
    pub(crate) length: usize,
    /// From whom, or about whom if it is an error.
    pub(crate) name: Option<SocketAddr>,
    /// Its control messages.
    pub(crate) control: &'a [u8],
}

impl Receiver {
    /// For at most `most` messages a call.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            headers: vec![empty_header(); most].into_boxed_slice(),
            vectors: vec![libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; most]
                .into_boxed_slice(),
            names: vec![Name::EMPTY; most].into_boxed_slice(),
            controls: vec![Control([0; CONTROL]); most].into_boxed_slice(),
            received: 0,
        }
    }

    /// Receives into `buffers`, one message each, without waiting: how many came, at least one.
    ///
    /// An error of the socket that is found behind the first message fails the next call instead of this one.
    pub(crate) fn receive<'a>(
        &mut self,
        socket: &impl AsFd,
        flags: libc::c_int,
        buffers: impl Iterator<Item = &'a mut [u8]>,
    ) -> io::Result<usize> {
        self.received = 0;
        let mut count = 0;
        let places = self.headers.iter_mut().zip(&mut self.vectors);
        let places = places.zip(self.names.iter_mut().zip(&mut self.controls));
        // The places first: a buffer that were taken without one would be lost.
        for (((header, vector), (name, control)), buffer) in places.zip(buffers) {
            *vector = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let message = &mut header.msg_hdr;
            message.msg_name = (&raw mut name.0).cast();
            message.msg_namelen = NAME_LENGTH;
            message.msg_iov = vector;
            message.msg_iovlen = 1;
            message.msg_control = (&raw mut control.0).cast();
            message.msg_controllen = CONTROL;
            message.msg_flags = 0;
            count += 1;
        }
        let descriptor = socket.as_fd().as_raw_fd();
        let (headers, flags) = (self.headers.as_mut_ptr(), flags | libc::MSG_DONTWAIT);
        // SAFETY: the descriptor is open while `socket` is borrowed. The first `count` headers were filled in above
        // with pointers to a buffer, which is borrowed until this function ends, and to a vector, a name and a control
        // buffer of `self`, each with its own length. Nothing else refers to them during the call.
        let received = unsafe { libc::recvmmsg(descriptor, headers, count, flags, std::ptr::null_mut()) };
        self.received = usize::try_from(received).map_err(|_negative| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// What the last call brought in this place.
    pub(crate) fn message(&self, index: usize) -> Option<Received<'_>> {
        let header = self.headers.get(..self.received)?.get(index)?;
        let Control(control) = self.controls.get(index)?;
        Some(Received {
            length: header.msg_len as usize,
            name: self.names.get(index).filter(|_| header.msg_hdr.msg_namelen > 0).and_then(Name::address),
            control: control.get(..header.msg_hdr.msg_controllen).unwrap_or_default(),
        })
    }
}

/// Sends several messages in one call, each gathered from parts that stay where they are.
pub(crate) struct Sender {
    messages: Vec<Outgoing>,
    parts: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

struct Outgoing {
    name: Name,
    name_length: libc::socklen_t,
    segment: SegmentControl,
    is_segmented: bool,
    parts: std::ops::Range<usize>,
}

#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct SegmentControl([u8; SEGMENT_CONTROL]);

/// Messages that are put together for one call; their parts are borrowed for `'a`.
pub(crate) struct Gathering<'s, 'a> {
    sender: &'s mut Sender,
    parts: PhantomData<&'a [u8]>,
}

impl Sender {
    /// With room for so many messages of so many parts together; more of either makes it grow.
    pub(crate) fn new(messages: usize, parts: usize) -> Self {
        Self {
            messages: Vec::with_capacity(messages),
            parts: Vec::with_capacity(parts),
            headers: Vec::with_capacity(messages),
        }
    }

    /// Begins anew.
    pub(crate) fn gather<'a>(&mut self) -> Gathering<'_, 'a> {
        self.messages.clear();
        self.parts.clear();
        Gathering { sender: self, parts: PhantomData }
    }
}

impl<'a> Gathering<'_, 'a> {
    /// Begins a message. With a `segment` the kernel cuts it into datagrams of so many bytes, the last of which may be
    /// shorter (udp(7), `UDP_SEGMENT`).
    pub(crate) fn message(&mut self, to: SocketAddr, segment: Option<u16>) {
        let (name, name_length) = Name::of(to);
        let start = self.sender.parts.len();
        self.sender.messages.push(Outgoing {
            name,
            name_length,
            segment: SegmentControl::of(segment.unwrap_or_default()),
            is_segmented: segment.is_some(),
            parts: start..start,
        });
    }

    /// Adds to the last message.
    pub(crate) fn part(&mut self, bytes: &'a [u8]) {
        let Some(message) = self.sender.messages.last_mut() else { return };
        if !bytes.is_empty() {
            let start = bytes.as_ptr().cast_mut().cast();
            self.sender.parts.push(libc::iovec { iov_base: start, iov_len: bytes.len() });
            message.parts.end += 1;
        }
    }

    /// Sends the messages from `first` on, without waiting: how many left, at least one. An error is about the first.
    pub(crate) fn send(&mut self, socket: &impl AsFd, first: usize) -> io::Result<usize> {
        let Sender { messages, parts, headers } = &mut *self.sender;
        if let Some([message]) = messages.get(first..)
            && let Some([part]) = parts.get(message.parts.clone())
            && !message.is_segmented
        {
            return send_part(socket, message, part).map(|()| 1);
        }
        headers.clear();
        for message in messages.get_mut(first..).unwrap_or_default() {
            let vectors = parts.get_mut(message.parts.clone()).unwrap_or_default();
            let mut header = empty_header();
            header.msg_hdr.msg_name = (&raw mut message.name.0).cast();
            header.msg_hdr.msg_namelen = message.name_length;
            header.msg_hdr.msg_iovlen = vectors.len();
            header.msg_hdr.msg_iov = vectors.as_mut_ptr();
            if message.is_segmented {
                header.msg_hdr.msg_control = (&raw mut message.segment.0).cast();
                header.msg_hdr.msg_controllen = SEGMENT_CONTROL;
            }
            headers.push(header);
        }
        let descriptor = socket.as_fd().as_raw_fd();
        let count = libc::c_uint::try_from(headers.len()).map_err(io::Error::other)?;
        // SAFETY: the descriptor is open while `socket` is borrowed. Each of the `count` headers points to a name, a
        // control message and vectors of `self.sender`, none of which is touched before the call returns, and the
        // vectors to parts that are borrowed for 'a, which `self` does not outlive. The kernel only reads them.
        let sent = unsafe { libc::sendmmsg(descriptor, headers.as_mut_ptr(), count, SEND_FLAGS) };
        usize::try_from(sent).map_err(|_negative| io::Error::last_os_error())
    }
}

/// Sends a message of one part, which needs fewer structures to be copied and checked.
fn send_part(socket: &impl AsFd, message: &Outgoing, part: &libc::iovec) -> io::Result<()> {
    let (descriptor, name) = (socket.as_fd().as_raw_fd(), (&raw const message.name.0).cast());
    // SAFETY: the descriptor is open while `socket` is borrowed; the name is borrowed with its length, and so is what the
    // part points to while a `Gathering` sends it. The kernel only reads both.
    let sent = unsafe {
        libc::sendto(descriptor, part.iov_base, part.iov_len, SEND_FLAGS, name, message.name_length)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl SegmentControl {
    fn of(segment: u16) -> Self {
        let length = (SEGMENT_CONTROL - 6_usize).to_ne_bytes();
        let (level, kind) = (libc::SOL_UDP.to_ne_bytes(), libc::UDP_SEGMENT.to_ne_bytes());
        let fields = length.into_iter().chain(level).chain(kind).chain(segment.to_ne_bytes());
        let mut control = [0; SEGMENT_CONTROL];
        control.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        Self(control)
    }
}

fn empty_header() -> libc::mmsghdr {
    libc::mmsghdr {
        msg_hdr: libc::msghdr {
            msg_name: std::ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: std::ptr::null_mut(),
            msg_iovlen: 0,
            msg_control: std::ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        },
        msg_len: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn a_name_is_the_address_again() {
        for address in ["192.0.2.1:5000", "[2001:db8::1]:65535"] {
            let address: SocketAddr = address.parse().unwrap();
            assert_eq!(Name::of(address).0.address(), Some(address));
        }
        let scoped = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 1, 0x000F_0000, 3));
        assert_eq!(Name::of(scoped).0.address(), Some(scoped));
        assert_eq!(Name::EMPTY.address(), None);
    }

    #[test]
    fn messages_arrive_whole_in_order_and_with_their_sender() {
        for ip in ["127.0.0.1", "::1"] {
            let [one, other] = [0; 2].map(|port| UdpSocket::bind((ip, port)).unwrap());
            let to = other.local_addr().unwrap();
            let mut sender = Sender::new(2, 4);
            let mut gathering = sender.gather();
            for parts in [[b"head ".as_slice(), b"body"], [b"".as_slice(), b"alone"]] {
                gathering.message(to, None);
                parts.iter().for_each(|part| gathering.part(part));
            }
            assert_eq!(gathering.send(&one, 0).unwrap(), 2);
            assert_eq!(gathering.send(&one, 1).unwrap(), 1);

            let mut buffers = [[0; 64]; 4];
            let mut receiver = Receiver::new(3);
            let received = receiver.receive(&other, 0, buffers.iter_mut().map(<[u8; 64]>::as_mut_slice));
            assert_eq!(received.unwrap(), 3);
            let texts = [b"head body".as_slice(), b"alone", b"alone"];
            for (index, text) in texts.into_iter().enumerate() {
                let message = receiver.message(index).unwrap();
                assert_eq!(&buffers[index][..message.length], text);
                assert_eq!(message.name, Some(one.local_addr().unwrap()));
            }
            assert!(receiver.message(3).is_none());
            let error = receiver.receive(&other, 0, std::iter::once(buffers[0].as_mut_slice())).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
            assert!(receiver.message(0).is_none());
        }
    }

    #[test]
    fn an_error_is_about_the_first_message_that_did_not_leave() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = socket.local_addr().unwrap();
        let too_long = vec![0; 65_600];
        let mut sender = Sender::new(2, 2);
        let mut gathering = sender.gather();
        for part in [b"fits".as_slice(), &too_long, b"fits"] {
            gathering.message(to, None);
            gathering.part(part);
        }
        assert_eq!(gathering.send(&socket, 0).unwrap(), 1);
        assert_eq!(gathering.send(&socket, 1).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
        assert_eq!(gathering.send(&socket, 2).unwrap(), 1);
    }
}
