//! Trains of datagrams pass as trains, and as datagrams where trains are switched off. Nobody can tell which.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::{SocketAddr, UdpSocket};

use causeway_stun::{ChannelData, ChannelNumber};
use causeway_turn::{OffloadSettings, TurnSettings};
use common::client::{Client, Incoming};
use common::metrics::{measured, value};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::trains::send_train;
use common::transport::Datagrams;
use common::{peer, receive};
use metrics_exporter_prometheus::PrometheusHandle;

const CHANNEL: u16 = 0x4000;
/// Datagrams of one train.
const TRAIN: usize = 16;

#[test]
fn a_train_passes_as_a_train_in_both_directions() {
    for ip in ["127.0.0.1", "::1"] {
        let (mut relay, metrics) = measured(&settings());
        let (socket, mut client, peer, relayed) = connect(&relay, ip);
        client.bind_channel(CHANNEL, peer.local_addr().unwrap());
        let payloads = payloads(1000);
        send_train(&socket, server(&relay, ip), &framed(&payloads));
        assert_eq!(payloads, (0..TRAIN).map(|_| receive(&peer).0).collect::<Vec<_>>());
        send_train(&peer, relayed, &payloads);
        for payload in payloads {
            assert_eq!(client.receive(), Incoming::Channel(CHANNEL, payload));
        }
        relay.stop();
        for direction in ["received", "sent"] {
            assert_eq!(datagrams(&metrics, direction, "train"), 2 * TRAIN as u64, "{direction} over {ip}");
        }
        assert_eq!(value(&metrics, "causeway_turn_trains_refused_total"), 0);
    }
}

#[test]
fn where_trains_are_switched_off_the_same_datagrams_pass_alone() {
    let offloads = OffloadSettings { receive: false, send: false };
    let (mut relay, metrics) = measured(&TurnSettings { offloads, ..settings() });
    let (socket, mut client, peer, relayed) = connect(&relay, "127.0.0.1");
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    let payloads = payloads(1000);
    send_train(&socket, relay.v4(), &framed(&payloads));
    assert_eq!(payloads, (0..TRAIN).map(|_| receive(&peer).0).collect::<Vec<_>>());
    send_train(&peer, relayed, &payloads);
    for payload in payloads {
        assert_eq!(client.receive(), Incoming::Channel(CHANNEL, payload));
    }
    relay.stop();
    for direction in ["received", "sent"] {
        assert_eq!(datagrams(&metrics, direction, "train"), 0, "{direction}");
        assert!(datagrams(&metrics, direction, "alone") >= 2 * TRAIN as u64, "{direction}");
    }
}

#[test]
fn a_train_becomes_indications_with_their_padding() {
    let relay = TestRelay::start(&settings());
    let (_socket, mut client, peer, relayed) = connect(&relay, "127.0.0.1");
    client.permit(peer.local_addr().unwrap());
    for size in [1, 998, 999, 1000, 1001] {
        let payloads = payloads(size);
        send_train(&peer, relayed, &payloads);
        for payload in payloads {
            assert_eq!(client.receive(), Incoming::Indication(peer.local_addr().unwrap(), payload));
        }
    }
}

#[test]
fn each_datagram_of_a_train_is_judged_for_itself() {
    let relay = TestRelay::start(&settings());
    let (socket, mut client, peer, _relayed) = connect(&relay, "127.0.0.1");
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    let mut frames = framed(&payloads(100));
    // A channel that is not bound, a length that lies, and what is no message at all.
    frames[1][1] = 1;
    frames[2][3] += 1;
    frames[3][0] = 0xFF;
    send_train(&socket, relay.v4(), &frames);
    let wanted: Vec<_> = payloads(100).into_iter().enumerate().filter(|(i, _)| !(1..4).contains(i)).collect();
    for (_, payload) in wanted {
        assert_eq!(receive(&peer).0, payload);
    }
}

/// A client, the socket it uses, a peer, and the relayed address.
fn connect(relay: &TestRelay, ip: &str) -> (UdpSocket, Client, UdpSocket, SocketAddr) {
    let (socket, peer) = (peer(ip), peer(ip));
    let transport = Datagrams::on(socket.try_clone().unwrap(), server(relay, ip));
    let mut client = Client::over(transport, USER, PASSWORD);
    let relayed = match client.address() {
        SocketAddr::V4(_) => client.allocate(),
        SocketAddr::V6(_) => client.allocate_family(causeway_stun::attributes::AddressFamily::Ipv6),
    };
    (socket, client, peer, relayed)
}

fn server(relay: &TestRelay, ip: &str) -> SocketAddr {
    if ip.contains(':') { relay.v6() } else { relay.v4() }
}

/// Payloads of `size` bytes, of which the last is shorter if it can be; no two are equal.
fn payloads(size: usize) -> Vec<Vec<u8>> {
    (0..TRAIN)
        .map(|index| {
            vec![u8::try_from(index).unwrap(); if index + 1 == TRAIN { size.div_ceil(2) } else { size }]
        })
        .collect()
}

fn framed(payloads: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let number = ChannelNumber::new(CHANNEL).unwrap();
    let frame = |data: &Vec<u8>| {
        let mut frame = vec![0; data.len() + 4];
        ChannelData { number, data }.encode_datagram(&mut frame).unwrap();
        frame
    };
    payloads.iter().map(frame).collect()
}

#[track_caller]
fn datagrams(metrics: &PrometheusHandle, direction: &str, passage: &str) -> u64 {
    let labels = format!(r#"{{direction="{direction}",passage="{passage}"}}"#);
    value(metrics, &format!("causeway_turn_datagrams_total{labels}"))
}
