//! RFC 8656 §11.5: ICMP errors on the way to a peer reach the client, and nobody else.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_stun::attributes::{Data, Icmp, XorPeerAddress};
use causeway_stun::{Class, Message, Method};
use causeway_turn_core::*;
use common::*;

const PEER_V6: &str = "[2606:4700::1111]:5000";

#[test]
fn a_client_is_told_that_nobody_listens_at_the_peers_port() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    assert_eq!(error(&mut world, relayed, PEER, (3, 3, 77)), Verdict::Handled);
    let (to, bytes) = world.replies.pop_front().unwrap();
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(to, client.address);
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
    assert_eq!(message.get::<XorPeerAddress>(), Ok(Some(XorPeerAddress(PEER.parse().unwrap()))));
    // Error data is zero where it is no MTU.
    assert_eq!(message.get::<Icmp>(), Ok(Icmp::new(3, 3, 0)));
    assert_eq!(message.get::<Data<'_>>(), Ok(None));
}

#[test]
fn where_a_datagram_was_too_big_the_mtu_is_told() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    assert_eq!(told(&mut world, relayed, PEER, (3, 4, 1400)), Icmp::new(3, 4, 1400));

    let mut client = Client::new("1.1.1.1:2000");
    let relayed = client.allocate_both(&mut world).relayed()[1];
    client.permit(&mut world, PEER_V6);
    assert_eq!(told(&mut world, relayed, PEER_V6, (2, 0, 1280)), Icmp::new(2, 0, 1280));
}

#[test]
fn only_errors_of_the_peers_family_are_told() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    for icmp_type in 0..=u8::MAX {
        let told = told(&mut world, relayed, PEER, (icmp_type, 0, 0)).is_some();
        assert_eq!(told, matches!(icmp_type, 3 | 11), "ICMP type {icmp_type}");
        world.pass(1);
    }
    let mut client = Client::new("1.1.1.1:2000");
    let relayed = client.allocate_both(&mut world).relayed()[1];
    for icmp_type in 0..=u8::MAX {
        if icmp_type % 100 == 0 {
            client.permit(&mut world, PEER_V6);
        }
        let told = told(&mut world, relayed, PEER_V6, (icmp_type, 0, 0)).is_some();
        assert_eq!(told, matches!(icmp_type, 1..=3), "ICMPv6 type {icmp_type}");
        world.pass(1);
    }
}

#[test]
fn without_a_permission_for_the_destination_nothing_is_told() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    let none = Verdict::Dropped(DropReason::NoPermission);
    assert_eq!(error(&mut world, relayed, PEER, (3, 3, 0)), none);
    client.permit(&mut world, PEER);
    assert_eq!(error(&mut world, relayed, "8.8.4.4:5000", (3, 3, 0)), none);
    world.pass_without_timers(300);
    let expired = Verdict::Dropped(DropReason::PermissionExpired);
    assert_eq!(error(&mut world, relayed, PEER, (3, 3, 0)), expired);
    assert_eq!(world.replies.len(), 0);
}

#[test]
fn an_error_at_a_port_of_no_allocation_is_dropped() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    let on = world.port(relayed);
    client.refresh(&mut world, 0);
    let verdict = world.relay.on_icmp(world.now, on, peer(PEER), 3, 3, 0);
    assert_eq!(verdict, Verdict::Dropped(DropReason::UnknownRelayPort));
}

#[test]
fn a_client_is_told_ten_errors_a_second_and_no_more() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    for _ in 0..2 {
        for _ in 0..10 {
            assert_eq!(error(&mut world, relayed, PEER, (3, 3, 0)), Verdict::Handled);
        }
        for _ in 0..1000 {
            let too_many = Verdict::Dropped(DropReason::IcmpTooMany);
            assert_eq!(error(&mut world, relayed, PEER, (3, 3, 0)), too_many);
        }
        world.pass(1);
    }
    assert_eq!(world.replies.len(), 20);
    assert_eq!(world.relay.counters().dropped(DropReason::IcmpTooMany), 2000);
}

fn error(
    world: &mut World,
    relayed: std::net::SocketAddr,
    to: &str,
    (icmp_type, code, data): (u8, u8, u32),
) -> Verdict {
    let on = world.port(relayed);
    let verdict = world.relay.on_icmp(world.now, on, peer(to), icmp_type, code, data);
    world.perform();
    verdict
}

/// What the client is told of an error.
fn told(world: &mut World, relayed: std::net::SocketAddr, to: &str, what: (u8, u8, u32)) -> Option<Icmp> {
    world.replies.clear();
    error(world, relayed, to, what);
    let (_, bytes) = world.replies.pop_front()?;
    Message::decode(&bytes).unwrap().get::<Icmp>().unwrap()
}
