//! Data crosses the relay, over real sockets, in every way a client can ask for.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_stun::Method;
use causeway_stun::attributes::{
    AdditionalAddressFamily, AddressFamily, DontFragment, RequestedTransport, XorRelayedAddress,
};
use common::client::{Client, Incoming};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::{peer, receive};

const CHANNEL: u16 = 0x4000;

#[test]
fn a_stranger_learns_the_address_it_is_seen_at() {
    let relay = TestRelay::start(&settings());
    let mut client = relay.client();
    let mapped = client.binding().expect_success().mapped();
    assert_eq!(mapped, client.address());
}

#[test]
fn a_channel_carries_data_both_ways() {
    let relay = TestRelay::start(&settings());
    let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    client.send_channel(CHANNEL, b"ping");
    assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
    peer.send_to(b"pong", relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"pong".to_vec()));
}

#[test]
fn indications_carry_data_both_ways_whatever_their_padding() {
    let relay = TestRelay::start(&settings());
    let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
    let relayed = client.allocate();
    let address = peer.local_addr().unwrap();
    client.permit(address);
    for length in [0, 1, 2, 3, 4, 1200] {
        let data = vec![0xA5; length];
        client.send_indication(address, &data);
        assert_eq!(receive(&peer), (data.clone(), relayed));
        peer.send_to(&data, relayed).unwrap();
        assert_eq!(client.receive(), Incoming::Indication(address, data));
    }
}

#[test]
fn the_largest_datagram_crosses_in_one_piece() {
    // 65 507 bytes are the largest UDP payload; four of them are the ChannelData header.
    let data: Vec<u8> = (0..65_503u32).map(|i| i.to_le_bytes()[1]).collect();
    let relay = TestRelay::start(&settings());
    let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    client.send_channel(CHANNEL, &data);
    assert_eq!(receive(&peer), (data.clone(), relayed));
    peer.send_to(&data, relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, data));
}

#[test]
fn a_burst_arrives_complete_and_in_order() {
    let relay = TestRelay::start(&settings());
    let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    // More than one side's budget of a turn, and less than a default socket buffer holds.
    for number in 0..150u32 {
        client.send_channel(CHANNEL, &number.to_be_bytes());
    }
    for number in 0..150u32 {
        assert_eq!(receive(&peer), (number.to_be_bytes().to_vec(), relayed));
    }
    for number in 0..150u32 {
        peer.send_to(&number.to_be_bytes(), relayed).unwrap();
    }
    for number in 0..150u32 {
        assert_eq!(client.receive(), Incoming::Channel(CHANNEL, number.to_be_bytes().to_vec()));
    }
}

#[test]
fn an_ipv6_client_reaches_an_ipv6_peer() {
    let relay = TestRelay::start(&settings());
    let (mut client, peer) = (Client::new(relay.v6(), USER, PASSWORD), peer("::1"));
    let relayed = client.allocate_family(AddressFamily::Ipv6);
    assert!(relayed.is_ipv6());
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    client.send_channel(CHANNEL, b"ping");
    assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
    peer.send_to(b"pong", relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"pong".to_vec()));
}

#[test]
fn one_allocation_reaches_peers_of_both_families() {
    let relay = TestRelay::start(&settings());
    let mut client = relay.client();
    let answer = client
        .request(Method::Allocate, &|w| {
            w.put(&RequestedTransport::UDP)?;
            w.put(&AdditionalAddressFamily(AddressFamily::Ipv6))
        })
        .expect_success();
    let relayed: Vec<_> =
        answer.message().get_all::<XorRelayedAddress>().map(|address| address.unwrap().0).collect();
    assert_eq!(relayed.len(), 2, "{relayed:?}");
    for (relayed, peer) in relayed.into_iter().zip([peer("127.0.0.1"), peer("::1")]) {
        let address = peer.local_addr().unwrap();
        client.permit(address);
        client.send_indication(address, b"ping");
        assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
        peer.send_to(b"pong", relayed).unwrap();
        assert_eq!(client.receive(), Incoming::Indication(address, b"pong".to_vec()));
    }
}

#[test]
fn two_clients_reach_each_other_through_their_relayed_addresses() {
    let relay = TestRelay::start(&settings());
    let (mut alice, mut bob) = (relay.client(), relay.client());
    let (of_alice, of_bob) = (alice.allocate(), bob.allocate());
    alice.bind_channel(CHANNEL, of_bob);
    bob.bind_channel(CHANNEL + 1, of_alice);
    alice.send_channel(CHANNEL, b"to bob");
    assert_eq!(bob.receive(), Incoming::Channel(CHANNEL + 1, b"to bob".to_vec()));
    bob.send_channel(CHANNEL + 1, b"to alice");
    assert_eq!(alice.receive(), Incoming::Channel(CHANNEL, b"to alice".to_vec()));
}

#[test]
fn a_client_may_ask_for_the_df_bit() {
    let relay = TestRelay::start(&settings());
    let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
    let answer = client.request(Method::Allocate, &|w| {
        w.put(&RequestedTransport::UDP)?;
        w.put(&DontFragment)
    });
    let relayed = answer.expect_success().relayed();
    let address = peer.local_addr().unwrap();
    client.permit(address);
    client.send_unfragmented(address, b"ping");
    assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
    client.send_indication(address, b"may be fragmented");
    assert_eq!(receive(&peer), (b"may be fragmented".to_vec(), relayed));
}

#[test]
fn garbage_from_strangers_and_peers_does_not_stop_the_relay() {
    let relay = TestRelay::start(&settings());
    let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    let (mut stranger, other_peer) = (relay.client(), common::peer("127.0.0.1"));
    for first in 0..=u8::MAX {
        for length in [0, 1, 3, 4, 20, 25] {
            let garbage = vec![first; length];
            stranger.send_raw(&garbage);
            client.send_raw(&garbage);
            other_peer.send_to(&garbage, relayed).unwrap();
        }
        // One round trip each time keeps the socket's buffer from overflowing.
        client.send_channel(CHANNEL, b"ping");
        assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
    }
}

#[test]
fn a_released_allocation_closes_its_port() {
    let relay = TestRelay::start(&settings());
    let mut client = relay.client();
    let relayed = client.allocate();
    client.refresh(0).expect_success();
    // The answer may be sent before the socket is closed; another answer comes after it.
    client.binding().expect_success();
    std::net::UdpSocket::bind(relayed).expect("the port is free again");
}
