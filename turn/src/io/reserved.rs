//! The sockets of reserved ports (RFC 8656 §7.2), set aside for whichever worker is asked for them.
//!
//! Who presents a RESERVATION-TOKEN comes from another port than who got it, so the kernel's hash usually leads it to
//! another worker. The port goes to where its client is: its socket waits here, deaf, and that worker takes it. The lock
//! is taken for requests with EVEN-PORT or a token, and never for data.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mio::net::UdpSocket;

/// One worker's way to the sockets that the process has set aside. Dropping the last one closes them.
pub(crate) struct ReservedSockets {
    worker: usize,
    aside: Arc<Mutex<HashMap<SocketAddr, Aside>>>,
    taken_over: u64,
}

struct Aside {
    by: usize,
    socket: UdpSocket,
}

impl ReservedSockets {
    /// One for each of so many workers.
    pub(crate) fn among(workers: usize) -> Vec<Self> {
        let aside = Arc::default();
        (0..workers).map(|worker| Self { worker, aside: Arc::clone(&aside), taken_over: 0 }).collect()
    }

    /// Sets a bound socket aside that no poll knows.
    pub(crate) fn set_aside(&self, address: SocketAddr, socket: UdpSocket) {
        self.sockets().insert(address, Aside { by: self.worker, socket });
    }

    /// The socket that was set aside for an address, if it still is.
    pub(crate) fn take(&mut self, address: SocketAddr) -> Option<UdpSocket> {
        let Aside { by, socket } = self.sockets().remove(&address)?;
        if by != self.worker {
            self.taken_over = self.taken_over.wrapping_add(1);
        }
        Some(socket)
    }

    /// Closes the socket that was set aside for an address.
    pub(crate) fn close(&self, address: SocketAddr) {
        self.sockets().remove(&address);
    }

    /// How many sockets this worker took that another had set aside.
    pub(crate) const fn taken_over(&self) -> u64 {
        self.taken_over
    }

    fn sockets(&self) -> MutexGuard<'_, HashMap<SocketAddr, Aside>> {
        self.aside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_goes_once_to_whoever_asks_and_only_those_of_others_count() {
        let mut workers = ReservedSockets::among(2);
        for (taker, taken_over) in [(0, 0), (1, 1)] {
            let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let address = socket.local_addr().unwrap();
            workers[0].set_aside(address, socket);
            assert_eq!(workers[taker].take(address).unwrap().local_addr().unwrap(), address);
            assert!(workers[taker].take(address).is_none());
            assert_eq!(workers[taker].taken_over(), taken_over);
        }
    }

    #[test]
    fn any_worker_may_close_a_socket_and_its_port_is_free() {
        let workers = ReservedSockets::among(2);
        let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        workers[0].set_aside(address, socket);
        assert!(UdpSocket::bind(address).is_err());
        workers[1].close(address);
        UdpSocket::bind(address).expect("the port is free");
    }
}
