//! coturn's own clients against this relay: somebody else's reading of the RFCs.
//!
//! A mode passes when every byte came back and no packet was lost.

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use causeway_service::Hidden;
use causeway_turn::{ThirdPartySettings, TokenAlgorithm, TokenKeySettings, TurnSettings};
use common::relay::{TestRelay, settings};
use common::tools::tool;

const SECRET: &str = "north";
const PACKETS: &str = "100";
/// Before a client is ended by force, in seconds; they take about five.
const LIMIT: &str = "60";

#[test]
fn data_on_channels_comes_back() {
    check("127.0.0.1", &["-X", "-g", "-e", "127.0.0.1"]);
}

#[test]
fn data_in_indications_comes_back() {
    check("127.0.0.1", &["-X", "-g", "-s", "-e", "127.0.0.1"]);
}

#[test]
fn data_between_two_clients_comes_back() {
    check("127.0.0.1", &["-X", "-g", "-y"]);
}

#[test]
fn data_over_ipv6_comes_back() {
    check("::1", &["-X", "-g", "-x", "-e", "::1"]);
}

#[test]
fn data_over_tcp_comes_back() {
    check("127.0.0.1", &["-t", "-X", "-c", "-e", "127.0.0.1"]);
}

#[test]
fn data_over_tls_comes_back() {
    check("127.0.0.1", &["-t", "-S", "-X", "-c", "-e", "127.0.0.1"]);
}

#[test]
fn data_of_dual_allocations_comes_back() {
    check("127.0.0.1", &["-X", "-g", "-Z", "-e", "127.0.0.1"]);
}

/// The client draws between DTLS 1.0, which no server may speak any more (RFC 8996), and 1.2 for each connection.
#[test]
#[cfg(feature = "dtls")]
fn data_over_dtls_comes_back_once_the_client_has_drawn_version_1_2() {
    let mode = ["-X", "-c", "-S", "-e", "127.0.0.1"];
    let drawn = (0..40).any(|_| {
        let text = run("127.0.0.1", &mode);
        text.contains("tot_send_bytes ~ ") && {
            judge(&text);
            true
        }
    });
    assert!(drawn, "forty times DTLS 1.0");
}

#[test]
fn data_of_many_clients_on_many_workers_comes_back() {
    check("127.0.0.1", &["-X", "-m", "8", "-l", "1000", "-e", "127.0.0.1"]);
}

/// The client draws one of its three test keys for each session, and a fresh token under it.
#[test]
fn data_under_access_tokens_of_rfc_7635_comes_back() {
    let key = |kid: &str, algorithm, key: &str| TokenKeySettings {
        kid: kid.to_owned(),
        key: Hidden::new(key),
        algorithm,
        expires: None,
    };
    let keys = vec![
        key("north", TokenAlgorithm::A256GCM, "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK"),
        key("union", TokenAlgorithm::A128GCM, "MTIzNDU2Nzg5MDEyMzQ1Ngo="),
        key("oldempire", TokenAlgorithm::A256GCM, "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIK"),
    ];
    let third_party = ThirdPartySettings { server_name: "relay".to_owned(), keys };
    let relay = TestRelay::start(&TurnSettings { third_party, workers: 4, ..settings() });
    judge(&run_at(&relay, "127.0.0.1", &["-J", "-X", "-g", "-m", "4", "-e", "127.0.0.1"]));
}

#[test]
fn the_stun_client_learns_its_address() {
    let relay = start();
    let output = Command::new(tool("timeout"))
        .args([LIMIT.as_ref(), tool("turnutils_stunclient").as_os_str()])
        .args(["-p", &relay.v4().port().to_string(), "127.0.0.1"])
        .output()
        .expect("the client runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("UDP reflexive addr: 127.0.0.1:"), "{text}");
}

#[track_caller]
fn check(server: &str, mode: &[&str]) {
    judge(&run(server, mode));
}

/// What the client says in this mode, with a relay and a peer of its own.
fn run(server: &str, mode: &[&str]) -> String {
    run_at(&start(), server, &[&["-u", "user", "-W", SECRET], mode].concat())
}

/// What the client says in this mode, with a peer of its own.
fn run_at(relay: &TestRelay, server: &str, mode: &[&str]) -> String {
    let peer = EchoPeer::start();
    let output = Command::new(tool("timeout"))
        .args([LIMIT.as_ref(), tool("turnutils_uclient").as_os_str()])
        .args(["-n", PACKETS])
        .args(["-p", &relay.v4().port().to_string(), "-r", &peer.port.to_string()])
        .args(mode)
        .arg(server)
        .output()
        .expect("the client runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything that was sent came back.
#[track_caller]
fn judge(text: &str) {
    let (sent, received) = (last_number(text, "tot_send_bytes ~ "), last_number(text, "tot_recv_bytes ~ "));
    assert!(sent.is_some_and(|sent| sent > 0), "nothing was sent:\n{text}");
    assert_eq!(sent, received, "{text}");
    assert!(text.contains("Total lost packets 0 "), "{text}");
}

/// The number behind the last `label`.
fn last_number(text: &str, label: &str) -> Option<u64> {
    let (_, behind) = text.rsplit_once(label)?;
    let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
    behind[..digits].parse().ok()
}

fn start() -> TestRelay {
    TestRelay::start(&TurnSettings { rest_secrets: vec![Hidden::new(SECRET)], workers: 4, ..settings() })
}

/// `turnutils_peer` on 127.0.0.1 and ::1. It takes a port and the one above it.
struct EchoPeer {
    process: Child,
    port: u16,
}

impl EchoPeer {
    fn start() -> Self {
        let port = two_free_ports();
        let process = Command::new(tool("turnutils_peer"))
            .args(["-p", &port.to_string(), "-L", "127.0.0.1", "-L", "::1"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the peer runs");
        let peer = Self { process, port };
        for ip in ["127.0.0.1", "::1"] {
            peer.wait(ip.parse().expect("an address"));
        }
        peer
    }

    /// Until it echoes: it says nothing when it is ready.
    fn wait(&self, ip: IpAddr) {
        let socket = common::peer(&ip.to_string());
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a socket option");
        for _ in 0..500 {
            socket.send_to(b"ready?", SocketAddr::new(ip, self.port)).expect("a datagram sent");
            match socket.recv_from(&mut [0; 64]) {
                Ok(_) => return,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
        }
        panic!("turnutils_peer does not echo on {ip}");
    }
}

impl Drop for EchoPeer {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that is free on both addresses together with the next one.
fn two_free_ports() -> u16 {
    for _ in 0..100 {
        let first = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let port = first.local_addr().expect("a bound socket").port();
        let Some(next) = port.checked_add(1) else { continue };
        let others = [("127.0.0.1", next), ("::1", port), ("::1", next)];
        if others.iter().all(|address| UdpSocket::bind(address).is_ok()) {
            return port;
        }
    }
    panic!("no two ports in a row are free");
}
