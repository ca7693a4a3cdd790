//! Clients over TCP: framing, pieces, and what a connection's end brings.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::io::Write;

use causeway_stun::attributes::{RequestedTransport, XorMappedAddress};
use causeway_stun::{Class, Message, MessageWriter, Method, TransactionId};
use causeway_turn::{StreamSettings, TurnSettings};
use common::client::{Client, Incoming};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::transport::{Stream, Transport, connect, read_until_closed};
use common::{PATIENCE, peer, receive, until};

const CHANNEL: u16 = 0x4000;

#[test]
fn data_is_relayed_both_ways_in_channels_and_indications() {
    let relay = TestRelay::start(&settings());
    for server in [relay.v4(), relay.v6(), relay.tls_v4()] {
        let (mut client, peer) = (tcp(server), peer("127.0.0.1"));
        let address = peer.local_addr().unwrap();
        let relayed = client.allocate();
        client.permit(address);
        client.send_indication(address, b"ping");
        assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
        peer.send_to(b"pong", relayed).unwrap();
        assert_eq!(client.receive(), Incoming::Indication(address, b"pong".to_vec()));
        client.bind_channel(CHANNEL, address);
        // Each length that padding can have.
        for length in 1..=5 {
            client.send_channel(CHANNEL, &b"12345"[..length]);
            assert_eq!(receive(&peer), (b"12345"[..length].to_vec(), relayed));
            peer.send_to(&b"54321"[..length], relayed).unwrap();
            assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"54321"[..length].to_vec()));
        }
    }
}

#[test]
fn a_client_learns_the_address_of_its_connection() {
    let relay = TestRelay::start(&settings());
    let mut client = tcp(relay.v4());
    assert_eq!(client.binding().expect_success().mapped(), client.address());
}

#[test]
fn the_largest_datagrams_pass() {
    let relay = TestRelay::start(&settings());
    let (mut client, peer) = (tcp(relay.v4()), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    let largest = vec![7; 65_507];
    client.send_channel(CHANNEL, &largest);
    assert_eq!(receive(&peer).0, largest);
    peer.send_to(&largest, relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, largest));
}

#[test]
fn a_message_may_come_byte_by_byte() {
    let relay = TestRelay::start(&settings());
    let mut stream = Stream::tcp(relay.v4());
    for byte in binding(1) {
        stream.bytes.write_all(&[byte]).unwrap();
    }
    assert_eq!(mapped(&stream.receive(PATIENCE).unwrap()), stream.address());
}

#[test]
fn many_frames_may_come_in_one_segment_and_the_last_in_part() {
    let relay = TestRelay::start(&settings());
    let mut stream = Stream::tcp(relay.v4());
    let mut segment: Vec<u8> = (0..100).flat_map(binding).collect();
    let last = binding(100);
    segment.extend_from_slice(&last[..7]);
    stream.send(&segment);
    for _ in 0..100 {
        mapped(&stream.receive(PATIENCE).unwrap());
    }
    stream.send(&last[7..]);
    assert_eq!(mapped(&stream.receive(PATIENCE).unwrap()), stream.address());
}

#[test]
fn garbage_closes_the_connection() {
    let relay = TestRelay::start(&settings());
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\xFF", b"\0\x01\0\0\x21\x12\xA4\x43not a STUN cookie!"]
    {
        let mut stream = connect(relay.v4());
        stream.write_all(garbage).unwrap();
        if garbage[0] != 0 {
            assert_eq!(read_until_closed(&mut stream), b"", "{garbage:?}");
        }
    }
}

#[test]
fn a_stranger_may_not_send_long_frames() {
    let relay = TestRelay::start(&settings());
    let mut stream = connect(relay.v4());
    // ChannelData that promises 65,535 bytes.
    stream.write_all(&[0x40, 0, 0xFF, 0xFF]).unwrap();
    assert_eq!(read_until_closed(&mut stream), b"");
}

#[test]
fn the_end_of_a_connection_ends_its_allocation() {
    let relay = TestRelay::start(&settings());
    let mut client = tcp(relay.v4());
    let relayed = client.allocate();
    drop(client);
    until(|| relay.running().allocations() == 0);
    until(|| std::net::UdpSocket::bind(relayed).is_ok());
}

#[test]
fn a_connection_may_have_one_allocation_after_the_other() {
    let relay = TestRelay::start(&settings());
    let mut client = tcp(relay.v4());
    client.allocate();
    client.refresh(0).expect_success();
    client.allocate();
    assert_eq!(relay.running().allocations(), 1);
}

#[test]
fn two_connections_of_a_host_are_two_clients() {
    let relay = TestRelay::start(&TurnSettings { workers: 3, ..settings() });
    let mut clients: Vec<Client> = (0..8).map(|_| tcp(relay.v4())).collect();
    for client in &mut clients {
        client.allocate();
    }
    assert_eq!(relay.running().allocations(), 8);
    clients.truncate(5);
    until(|| relay.running().allocations() == 5);
}

#[test]
fn an_allocate_request_over_tcp_is_answered_with_437_while_there_is_one() {
    let relay = TestRelay::start(&settings());
    let mut client = tcp(relay.v4());
    client.allocate();
    let again = client.request(Method::Allocate, &|w| w.put(&RequestedTransport::UDP));
    assert_eq!(again.error(), Some(437));
}

#[test]
fn plain_tcp_can_be_switched_off() {
    let streams = StreamSettings { tcp: false, ..StreamSettings::default() };
    let relay = TestRelay::start(&TurnSettings { streams, ..settings() });
    let mut stream = connect(relay.v4());
    stream.write_all(&binding(1)).unwrap();
    assert_eq!(read_until_closed(&mut stream), b"");
}

fn tcp(server: std::net::SocketAddr) -> Client {
    Client::tcp(server, USER, PASSWORD)
}

fn binding(number: u8) -> Vec<u8> {
    let mut buffer = vec![0; 20];
    let transaction = TransactionId([number; 12]);
    let writer = MessageWriter::new(&mut buffer, Class::Request, Method::Binding, transaction).unwrap();
    assert_eq!(writer.finish(), 20);
    buffer
}

fn mapped(answer: &[u8]) -> std::net::SocketAddr {
    Message::decode(answer).unwrap().get::<XorMappedAddress>().unwrap().unwrap().0
}
