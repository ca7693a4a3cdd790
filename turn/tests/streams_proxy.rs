//! Clients behind a load balancer that speaks the PROXY protocol, and strangers who pretend to be one.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use causeway_turn::{StreamSettings, TurnSettings};
use common::client::Client;
use common::metrics::{measured, value};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::tls;
use common::transport::{Datagrams, Stream, Transport, connect, read_until_closed};
use common::{PATIENCE, peer, receive};
use rustls::StreamOwned;

const LINE: &[u8] = b"PROXY TCP4 192.0.2.1 198.51.100.1 5000 3478\r\n";
const BINDING: &[u8; 20] = b"\0\x01\0\0\x21\x12\xA4\x42............";

#[test]
fn the_client_of_a_connection_is_who_the_header_names() {
    let relay = TestRelay::start(&behind_proxy());
    for header in [LINE.to_vec(), v2(0x11, "192.0.2.1:5000")] {
        let mut stream = connect(relay.v4());
        stream.write_all(&header).unwrap();
        let mut client = Client::over(Stream::over(stream), USER, PASSWORD);
        assert_eq!(client.binding().mapped(), address("192.0.2.1:5000"));
        let peer = peer("127.0.0.1");
        let relayed = client.allocate();
        client.permit(peer.local_addr().unwrap());
        client.send_indication(peer.local_addr().unwrap(), b"ping");
        assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
    }
}

#[test]
fn the_header_comes_before_tls() {
    let relay = TestRelay::start(&behind_proxy());
    let mut stream = connect(relay.tls_v4());
    stream.write_all(LINE).unwrap();
    let stream = StreamOwned::new(tls::client(rustls::ALL_VERSIONS, &[]), stream);
    let mut client = Client::over(Stream::over(stream), USER, PASSWORD);
    assert_eq!(client.binding().mapped(), address("192.0.2.1:5000"));
}

#[test]
fn a_header_may_come_byte_by_byte_and_with_what_follows_it() {
    let relay = TestRelay::start(&behind_proxy());
    for header in [LINE.to_vec(), v2(0x11, "192.0.2.1:5000")] {
        let mut stream = Stream::over(connect(relay.v4()));
        for byte in &header[..header.len() - 1] {
            stream.bytes.write_all(&[*byte]).unwrap();
        }
        stream.send(&[&header[header.len() - 1..], BINDING].concat());
        assert!(stream.receive(PATIENCE).is_some());
    }
}

#[test]
fn a_health_check_of_the_proxy_is_the_proxys_own() {
    let relay = TestRelay::start(&behind_proxy());
    let mut stream = connect(relay.v4());
    stream.write_all(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").unwrap();
    let own = stream.local_addr().unwrap();
    let mut client = Client::over(Stream::over(stream), USER, PASSWORD);
    assert_eq!(client.binding().mapped(), own);
}

#[test]
fn a_proxy_that_names_nobody_is_closed_and_counted() {
    let (mut relay, metrics) = measured(&behind_proxy());
    let mut stream = connect(relay.v4());
    stream.write_all(BINDING).unwrap();
    assert_eq!(read_until_closed(&mut stream), b"");
    relay.stop();
    assert_eq!(value(&metrics, r#"causeway_turn_connections_closed_total{reason="no_proxy_header"}"#), 1);
}

#[test]
fn a_header_from_a_stranger_is_garbage() {
    let relay = TestRelay::start(&settings());
    for header in [LINE.to_vec(), v2(0x11, "192.0.2.1:5000")] {
        let mut stream = connect(relay.v4());
        stream.write_all(&header).unwrap();
        assert_eq!(read_until_closed(&mut stream), b"");
    }
    let mut datagrams = Datagrams::new(relay.v4());
    datagrams.send(&[&v2(0x12, "192.0.2.1:5000")[..], BINDING].concat());
    assert_eq!(datagrams.receive(Duration::from_millis(200)), None);
}

#[test]
fn clients_behind_a_proxy_are_limited_by_their_own_addresses() {
    let streams = StreamSettings { max_connections_per_source: 1, ..StreamSettings::default() };
    let relay = TestRelay::start(&TurnSettings { streams, ..behind_proxy() });
    let connect_for = |client: &str| {
        let mut stream = connect(relay.v4());
        stream.write_all(&v2(0x11, client)).unwrap();
        stream
    };
    let mut first = Client::over(Stream::over(connect_for("192.0.2.1:1")), USER, PASSWORD);
    first.binding().expect_success();
    assert_eq!(read_until_closed(&mut connect_for("192.0.2.1:2")), b"");
    let mut other = Client::over(Stream::over(connect_for("192.0.2.2:1")), USER, PASSWORD);
    other.binding().expect_success();
}

#[test]
fn datagrams_of_a_proxy_name_their_client_and_answers_go_back_through_the_proxy() {
    let (mut relay, metrics) = measured(&behind_proxy());
    let peer = peer("127.0.0.1");
    let mut clients: Vec<Client> = (1..=3)
        .map(|port| Client::over(Behind::new(relay.v4(), &format!("192.0.2.1:{port}")), USER, PASSWORD))
        .collect();
    for (client, port) in clients.iter_mut().zip(1..) {
        assert_eq!(client.binding().mapped(), SocketAddr::from(([192, 0, 2, 1], port)));
        let relayed = client.allocate();
        client.bind_channel(0x4000, peer.local_addr().unwrap());
        client.send_channel(0x4000, b"ping");
        assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
        peer.send_to(b"pong", relayed).unwrap();
        client.receive();
    }
    let mut bare = Datagrams::new(relay.v4());
    bare.send(BINDING);
    assert_eq!(bare.receive(Duration::from_millis(200)), None);
    relay.stop();
    assert_eq!(value(&metrics, "causeway_turn_proxy_datagrams_refused_total"), 1);
}

/// Loopback is a proxy.
fn behind_proxy() -> TurnSettings {
    TurnSettings { proxy_sources: vec!["127.0.0.0/8".parse().unwrap()], ..settings() }
}

/// A header of version 2 for an IPv4 client: 0x11 over TCP, 0x12 over UDP.
fn v2(family_and_protocol: u8, client: &str) -> Vec<u8> {
    let SocketAddr::V4(client) = address(client) else { panic!("an IPv4 client") };
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21".to_vec();
    header.extend_from_slice(&[family_and_protocol, 0, 12]);
    header.extend_from_slice(&client.ip().octets());
    header.extend_from_slice(&[198, 51, 100, 1]);
    header.extend_from_slice(&client.port().to_be_bytes());
    header.extend_from_slice(&3478_u16.to_be_bytes());
    header
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A client's datagrams as a proxy passes them on, each with a header.
struct Behind {
    datagrams: Datagrams,
    header: Vec<u8>,
}

impl Behind {
    fn new(server: SocketAddr, client: &str) -> Self {
        Self { datagrams: Datagrams::new(server), header: v2(0x12, client) }
    }
}

impl Transport for Behind {
    fn send(&mut self, message: &[u8]) {
        self.datagrams.send(&[&self.header, message].concat());
    }

    fn receive(&mut self, patience: Duration) -> Option<Vec<u8>> {
        self.datagrams.receive(patience)
    }

    fn address(&self) -> SocketAddr {
        self.datagrams.address()
    }

    fn is_stream(&self) -> bool {
        false
    }
}
