//! coturn's `turnutils_natdiscovery` against this relay: RFC 5780 in somebody else's reading.
//!
//! What it is expected to print is what it prints against coturn 4.6.1's own server with `rfc5780`, two addresses and
//! an alternate port, with one exception: from the second address that server names itself as the other one, where
//! RFC 5780 §6.1 has the first.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::UdpSocket;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use causeway_turn::{DiscoverySettings, TurnSettings};
use common::relay::{TestRelay, settings};
use common::tools::tool;

/// Before the client is ended by force, in seconds; it takes less than one.
const LIMIT: &str = "60";

const MAPPING: &str = "\
-= Mapping Behavior Discovery =-
RFC 5780 response 1
No ALG: Mapped == XOR-Mapped
Response origin: 127.0.0.1:MAIN
Response origin: 127.0.0.1:MAIN
Other addr: 127.0.0.2:ALTERNATE
RFC 5780 response 2
No ALG: Mapped == XOR-Mapped
Response origin: 127.0.0.2:MAIN
Other addr: 127.0.0.1:ALTERNATE
NAT with Endpoint Independent Mapping!
";

const FILTERING: &str = "\
-= Filtering Behavior Discovery =-
RFC 5780 response 1
No ALG: Mapped == XOR-Mapped
Response origin: 127.0.0.1:MAIN
Response origin: 127.0.0.1:MAIN
Other addr: 127.0.0.2:ALTERNATE
RFC 5780 response 2
No ALG: Mapped == XOR-Mapped
Response origin: 127.0.0.2:ALTERNATE
Other addr: 127.0.0.2:ALTERNATE
NAT with Endpoint Independent Filtering!
";

#[test]
fn mapping_is_found_to_be_endpoint_independent() {
    check(&["-m"], MAPPING);
}

#[test]
fn filtering_is_found_to_be_endpoint_independent() {
    check(&["-f"], FILTERING);
}

#[test]
fn both_are_found_with_fragmented_messages() {
    check(&["-m", "-P"], MAPPING);
    check(&["-f", "-P"], FILTERING);
}

#[test]
fn an_answer_reaches_the_port_that_asked_earlier() {
    // RFC 5780 §4.6: the second request comes from another port, with RESPONSE-PORT.
    let text = natdiscovery(&start(free_port()), &["-t", "-T", "1"]);
    assert!(text.contains("RFC 5780 response 2"), "{text}");
}

#[test]
fn the_alternate_port_is_not_taken_for_that_of_turns() {
    let alternate = free_port();
    let relay = start(alternate);
    let ports = |addresses: Vec<std::net::SocketAddr>| addresses.iter().map(|a| a.port()).collect::<Vec<_>>();
    let (plain, secure) = (ports(relay.running().addresses()), ports(relay.running().tls_addresses()));
    assert_eq!((plain.len(), secure.len()), (2, 2));
    assert!(!plain.contains(&alternate) && !secure.contains(&alternate), "{plain:?} {secure:?}");
}

#[track_caller]
fn check(flags: &[&str], expected: &str) {
    let alternate = free_port();
    let relay = start(alternate);
    let told = told(relay.v4().port(), alternate, &natdiscovery(&relay, flags));
    assert_eq!(told, expected, "{flags:?}");
}

fn natdiscovery(relay: &TestRelay, flags: &[&str]) -> String {
    let output = Command::new(tool("timeout"))
        .args([LIMIT.as_ref(), tool("turnutils_natdiscovery").as_os_str()])
        .args(flags)
        .args(["-p", &relay.v4().port().to_string(), "127.0.0.1"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it says about the relay: without times, rulers and its own address, and with the ports by their names.
fn told(main: u16, alternate: u16, text: &str) -> String {
    let mut told = String::new();
    for line in text.lines() {
        let line = line.trim().trim_start_matches("0: : ").trim_start_matches("IPv4. ");
        let about_itself = ["UDP reflexive addr", "Local addr"].iter().any(|start| line.starts_with(start));
        if line.is_empty() || line.starts_with("===") || about_itself {
            continue;
        }
        let line = line
            .replace(": : ", ": ")
            .replace(&format!(":{main}"), ":MAIN")
            .replace(&format!(":{alternate}"), ":ALTERNATE");
        told.push_str(&line);
        told.push('\n');
    }
    told
}

fn start(alternate_port: u16) -> TestRelay {
    let listen = ["127.0.0.1", "127.0.0.2"].map(|ip| ip.parse().unwrap()).to_vec();
    let discovery = DiscoverySettings { alternate_port };
    TestRelay::start(&TurnSettings { listen, discovery, workers: 2, ..settings() })
}

/// A port that is free on both addresses, below those that Linux gives to sockets that do not choose: nothing else
/// takes it in between. No two calls look at the same port, since tests run side by side.
fn free_port() -> u16 {
    static LOOKED_AT: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id() % 10_000;
    let mut candidates = (0..10_000)
        .map(|_| 20_000 + (start + LOOKED_AT.fetch_add(1, Ordering::Relaxed) * 7) % 10_000)
        .filter_map(|port| u16::try_from(port).ok());
    let is_free = |ip: &str, port| {
        UdpSocket::bind((ip, port)).is_ok() && std::net::TcpListener::bind((ip, port)).is_ok()
    };
    candidates.find(|port| is_free("127.0.0.1", *port) && is_free("127.0.0.2", *port)).expect("a free port")
}
