//! Clients over DTLS, over real sockets: data both ways, ends of sessions, and what strangers may not do.
#![cfg(feature = "dtls")]
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Stdio};

use causeway_stun::attributes::XorMappedAddress;
use causeway_stun::{Class, Message, MessageWriter, Method, TransactionId};
use causeway_turn::{DtlsSettings, TurnSettings};
use common::client::{Client, Incoming};
use common::dtls::{Tunnel, Version, client_hello};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::{peer, receive, until};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const CHANNEL: u16 = 0x4000;

#[test]
fn a_stranger_learns_the_address_it_is_seen_at() {
    for version in [Version::Dtls12, Version::Dtls13] {
        let relay = TestRelay::start(&settings());
        let (tunnel, mut client) = client(relay.v4(), version);
        assert_eq!(client.binding().expect_success().mapped(), tunnel.outside, "{version:?}");
    }
}

#[test]
fn data_crosses_both_ways_in_channels_and_indications() {
    for version in [Version::Dtls12, Version::Dtls13] {
        let relay = TestRelay::start(&settings());
        let (_tunnel, mut client) = client(relay.v4(), version);
        let peer = peer("127.0.0.1");
        let address = peer.local_addr().unwrap();
        let relayed = client.allocate();
        client.permit(address);
        for length in [0, 1, 5, 1200] {
            let data = vec![0xA5; length];
            client.send_indication(address, &data);
            assert_eq!(receive(&peer), (data.clone(), relayed), "{version:?}");
            peer.send_to(&data, relayed).unwrap();
            assert_eq!(client.receive(), Incoming::Indication(address, data), "{version:?}");
        }
        client.bind_channel(CHANNEL, address);
        // What fits into one record besides the ChannelData header.
        for length in [1, 5, 1200, (1 << 14) - 4] {
            let data = vec![0xA5; length];
            client.send_channel(CHANNEL, &data);
            assert_eq!(receive(&peer), (data.clone(), relayed), "{version:?}");
            peer.send_to(&data, relayed).unwrap();
            assert_eq!(client.receive(), Incoming::Channel(CHANNEL, data), "{version:?}");
        }
    }
}

#[test]
fn an_ipv6_client_is_served_too() {
    let relay = TestRelay::start(&settings());
    let (tunnel, mut client) = client(relay.v6(), Version::Dtls12);
    assert_eq!(client.binding().expect_success().mapped(), tunnel.outside);
}

#[test]
fn what_fits_no_record_is_dropped_and_the_session_goes_on() {
    let relay = TestRelay::start(&settings());
    let (_tunnel, mut client) = client(relay.v4(), Version::Dtls12);
    let peer = peer("127.0.0.1");
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    peer.send_to(&[0; (1 << 14) - 3], relayed).unwrap();
    peer.send_to(b"fits", relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"fits".to_vec()));
}

#[test]
fn the_end_of_a_session_ends_its_allocation() {
    let relay = TestRelay::start(&settings());
    let (tunnel, mut client) = client(relay.v4(), Version::Dtls12);
    let relayed = client.allocate();
    until(|| relay.running().allocations() == 1);
    drop(tunnel);
    until(|| relay.running().allocations() == 0);
    until(|| UdpSocket::bind(relayed).is_ok());
}

#[test]
fn two_clients_of_one_address_do_not_know_of_each_other() {
    let relay = TestRelay::start(&settings());
    let (tunnel, mut one) = client(relay.v4(), Version::Dtls12);
    let (_other_tunnel, mut other) = client(relay.v4(), Version::Dtls12);
    let (of_one, of_other) = (one.allocate(), other.allocate());
    one.bind_channel(CHANNEL, of_other);
    other.bind_channel(CHANNEL, of_one);
    one.send_channel(CHANNEL, b"hello");
    assert_eq!(other.receive(), Incoming::Channel(CHANNEL, b"hello".to_vec()));
    drop(tunnel);
    until(|| relay.running().allocations() == 1);
    other.refresh(600).expect_success();
}

#[test]
fn a_plain_client_of_the_same_address_and_port_stays_a_plain_client() {
    let relay = TestRelay::start(&settings());
    let (tunnel, mut client) = client(relay.v4(), Version::Dtls12);
    client.allocate();
    // The session's own socket belongs to the tunnel; a second one on its port sends plain STUN.
    let outside = tunnel.outside;
    drop(tunnel);
    let socket = UdpSocket::bind(outside).unwrap();
    socket.set_read_timeout(Some(common::PATIENCE)).unwrap();
    socket.send_to(&binding(), relay.v4()).unwrap();
    loop {
        let (answer, _) = receive(&socket);
        // The session's goodbye may still be on its way.
        if let Ok(message) = Message::decode(&answer) {
            assert_eq!(message.get::<XorMappedAddress>(), Ok(Some(XorMappedAddress(outside))));
            break;
        }
    }
}

