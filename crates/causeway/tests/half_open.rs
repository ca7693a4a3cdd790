//! Ten thousand connections that begin and say nothing more: they are bounded, and gone when their time is over.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use common::{PATIENCE, Running, get};
use socket2::{Domain, SockRef, Socket, Type};

/// WebSockets at a time, in all and from one address; so twice as many connections and 64.
const MAX_SESSIONS: usize = 4_000;
const MAX_PER_ADDRESS: usize = 100;
/// From one address, and from one each.
const FROM_ONE: usize = 3_000;
const FROM_MANY: usize = 7_000;
/// In kB: what the process has at its start, and some 20 for each connection.
const MOST_RESIDENT: u64 = 256 * 1024;
/// Connections that the test itself, and whoever looks at the pages, may have open besides.
const OTHERS: u64 = 8;

/// How often the server is asked whether all is over; a question takes about a millisecond.
const QUESTIONS: usize = 10_000;

const NOTHING: &str = "";
const HALF_A_HEAD: &str = "GET /api/v1/ws HTTP/1.1\r\nhost: x\r\nx-";
const NO_HELLO: &str = "GET /api/v1/ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                        sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

#[test]
fn ten_thousand_half_open_handshakes_are_bounded_and_end_with_their_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("causeway.toml");
    let settings = format!(
        "[signal]\nmax_sessions = {MAX_SESSIONS}\nmax_sessions_per_ip = {MAX_PER_ADDRESS}\n\
         [signal.timing]\nhello_ms = 5000\nlinger_ms = 1000\n"
    );
    std::fs::write(&config, settings).unwrap();
    let server = Running::start(
        &[
            "serve",
            "--config",
            config.to_str().unwrap(),
            "--http",
            "127.0.0.1:0",
            "--turn-port",
            "0",
            "--tls-port",
            "0",
            "--listen",
            "127.0.0.1",
            "--data-dir",
            folder.path().to_str().unwrap(),
        ],
        folder.path(),
    );
    let http = server.http.unwrap();
    let first = flood(&server, http);
    let second = flood(&server, http);
    println!("resident: {first:?} and {second:?} kB");
    // The allocator keeps what was freed for the next flood, which therefore takes less.
    assert!(second.growth() < first.growth(), "a second flood takes what the first gave back");
    assert!(second.after < MOST_RESIDENT, "{} kB", second.after);
    assert_eq!(server.terminate(), Some(0));
}

/// Kilobytes that the process had in memory.
#[derive(Debug)]
struct Resident {
    before: u64,
    after: u64,
}

impl Resident {
    const fn growth(&self) -> u64 {
        self.after.saturating_sub(self.before)
    }
}

fn flood(server: &Running, http: SocketAddr) -> Resident {
    let before = server.resident();
    let one = Ipv4Addr::new(127, 0, 0, 2);
    let mut open: Vec<_> = (0..FROM_ONE).filter_map(|_| connect(one, http, NOTHING)).collect();
    for n in 0..FROM_MANY {
        let n = u16::try_from(n).unwrap().to_be_bytes();
        let says = [NOTHING, HALF_A_HEAD, NO_HELLO][usize::from(n[1]) % 3];
        open.extend(connect(Ipv4Addr::new(127, 1, n[0], n[1]), http, says));
    }
    // Others are served meanwhile.
    let page = get(http, "/api/v1/rooms/nowhere");
    assert!(page.starts_with("HTTP/1.1 404"), "{page}");
    let bounded = u64::try_from(FROM_MANY + 2 * MAX_PER_ADDRESS + 64).unwrap();
    let connections = server.metric("causeway_signal_connections ");
    assert!(connections <= bounded + OTHERS, "{connections}");
    assert!(connections >= u64::try_from(FROM_MANY).unwrap() / 2, "{connections}: too slow to mean anything");
    assert!(server.metric("causeway_signal_connections_refused_total{limit=\"address\"}") > 0);
    for mut socket in open {
        read_to_its_end(&mut socket);
    }
    // The server's side ends a moment after ours.
    let gone = || server.metric("causeway_signal_connections ") <= OTHERS && server.open_files() < 200;
    assert!((0..QUESTIONS).any(|_| gone()), "{} files are still open", server.open_files());
    assert_eq!(server.metric("causeway_signal_sessions "), 0);
    Resident { before, after: server.resident() }
}

/// `None`: the server does not want it.
fn connect(from: Ipv4Addr, to: SocketAddr, says: &str) -> Option<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
    socket.connect(&to.into()).unwrap();
    let mut stream = TcpStream::from(socket);
    stream.write_all(says.as_bytes()).ok()?;
    Some(stream)
}

fn read_to_its_end(socket: &mut TcpStream) {
    SockRef::from(&*socket).set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = Vec::new();
    match socket.read_to_end(&mut said) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
        Err(error) => panic!("{error}: the server keeps a connection that says nothing"),
    }
}
