//! A connection of the relay's with the client's end in hand: a pair of local sockets, which read, write and block as
//! TCP's do and take no ports.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use causeway_protocol::Moment;
use causeway_turn_core::ListenerId;
use rustls::ServerConfig;

use crate::proxied::Proxies;
use crate::stream::{Accepted, CHUNK, CloseReason, Connection, Fill, Sources};

/// Both ends.
pub(super) struct Pipe {
    pub(super) client: UnixStream,
    pub(super) connection: Connection,
    pub(super) accepted: Accepted,
    chunk: Vec<u8>,
}

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Client,
    Proxy,
}

impl Pipe {
    pub(super) fn new(who: Who, tls: Option<Arc<ServerConfig>>, high_water: usize) -> Self {
        let (client, relay) = UnixStream::pair().expect("two sockets");
        client.set_nonblocking(true).expect("an open socket");
        relay.set_nonblocking(true).expect("an open socket");
        let relay = mio::net::TcpStream::from_std(TcpStream::from(OwnedFd::from(relay)));
        let source = SocketAddr::from(([192, 0, 2, 1], 1000));
        let sources = Arc::new(Sources::new(1));
        let place = match who {
            Who::Client => sources.enter(source.ip()),
            Who::Proxy => None,
        };
        let connection = Connection::new(relay, source, ListenerId(0), high_water, place, Moment::default());
        let accepted = Accepted { tcp: true, tls, proxies: Proxies::default(), sources };
        Self { client, connection, accepted, chunk: vec![0; CHUNK] }
    }

    /// The client sends, as much as the kernel takes.
    pub(super) fn send(&mut self, mut bytes: &[u8]) -> usize {
        let whole = bytes.len();
        while !bytes.is_empty() {
            match self.client.write(bytes) {
                Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::BrokenPipe | ErrorKind::ConnectionReset => break,
                    ErrorKind::Interrupted => {}
                    other => panic!("a local socket fails with {other}"),
                },
            }
        }
        whole.saturating_sub(bytes.len())
    }

    /// What the relay has sent, up to so many bytes.
    pub(super) fn read(&mut self, most: usize) -> Vec<u8> {
        let mut bytes = vec![0; most];
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.client.read(room) {
                Ok(0) => break,
                Ok(count) => filled = filled.saturating_add(count),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock | ErrorKind::ConnectionReset => break,
                    ErrorKind::Interrupted => {}
                    other => panic!("a local socket fails with {other}"),
                },
            }
        }
        bytes.truncate(filled);
        bytes
    }

    /// One look at the relay's end: what it brought is given to `take`, which says what is left of it.
    pub(super) fn receive(
        &mut self,
        take: impl FnOnce(&mut Connection, &[u8]) -> Result<usize, CloseReason>,
    ) -> Result<Fill, CloseReason> {
        let fill = self.connection.receive(&mut self.chunk, &self.accepted)?;
        if let Fill::Bytes(count) = fill {
            let bytes = self.chunk.get(..count).expect("what was read is within the chunk");
            let left = take(&mut self.connection, bytes)?;
            let rest = bytes.len().checked_sub(left).and_then(|taken| bytes.get(taken..));
            self.connection.keep(rest.expect("what is left was there"));
        }
        Ok(fill)
    }
}
