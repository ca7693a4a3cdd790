//! CreatePermission, and what a permission is worth: RFC 8656 §9 and §10.

mod common;

use causeway_stun::attributes::XorPeerAddress;
use causeway_stun::{AttributeType, Encode, Method, RawAttribute};
use causeway_turn_core::*;
use common::*;

#[test]
fn permission_expires_even_if_the_timer_is_late() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    world.pass_without_timers(299);
    assert!(matches!(world.peer_sends(relayed, PEER, b"x"), Verdict::ToClient { .. }));
    world.pass_without_timers(1);
    let expired = Verdict::Dropped(DropReason::PermissionExpired);
    assert_eq!(world.peer_sends(relayed, PEER, b"x"), expired);
    let datagram = client.send_indication(PEER, b"x");
    assert_eq!(world.client_sends(client.address, &datagram), expired);
}

#[test]
fn a_permission_is_refreshed_by_asking_again_and_not_by_data() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    world.pass(200);
    world.peer_sends(relayed, PEER, b"x");
    let datagram = client.send_indication(PEER, b"x");
    world.client_sends(client.address, &datagram);
    world.pass(100);
    assert_eq!(world.peer_sends(relayed, PEER, b"x"), Verdict::Dropped(DropReason::PermissionExpired));
    client.permit(&mut world, PEER);
    world.pass(200);
    client.permit(&mut world, "8.8.8.8:1");
    world.pass(90);
    assert!(matches!(world.peer_sends(relayed, PEER, b"x"), Verdict::ToClient { .. }));
}

#[test]
fn several_peers_are_permitted_at_once_or_not_at_all() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    let (a, b, forbidden) = (address("8.8.8.8:1"), address("9.9.9.9:1"), address("10.0.0.1:1"));
    assert_eq!(client.ask(&mut world, Method::CreatePermission, &[&a, &forbidden, &b]).code(), 403);
    assert_eq!(world.peer_sends(relayed, "8.8.8.8:1", b"x"), Verdict::Dropped(DropReason::NoPermission));
    assert_eq!(client.ask(&mut world, Method::CreatePermission, &[&a, &b]).code(), 0);
    for peer in ["8.8.8.8:1", "9.9.9.9:1"] {
        assert!(matches!(world.peer_sends(relayed, peer, b"x"), Verdict::ToClient { .. }));
    }
}

#[test]
fn a_request_without_peers_or_with_a_malformed_one_is_bad() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    assert_eq!(client.ask(&mut world, Method::CreatePermission, &[]).code(), 400);
    let malformed = RawAttribute { kind: AttributeType::XOR_PEER_ADDRESS, value: &[0, 9, 0, 0, 1, 2, 3, 4] };
    let good = address(PEER);
    assert_eq!(client.ask(&mut world, Method::CreatePermission, &[&good, &malformed]).code(), 400);
    assert_eq!(world.peer_sends(relayed, PEER, b"x"), Verdict::Dropped(DropReason::NoPermission));
}

#[test]
fn a_peer_of_another_family_is_a_mismatch() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    assert_eq!(client.permit(&mut world, "[2a00::8]:5000"), 443);
}

#[test]
fn special_purpose_networks_and_our_own_hosts_are_forbidden_in_every_disguise() {
    let mut config = config();
    config.denied_peers = vec!["60.0.0.9".parse().unwrap()];
    let mut world = World::with(config);
    let mut client = Client::new("1.1.1.1:1000");
    client.allocate_both(&mut world);
    for peer in [
        "0.0.0.0:1",
        "127.0.0.1:1",
        "10.0.0.1:1",
        "100.64.0.1:1",
        "169.254.169.254:80",
        "172.16.0.1:1",
        "192.168.0.1:1",
        "224.0.0.1:1",
        "255.255.255.255:1",
        "60.0.0.9:6379",
        "[::]:1",
        "[::1]:1",
        "[::ffff:127.0.0.1]:1",
        "[::ffff:51.0.0.1]:1",
        "[::ffff:60.0.0.9]:1",
        "[::127.0.0.1]:1",
        "[64:ff9b::127.0.0.1]:1",
        "[2002:7f00:1::]:1",
        "[fe80::1]:1",
        "[fd00::1]:1",
        "[fec0::1]:1",
        "[ff02::1]:1",
    ] {
        assert_eq!(client.permit(&mut world, peer), 403, "{peer}");
        assert_eq!(client.bind(&mut world, 0x4000, peer), 403, "{peer}");
    }
}

#[test]
fn the_test_switch_lets_loopback_peers_in_but_not_our_listener() {
    let mut config = config();
    config.loopback_peers = LoopbackPeers::AllowedForTests;
    config.listeners[0].address = "127.0.0.1:3478".parse().unwrap();
    config.listeners[0].relay_v4 = Some("127.0.0.1".parse().unwrap());
    let mut world = World::with(config);
    let (mut client, relayed) = world.allocated("127.0.0.1:1000");
    assert_eq!(client.permit(&mut world, "127.0.0.1:5000"), 0);
    assert!(matches!(world.peer_sends(relayed, "127.0.0.1:5000", b"x"), Verdict::ToClient { .. }));
    let datagram = client.send_indication("127.0.0.1:3478", b"x");
    assert_eq!(world.client_sends(client.address, &datagram), Verdict::Dropped(DropReason::ForbiddenPeer));
    assert_eq!(client.bind(&mut world, 0x4000, "127.0.0.1:3478"), 403);
}

#[test]
fn permissions_are_bounded_and_expired_ones_do_not_count() {
    let mut config = config();
    config.limits.permissions = 2;
    let mut world = World::with(config);
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    assert_eq!(client.permit(&mut world, "8.0.0.1:1"), 0);
    assert_eq!(client.permit(&mut world, "8.0.0.2:1"), 0);
    assert_eq!(client.permit(&mut world, "8.0.0.2:9"), 0, "the same IP");
    assert_eq!(client.permit(&mut world, "8.0.0.3:1"), 508);
    assert_eq!(client.bind(&mut world, 0x4000, "8.0.0.3:1"), 508);
    world.pass(300);
    assert_eq!(client.permit(&mut world, "8.0.0.3:1"), 0);
}

fn address(peer: &str) -> impl Encode + use<> {
    XorPeerAddress(peer.parse().expect("an address"))
}
