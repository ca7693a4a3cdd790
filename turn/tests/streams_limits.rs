//! What connections may take: memory, time, and places.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use causeway_turn::{StreamSettings, TurnSettings};
use common::client::{Client, Incoming};
use common::metrics::{measured, value};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::transport::{connect, read_until_closed};
use common::{peer, until};

const CHANNEL: u16 = 0x4000;
const QUEUE_FULL: &str = r#"causeway_turn_send_failures_total{reason="queue_full"}"#;

#[test]
fn a_slow_reader_loses_data_and_gets_whole_frames_and_answers() {
    let (relay, metrics) = measured(&settings());
    let (mut client, peer) = (Client::tcp(relay.v4(), USER, PASSWORD), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    // More than kernel and queue hold, while the client reads nothing.
    until(|| {
        for _ in 0..100 {
            peer.send_to(&[7; 1200], relayed).unwrap();
        }
        value(&metrics, QUEUE_FULL) > 0
    });
    // Its answer is behind what waits, all of it in whole frames.
    client.refresh(600).expect_success();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, vec![7; 1200]));
}

#[test]
fn a_client_that_reads_nothing_at_all_is_closed() {
    let streams = StreamSettings { stalled_seconds: 1, ..StreamSettings::default() };
    let (relay, metrics) = measured(&with(streams));
    let (mut client, peer) = (Client::tcp(relay.v4(), USER, PASSWORD), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    until(|| {
        for _ in 0..100 {
            // Refused once the relayed address is closed.
            let _ = peer.send_to(&[7; 1200], relayed);
        }
        relay.running().allocations() == 0
    });
    until(|| value(&metrics, r#"causeway_turn_connections_closed_total{reason="stalled"}"#) == 1);
}

#[test]
fn dribbling_bytes_do_not_buy_time() {
    let streams = StreamSettings { authentication_seconds: 1, ..StreamSettings::default() };
    let relay = TestRelay::start(&with(streams));
    let mut stream = connect(relay.v4());
    stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    // A Binding request that promises an attribute, and never says it.
    let mut bytes = b"\0\x01\x04\0\x21\x12\xA4\x42".iter().chain(std::iter::repeat(&0));
    until(|| stream.write_all(&[*bytes.next().unwrap()]).is_err() || is_closed(&mut stream));
}

#[test]
fn a_busy_stranger_is_closed_in_time_too() {
    let streams = StreamSettings { authentication_seconds: 1, ..StreamSettings::default() };
    let (relay, metrics) = measured(&with(streams));
    let mut stream = connect(relay.v4());
    stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let binding = b"\0\x01\0\0\x21\x12\xA4\x42............";
    until(|| {
        let sent = stream.write_all(binding);
        sent.is_err() || matches!(stream.read(&mut [0; 256]), Ok(0))
    });
    until(|| value(&metrics, r#"causeway_turn_connections_closed_total{reason="not_authenticated"}"#) == 1);
}

#[test]
fn a_client_with_an_allocation_may_be_silent_and_one_without_may_not() {
    let streams = StreamSettings { authentication_seconds: 1, idle_seconds: 1, ..StreamSettings::default() };
    let (relay, metrics) = measured(&with(streams));
    let (mut silent, mut done) =
        (Client::tcp(relay.v4(), USER, PASSWORD), Client::tcp(relay.v4(), USER, PASSWORD));
    silent.allocate();
    done.allocate();
    done.refresh(0).expect_success();
    until(|| value(&metrics, r#"causeway_turn_connections_closed_total{reason="idle"}"#) == 1);
    silent.refresh(600).expect_success();
}

#[test]
fn connections_without_an_allocation_have_few_places() {
    let streams = StreamSettings { max_half_open: 2, ..StreamSettings::default() };
    let (mut relay, metrics) = measured(&with(streams));
    let (mut first, _second) = (Client::tcp(relay.v4(), USER, PASSWORD), connect(relay.v4()));
    // Served, and so accepted, before the third comes.
    first.binding().expect_success();
    assert_eq!(read_until_closed(&mut connect(relay.v4())), b"");
    // With its allocation the first one makes room for another.
    first.allocate();
    Client::tcp(relay.v4(), USER, PASSWORD).allocate();
    relay.stop();
    assert_eq!(value(&metrics, r#"causeway_turn_connections_refused_total{reason="too_many_half_open"}"#), 1);
}

#[test]
fn a_source_has_so_many_connections_and_each_that_ends_frees_a_place() {
    let streams = StreamSettings { max_connections_per_source: 1, ..StreamSettings::default() };
    let (relay, _metrics) = measured(&TurnSettings { workers: 3, ..with(streams) });
    let mut first = Client::tcp(relay.v4(), USER, PASSWORD);
    first.binding().expect_success();
    assert_eq!(read_until_closed(&mut connect(relay.v4())), b"");
    // ::1 is another source.
    Client::tcp(relay.v6(), USER, PASSWORD).binding().expect_success();
    drop(first);
    until(|| {
        let mut stream = connect(relay.v4());
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        !is_closed(&mut stream)
    });
}

#[test]
fn connections_are_counted_while_they_live() {
    let (mut relay, metrics) = measured(&settings());
    let mut client = Client::tcp(relay.v4(), USER, PASSWORD);
    until(|| {
        client.binding().expect_success();
        value(&metrics, r#"causeway_turn_connections{transport="tcp"}"#) == 1
    });
    assert_eq!(value(&metrics, r#"causeway_turn_connections_accepted_total{transport="tcp"}"#), 1);
    relay.stop();
    assert_eq!(value(&metrics, r#"causeway_turn_connections{transport="tcp"}"#), 0);
}

fn with(streams: StreamSettings) -> TurnSettings {
    TurnSettings { streams, ..settings() }
}

/// Whether the relay has closed the connection, as far as is known within its read timeout.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0; 256]) {
        Ok(0) => true,
        Ok(_) => false,
        Err(error) => error.kind() != ErrorKind::WouldBlock,
    }
}
