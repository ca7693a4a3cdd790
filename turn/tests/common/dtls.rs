//! A DTLS client in front of a plain one: what it is sent as plain datagrams goes to the relay in records, and back.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use causeway_service::clock;
use dimpl::{Config, Dtls, DtlsCertificate, Output};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};

const PLAIN: Token = Token(0);
const SECURE: Token = Token(1);
const WAKER: Token = Token(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Dtls12,
    Dtls13,
}

/// Works until it is dropped, which sends a `close_notify`.
pub struct Tunnel {
    /// Where a plain client sends to.
    pub plain: SocketAddr,
    /// Where the relay sees the client.
    pub outside: SocketAddr,
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Tunnel {
    pub fn to(relay: SocketAddr, version: Version) -> Self {
        let any: SocketAddr = SocketAddr::new(relay.ip(), 0);
        let mut plain = UdpSocket::bind(any).expect("a free port");
        let mut secure = UdpSocket::bind(any).expect("a free port");
        let (plain_address, outside) = (plain.local_addr().unwrap(), secure.local_addr().unwrap());
        let poll = Poll::new().unwrap();
        poll.registry().register(&mut plain, PLAIN, Interest::READABLE).unwrap();
        poll.registry().register(&mut secure, SECURE, Interest::READABLE).unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let ends = Ends { relay, plain, secure, client: None, dtls: client(version), waiting: Vec::new() };
        let stopping = Arc::clone(&stop);
        let thread = std::thread::spawn(move || ends.run(poll, &stopping));
        Self { plain: plain_address, outside, stop, waker, thread: Some(thread) }
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the tunnel broke");
        }
    }
}

/// A client's side of DTLS that has said nothing yet.
pub fn client(version: Version) -> Dtls {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = rcgen::CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap();
    let certificate =
        DtlsCertificate { certificate: certificate.der().to_vec(), private_key: key.serialize_der() };
    let config = Arc::new(Config::default());
    let now = clock::instant(clock::now().moment);
    let mut dtls = match version {
        Version::Dtls12 => Dtls::new_12(config, certificate, now),
        Version::Dtls13 => Dtls::new_13(config, certificate, now),
    };
    dtls.set_active(true);
    dtls.handle_timeout(now).unwrap();
    dtls
}

/// The first datagram of a client: its ClientHello.
pub fn client_hello(version: Version) -> Vec<u8> {
    let mut buffer = vec![0; 2048];
    match client(version).poll_output(&mut buffer) {
        Output::Packet(hello) => hello.to_vec(),
        other => panic!("unexpected {other:?}"),
    }
}

struct Ends {
    relay: SocketAddr,
    plain: UdpSocket,
    secure: UdpSocket,
    client: Option<SocketAddr>,
    dtls: Dtls,
    /// What the client said before the handshake was over.
    waiting: Vec<Vec<u8>>,
}

impl Ends {
    fn run(mut self, mut poll: Poll, stop: &AtomicBool) {
        let mut events = Events::with_capacity(8);
        let mut connected = false;
        let mut due = self.drain(&mut connected);
        while !stop.load(Ordering::Acquire) {
            let now = clock::instant(clock::now().moment);
            let timeout = due.saturating_duration_since(now).min(Duration::from_secs(1));
            poll.poll(&mut events, Some(timeout)).unwrap();
            self.dtls.handle_timeout(clock::instant(clock::now().moment)).unwrap();
            let mut buffer = vec![0; 65_536];
            while let Some((length, _)) = receive(&self.secure, &mut buffer) {
                self.dtls.handle_packet(&buffer[..length]).unwrap();
                due = self.drain(&mut connected);
            }
            while let Some((length, source)) = receive(&self.plain, &mut buffer) {
                self.client = Some(source);
                self.waiting.push(buffer[..length].to_vec());
            }
            if connected {
                for datagram in std::mem::take(&mut self.waiting) {
                    self.dtls.send_application_data(&datagram).unwrap();
                    due = self.drain(&mut connected);
                }
            }
            due = self.drain(&mut connected).min(due);
        }
        self.dtls.close().unwrap();
        self.drain(&mut connected);
    }

    fn drain(&mut self, connected: &mut bool) -> std::time::Instant {
        let mut buffer = vec![0; 20_000];
        loop {
            match self.dtls.poll_output(&mut buffer) {
                Output::Packet(record) => {
                    self.secure.send_to(record, self.relay).unwrap();
                }
                Output::ApplicationData(data) => {
                    self.plain.send_to(data, self.client.unwrap()).unwrap();
                }
                Output::Connected => *connected = true,
                Output::Timeout(due) => return due,
                _ => {}
            }
        }
    }
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    match socket.recv_from(buffer) {
        Ok(received) => Some(received),
        // Whoever was there before is gone.
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::ConnectionRefused) => None,
        Err(error) => panic!("{error}"),
    }
}
