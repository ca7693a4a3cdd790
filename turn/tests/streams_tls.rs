//! Clients over TLS: versions, certificates and their replacement, protocols, and what is no TLS.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;

use causeway_turn::{StreamSettings, TlsSettings, TurnSettings};
use common::client::{Client, Incoming};
use common::metrics::{measured, value};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::tls::{Pair, client, pair, shown, tls};
use common::transport::{Stream, connect, read_until_closed};
use common::{peer, receive, until};
use rustls::StreamOwned;
use rustls::version::{TLS12, TLS13};

const CHANNEL: u16 = 0x4000;

#[test]
fn data_is_relayed_both_ways_over_both_versions_and_on_both_ports() {
    let relay = TestRelay::start(&settings());
    for (server, version) in [(relay.v4(), &TLS12), (relay.tls_v4(), &TLS13), (relay.v6(), &TLS13)] {
        let stream = StreamOwned::new(client(&[version], &[]), connect(server));
        let mut client = Client::over(Stream::over(stream), USER, PASSWORD);
        exchange(&mut client);
        // Larger than a record.
        let large = vec![7; 40_000];
        let peer = peer("127.0.0.1");
        client.bind_channel(CHANNEL + 1, peer.local_addr().unwrap());
        client.send_channel(CHANNEL + 1, &large);
        let (received, relayed) = receive(&peer);
        assert_eq!(received, large);
        peer.send_to(&large, relayed).unwrap();
        assert_eq!(client.receive(), Incoming::Channel(CHANNEL + 1, large));
    }
}

#[test]
fn udp_tcp_and_tls_share_one_port() {
    let relay = TestRelay::start(&settings());
    let mut clients = [
        relay.client(),
        Client::tcp(relay.v4(), USER, PASSWORD),
        Client::over(tls(relay.v4()), USER, PASSWORD),
    ];
    for client in &mut clients {
        exchange(client);
    }
    assert_eq!(relay.running().allocations(), 3);
}

#[test]
fn the_clients_protocol_is_stun_or_none() {
    let relay = TestRelay::start(&settings());
    for (offered, served) in [
        (&[][..], true),
        (&[&b"stun.turn"[..]][..], true),
        (&[b"stun.nat-discovery"], true),
        (&[b"h2", b"stun.turn"], true),
        (&[b"http/1.1"], false),
    ] {
        let mut connection = client(rustls::ALL_VERSIONS, offered);
        let mut tcp = connect(relay.tls_v4());
        let outcome = loop {
            match connection.complete_io(&mut tcp) {
                Ok(_) if connection.is_handshaking() => {}
                Ok(_) => break true,
                Err(_) => break false,
            }
        };
        assert_eq!(outcome, served, "{offered:?}");
    }
}

#[test]
fn without_a_certificate_one_is_made_at_each_start() {
    let (first, second) = (TestRelay::start(&settings()), TestRelay::start(&settings()));
    assert_eq!(shown(first.tls_v4()), shown(first.v4()));
    assert_ne!(shown(first.tls_v4()), shown(second.tls_v4()));
}

#[test]
fn a_certificate_is_replaced_while_the_relay_runs_and_who_is_connected_stays() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (pair(), pair());
    let relay = TestRelay::start(&with_files(&folder, &old));
    let mut connected = Client::over(tls(relay.tls_v4()), USER, PASSWORD);
    exchange(&mut connected);
    assert_eq!(shown(relay.tls_v4()), old.der);
    write(&folder, &new);
    until(|| shown(relay.tls_v4()) == new.der);
    connected.refresh(600).expect_success();
}

#[test]
fn a_pair_that_cannot_be_used_leaves_the_old_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (pair(), pair());
    let relay = TestRelay::start(&with_files(&folder, &old));
    // A renewal that has written one file and not yet the other.
    fs::write(folder.path().join("certificate.pem"), &new.certificate).unwrap();
    let mut looks = 0;
    // Each look takes place within a second; three handshakes after each change see the old one.
    until(|| {
        assert_eq!(shown(relay.tls_v4()), old.der);
        looks += 1;
        looks > 3
    });
    fs::write(folder.path().join("key.pem"), &new.key).unwrap();
    until(|| shown(relay.tls_v4()) == new.der);
}