#[test]
fn openssl_gets_an_answer() {
    let relay = TestRelay::start(&settings());
    let mut openssl = Command::new("timeout")
        .args(["20", "openssl", "s_client", "-dtls1_2", "-quiet", "-connect", &relay.v4().to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("openssl is installed");
    openssl.stdin.as_mut().unwrap().write_all(&binding()).unwrap();
    let mut answer = [0; 32];
    openssl.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
    let message = Message::decode(&answer).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Success, Method::Binding));
    openssl.kill().unwrap();
    openssl.wait().unwrap();
}

#[test]
fn a_flood_of_half_open_handshakes_leaves_room_for_an_honest_client() {
    let few = DtlsSettings { max_handshakes: 8, handshakes_per_source: 4, ..DtlsSettings::default() };
    let (mut relay, metrics) = start(&TurnSettings { dtls: few, ..settings() });
    let hello = client_hello(Version::Dtls12);
    // They stay open: the client would get the answers to the stranger whose port it was given.
    let strangers = [(); 200].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    for stranger in &strangers {
        stranger.send_to(&hello, relay.v4()).unwrap();
    }
    let (_tunnel, mut client) = client(relay.v4(), Version::Dtls12);
    client.allocate();
    until(|| {
        client.binding().expect_success();
        value(&metrics, r#"causeway_turn_dtls_ended_total{reason="displaced"}"#) > 0
    });
    // Four of this source, one of which may have been displaced by the client.
    assert!((4..=5).contains(&value(&metrics, "causeway_turn_dtls_sessions")));
    relay.stop();
    assert_eq!(value(&metrics, "causeway_turn_dtls_sessions"), 0);
}

#[test]
fn garbage_neither_opens_a_session_nor_ends_one() {
    let (mut relay, metrics) = start(&settings());
    let (tunnel, mut client) = client(relay.v4(), Version::Dtls12);
    client.allocate();
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    let hello = client_hello(Version::Dtls12);
    for first in 20..=63 {
        for length in [1, 12, 13, 14, 25, 300, 3000] {
            let garbage = vec![first; length];
            stranger.send_to(&garbage, relay.v4()).unwrap();
        }
        client.binding().expect_success();
    }
    for cut in 0..hello.len() {
        UdpSocket::bind("127.0.0.1:0").unwrap().send_to(&hello[..cut], relay.v4()).unwrap();
        if cut % 16 == 0 {
            client.binding().expect_success();
        }
    }
    client.refresh(600).expect_success();
    drop(tunnel);
    relay.stop();
    assert!(value(&metrics, r#"causeway_turn_dtls_refused_total{reason="stray"}"#) > 40);
}

#[test]
fn a_client_that_speaks_version_1_0_is_told_at_once() {
    let relay = TestRelay::start(&settings());
    let mut hello = client_hello(Version::Dtls12);
    // Record header (13) and message header (12) come first.
    hello[25..27].copy_from_slice(&[254, 255]);
    let client = peer("127.0.0.1");
    client.send_to(&hello, relay.v4()).unwrap();
    let (alert, _) = receive(&client);
    // An alert in the plain: fatal, protocol_version.
    assert_eq!((alert[0], &alert[13..]), (21, &[2, 70][..]));
}

#[test]
fn a_relay_without_dtls_drops_records_and_says_so() {
    let off = DtlsSettings { enabled: false, ..DtlsSettings::default() };
    let (mut relay, metrics) = start(&TurnSettings { dtls: off, ..settings() });
    let stranger = UdpSocket::bind("127.0.0.1:0").unwrap();
    stranger.send_to(&client_hello(Version::Dtls12), relay.v4()).unwrap();
    relay.client().binding().expect_success();
    relay.stop();
    assert_eq!(value(&metrics, r#"causeway_turn_dropped_total{reason="dtls"}"#), 1);
}

fn client(relay: SocketAddr, version: Version) -> (Tunnel, Client) {
    let tunnel = Tunnel::to(relay, version);
    let client = Client::new(tunnel.plain, USER, PASSWORD);
    (tunnel, client)
}

fn binding() -> [u8; 20] {
    let mut buffer = [0; 20];
    let writer = MessageWriter::new(&mut buffer, Class::Request, Method::Binding, TransactionId([1; 12]));
    assert_eq!(writer.unwrap().finish(), 20);
    buffer
}

fn start(settings: &TurnSettings) -> (TestRelay, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let relay = metrics::with_local_recorder(&recorder, || TestRelay::start(settings));
    (relay, recorder.handle())
}

/// What stands behind the series' name.
#[track_caller]
fn value(metrics: &PrometheusHandle, series: &str) -> u64 {
    let text = metrics.render();
    let line =
        text.lines().find_map(|line| line.strip_prefix(series)).expect("the series exists from the start");
    line.trim().parse().expect("a whole number")
}
