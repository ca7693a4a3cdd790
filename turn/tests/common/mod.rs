//! What the relay's tests share: a relay of their own, and a client that speaks to it over real sockets.
#![allow(dead_code, reason = "each test uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

pub mod client;
#[cfg(feature = "dtls")]
pub mod dtls;
pub mod metrics;
pub mod relay;
pub mod tls;
pub mod tools;
pub mod trains;
pub mod transport;

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use causeway_service::clock;

/// Longer than anything here takes on a loaded machine; a test that runs into it has failed.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Repeats `step`, which takes part in what is waited for, until it says that it has happened.
#[track_caller]
pub fn until(mut step: impl FnMut() -> bool) {
    let deadline = clock::now().moment.plus(PATIENCE);
    while !step() {
        assert!(clock::now().moment < deadline, "it does not happen in {PATIENCE:?}");
    }
}

/// A UDP socket on a free port of `ip`, for a peer. Reading from it ends after [`PATIENCE`].
pub fn peer(ip: &str) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).expect("a free port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    socket
}

/// The next datagram that `socket` receives, and its source.
pub fn receive(socket: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = vec![0; 65_536];
    let (length, source) = socket.recv_from(&mut buffer).expect("a datagram in time");
    buffer.truncate(length);
    (buffer, source)
}