#[test]
fn a_certificate_that_cannot_be_read_is_one_clear_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = with_files(&folder, &pair());
    settings.tls.key = Some(folder.path().join("missing.pem"));
    let bus = std::sync::Arc::new(causeway_cluster::MemoryBus::new());
    let error = causeway_turn::start(&settings, None, "node".parse().unwrap(), bus).err().unwrap();
    let missing = folder.path().join("missing.pem");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot read {}: No such file or directory (os error 2); check the path and who may read the file",
            missing.display()
        )
    );
}

#[test]
fn what_begins_like_tls_and_is_not_is_closed_and_counted() {
    let (mut relay, metrics) = measured(&settings());
    let mut stream = connect(relay.v4());
    stream.write_all(&[0x16; 64]).unwrap();
    // The alert that says why.
    assert_eq!(read_until_closed(&mut stream).first(), Some(&0x15));
    relay.stop();
    assert_eq!(value(&metrics, r#"causeway_turn_tls_failures_total{reason="not_tls"}"#), 1);
    assert_eq!(value(&metrics, r#"causeway_turn_connections_closed_total{reason="tls"}"#), 1);
}

#[test]
fn a_handshake_that_is_not_finished_in_time_is_closed() {
    let tls = TlsSettings { handshake_seconds: 1, ..TlsSettings::default() };
    let (mut relay, metrics) = measured(&TurnSettings { tls, ..settings() });
    let mut stream = connect(relay.tls_v4());
    let mut hello = Vec::new();
    client(rustls::ALL_VERSIONS, &[]).write_tls(&mut hello).unwrap();
    stream.write_all(&hello[..hello.len() / 2]).unwrap();
    read_until_closed(&mut stream);
    relay.stop();
    assert_eq!(value(&metrics, r#"causeway_turn_tls_failures_total{reason="timed_out"}"#), 1);
}

#[test]
fn a_handshake_may_come_byte_by_byte() {
    let relay = TestRelay::start(&settings());
    let mut connection = client(rustls::ALL_VERSIONS, &[]);
    let mut tcp = connect(relay.tls_v4());
    while connection.is_handshaking() {
        let mut flight = Vec::new();
        while connection.wants_write() {
            connection.write_tls(&mut flight).unwrap();
        }
        for byte in flight {
            tcp.write_all(&[byte]).unwrap();
        }
        if connection.is_handshaking() {
            assert!(connection.read_tls(&mut tcp).unwrap() > 0);
            connection.process_new_packets().unwrap();
        }
    }
    let stream = Stream::over(StreamOwned::new(connection, tcp));
    exchange(&mut Client::over(stream, USER, PASSWORD));
}

#[test]
fn a_relay_that_says_goodbye_says_so_in_tls() {
    let streams = StreamSettings { authentication_seconds: 1, ..StreamSettings::default() };
    let relay = TestRelay::start(&TurnSettings { streams, ..settings() });
    let mut stream = tls(relay.tls_v4()).bytes;
    // Ends without an error only after close_notify.
    assert_eq!(stream.read(&mut [0; 16]).unwrap(), 0);
}

#[test]
fn tls_can_be_switched_off() {
    let streams = StreamSettings { tls: false, ..StreamSettings::default() };
    let relay = TestRelay::start(&TurnSettings { streams, ..settings() });
    let mut stream = connect(relay.tls_v4());
    client(rustls::ALL_VERSIONS, &[]).write_tls(&mut stream).unwrap();
    assert_eq!(read_until_closed(&mut stream), b"");
    exchange(&mut Client::tcp(relay.tls_v4(), USER, PASSWORD));
}

/// Allocates, and relays one datagram each way.
fn exchange(client: &mut Client) {
    let peer = peer("127.0.0.1");
    let relayed: SocketAddr = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    client.send_channel(CHANNEL, b"ping");
    assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
    peer.send_to(b"pong", relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"pong".to_vec()));
}

fn with_files(folder: &tempfile::TempDir, pair: &Pair) -> TurnSettings {
    write(folder, pair);
    let tls = TlsSettings {
        certificate: Some(folder.path().join("certificate.pem")),
        key: Some(folder.path().join("key.pem")),
        look_seconds: 1,
        ..TlsSettings::default()
    };
    TurnSettings { tls, ..settings() }
}

fn write(folder: &tempfile::TempDir, pair: &Pair) {
    fs::write(folder.path().join("certificate.pem"), &pair.certificate).unwrap();
    fs::write(folder.path().join("key.pem"), &pair.key).unwrap();
}
