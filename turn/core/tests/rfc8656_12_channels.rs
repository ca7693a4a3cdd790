//! ChannelBind, and how long a channel lasts: RFC 8656 §12.

mod common;

use causeway_stun::attributes::XorPeerAddress;
use causeway_stun::{AttributeType, ChannelNumber, Method, RawAttribute};
use causeway_turn_core::*;
use common::*;

#[test]
fn a_channel_lasts_ten_minutes_and_its_permission_five() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.refresh(&mut world, 3600);
    client.bind(&mut world, 0x4000, PEER);
    world.pass(300);
    let up = channel_data(0x4000, b"x");
    let expired = Verdict::Dropped(DropReason::PermissionExpired);
    assert_eq!(world.client_sends(client.address, &up), expired);
    assert_eq!(world.peer_sends(relayed, PEER, b"x"), expired);
    client.permit(&mut world, PEER);
    world.pass(299);
    assert!(matches!(world.client_sends(client.address, &up), Verdict::ToPeer { .. }));
    world.pass(1);
    assert_eq!(world.client_sends(client.address, &up), Verdict::Dropped(DropReason::ChannelExpired));
}

#[test]
fn binding_again_refreshes_channel_and_permission() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.refresh(&mut world, 3600);
    let mut last = 0;
    for _ in 0..5 {
        last = client.bind(&mut world, 0x4000, PEER);
        world.pass(299);
        client.learn_nonce(&mut world);
    }
    assert_eq!(last, 0);
    let (_, bytes) = sent_to_client(world.peer_sends(relayed, PEER, b"x"), b"x");
    assert_eq!(bytes, channel_data(0x4000, b"x"));
}

#[test]
fn when_the_channel_expires_the_peer_is_heard_in_indications() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.refresh(&mut world, 3600);
    client.bind(&mut world, 0x4000, PEER);
    world.pass_without_timers(599);
    client.learn_nonce(&mut world);
    client.permit(&mut world, PEER);
    assert_eq!(sent_to_client(world.peer_sends(relayed, PEER, b"x"), b"x").1[0], 0x40);
    world.pass_without_timers(1);
    assert_eq!(sent_to_client(world.peer_sends(relayed, PEER, b"x"), b"x").1[0], 0x00);
}

#[test]
fn a_number_has_one_peer_and_a_peer_one_number() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
    assert_eq!(client.bind(&mut world, 0x4000, "8.8.8.8:5001"), 400);
    assert_eq!(client.bind(&mut world, 0x4001, PEER), 400);
    assert_eq!(client.bind(&mut world, 0x4001, "8.8.8.8:5001"), 0);
    // RFC 8656 §12: on another allocation the number is free.
    let (mut other, _) = world.allocated("1.1.1.1:1001");
    assert_eq!(other.bind(&mut world, 0x4000, "9.9.9.9:1"), 0);
}

#[test]
fn number_and_peer_are_required_and_the_number_in_range() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    let peer = XorPeerAddress(PEER.parse().unwrap());
    let number = ChannelNumber::MIN;
    assert_eq!(client.ask(&mut world, Method::ChannelBind, &[&number]).code(), 400);
    assert_eq!(client.ask(&mut world, Method::ChannelBind, &[&peer]).code(), 400);
    for value in [[0x3F, 0xFF, 0, 0], [0x80, 0, 0, 0], [0xFF, 0xFF, 0, 0], [0, 0, 0, 0]] {
        let number = RawAttribute { kind: AttributeType::CHANNEL_NUMBER, value: &value };
        assert_eq!(client.ask(&mut world, Method::ChannelBind, &[&number, &peer]).code(), 400);
    }
    assert_eq!(client.bind(&mut world, 0x4FFF, PEER), 0);
    // RFC 5766 §11: up to here; coturn's client draws from the whole range.
    assert_eq!(client.bind(&mut world, 0x7FFF, "8.8.8.8:5001"), 0);
}

#[test]
fn peers_that_cannot_be_reached_cannot_be_bound() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    assert_eq!(client.bind(&mut world, 0x4000, "[2a00::8]:1"), 443);
    assert_eq!(client.bind(&mut world, 0x4000, "8.8.8.8:0"), 403);
    assert_eq!(client.bind(&mut world, 0x4000, "192.168.1.1:1"), 403);
    assert_eq!(client.bind(&mut world, 0x4000, "51.0.0.1:3478"), 403);
}

#[test]
fn channels_are_bounded_and_expired_ones_do_not_count() {
    let mut config = config();
    config.limits.channels = 2;
    let mut world = World::with(config);
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    client.refresh(&mut world, 3600);
    assert_eq!(client.bind(&mut world, 0x4000, "8.8.8.8:1"), 0);
    assert_eq!(client.bind(&mut world, 0x4001, "8.8.8.8:2"), 0);
    assert_eq!(client.bind(&mut world, 0x4002, "8.8.8.8:3"), 508);
    assert_eq!(client.bind(&mut world, 0x4001, "8.8.8.8:2"), 0);
    world.pass(600);
    client.learn_nonce(&mut world);
    assert_eq!(client.bind(&mut world, 0x4002, "8.8.8.8:3"), 0);
}
