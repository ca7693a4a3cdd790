//! How a test's client reaches the relay: datagrams, or frames in a stream of bytes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use causeway_stun::Frame;

/// Sends and receives whole messages.
pub trait Transport: Send {
    fn send(&mut self, message: &[u8]);

    /// The next message; `None` if none comes within `patience`.
    fn receive(&mut self, patience: Duration) -> Option<Vec<u8>>;

    /// The client's own address.
    fn address(&self) -> SocketAddr;

    /// Whether messages follow one another in a stream.
    fn is_stream(&self) -> bool;
}

pub struct Datagrams {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Datagrams {
    pub fn new(server: SocketAddr) -> Self {
        let any = if server.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
        Self::on(UdpSocket::bind(any).expect("a free port"), server)
    }

    pub fn on(socket: UdpSocket, server: SocketAddr) -> Self {
        Self { socket, server }
    }
}

impl Transport for Datagrams {
    fn send(&mut self, message: &[u8]) {
        self.socket.send_to(message, self.server).expect("a datagram sent");
    }

    fn receive(&mut self, patience: Duration) -> Option<Vec<u8>> {
        self.socket.set_read_timeout(Some(patience)).expect("a socket option");
        let mut buffer = vec![0; 65_536];
        match self.socket.recv_from(&mut buffer) {
            Ok((length, source)) => {
                assert_eq!(source, self.server, "what comes, comes from where the client sends to");
                buffer.truncate(length);
                Some(buffer)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("a bound socket")
    }

    fn is_stream(&self) -> bool {
        false
    }
}

/// What is on top of TCP, and the TCP below.
pub trait Bytes: Read + Write + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Bytes for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

/// A client's end of a connection.
pub struct Stream<B> {
    pub bytes: B,
    unread: Vec<u8>,
}

/// Connects to the relay over TCP.
pub fn connect(server: SocketAddr) -> TcpStream {
    let tcp = TcpStream::connect(server).expect("a connection");
    tcp.set_nodelay(true).expect("a socket option");
    tcp.set_read_timeout(Some(super::PATIENCE)).expect("a socket option");
    tcp
}

impl Stream<TcpStream> {
    pub fn tcp(server: SocketAddr) -> Self {
        Self::over(connect(server))
    }
}

impl<B: Bytes> Stream<B> {
    pub fn over(bytes: B) -> Self {
        Self { bytes, unread: Vec::new() }
    }

    /// The first whole frame that has come.
    fn frame(&mut self) -> Option<Vec<u8>> {
        let (length, padded) = match Frame::at_start(&self.unread) {
            Frame::Need(_) => return None,
            Frame::Stun(length) => (length, length),
            Frame::ChannelData { length, padded } => (length, padded),
            Frame::Invalid => panic!("the relay sends garbage: {:02x?}", self.unread),
        };
        let mut frame: Vec<u8> = self.unread.drain(..padded).collect();
        frame.truncate(length);
        Some(frame)
    }
}

impl<B: Bytes> Transport for Stream<B> {
    fn send(&mut self, message: &[u8]) {
        self.bytes.write_all(message).expect("bytes sent");
        self.bytes.flush().expect("bytes sent");
    }

    fn receive(&mut self, patience: Duration) -> Option<Vec<u8>> {
        self.bytes.tcp().set_read_timeout(Some(patience)).expect("a socket option");
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.frame() {
                return Some(frame);
            }
            match self.bytes.read(&mut buffer) {
                Ok(0) => panic!("the relay has closed the connection"),
                Ok(length) => self.unread.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn address(&self) -> SocketAddr {
        self.bytes.tcp().local_addr().expect("a bound socket")
    }

    fn is_stream(&self) -> bool {
        true
    }
}

/// Waits until the relay has closed a connection, and says what came before.
#[track_caller]
pub fn read_until_closed(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Ok(_) => bytes,
        // Closed with bytes of ours that nobody read, or in the middle of TLS.
        Err(error) if closed(&error) => bytes,
        Err(error) => panic!("the connection is still open: {error}"),
    }
}

fn closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe)
}
