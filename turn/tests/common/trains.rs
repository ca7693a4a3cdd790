//! Datagrams that leave as one message, as senders with `UDP_SEGMENT` send them.
#![allow(unsafe_code, reason = "no safe function sets the option")]

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

/// Sends datagrams of one size, the last of which may be shorter, as one message.
pub fn send_train(socket: &UdpSocket, to: SocketAddr, datagrams: &[Vec<u8>]) {
    cut(socket, datagrams[0].len());
    let whole = datagrams.concat();
    assert_eq!(socket.send_to(&whole, to).expect("a train sent"), whole.len());
    cut(socket, 0);
}

fn cut(socket: &UdpSocket, size: usize) {
    let size = libc::c_int::try_from(size).expect("a small number");
    // SAFETY: the descriptor is open while `socket` is borrowed, and the kernel reads the four bytes of `size`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_SEGMENT,
            (&raw const size).cast(),
            libc::socklen_t::try_from(size_of::<libc::c_int>()).expect("four"),
        )
    };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}
