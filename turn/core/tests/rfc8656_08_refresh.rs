//! Refresh keeps an allocation or ends it: RFC 8656 §8.2.

mod common;

use causeway_stun::attributes::{AddressFamily, Lifetime, RequestedAddressFamily};
use causeway_stun::{AttributeType, Method, RawAttribute};
use causeway_turn_core::*;
use common::*;

#[test]
fn a_refresh_prolongs_from_the_moment_it_comes() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    world.pass(500);
    let answer = client.refresh(&mut world, 700);
    assert_eq!((answer.code(), answer.lifetime()), (0, 700));
    world.pass(699);
    assert!(world.own.is_live(relayed));
    world.pass(2);
    assert!(!world.own.is_live(relayed));
    assert_eq!(world.end_reasons(), [EndReason::Expired]);
}

#[test]
fn a_refresh_sent_twice_is_answered_twice_alike() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    let request = client.request(Method::Refresh, &[&Lifetime { seconds: 700 }]);
    let first = client.exchange(&mut world, &request).unwrap();
    assert_eq!(client.exchange(&mut world, &request).unwrap(), first);
}

#[test]
fn lifetime_zero_ends_the_allocation_and_a_second_one_finds_none() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    let answer = client.refresh(&mut world, 0);
    assert_eq!((answer.code(), answer.lifetime()), (0, 0));
    assert_eq!(world.end_reasons(), [EndReason::Released]);
    assert_eq!(world.unbound, [relayed]);
    assert_eq!(world.relay.counters().allocations, 0);
    assert_eq!(world.relay.poll_timeout(), None);
    assert_eq!(client.refresh(&mut world, 0).code(), 437);
    assert_eq!(client.permit(&mut world, PEER), 437);
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 437);
    // The 5-tuple is free at once.
    client.allocate(&mut world);
}

#[test]
fn a_family_that_the_allocation_lacks_is_a_mismatch() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    let v6 = RequestedAddressFamily(AddressFamily::Ipv6);
    assert_eq!(client.ask(&mut world, Method::Refresh, &[&v6]).code(), 443);
    let short = RawAttribute { kind: AttributeType::LIFETIME, value: &[1] };
    assert_eq!(client.ask(&mut world, Method::Refresh, &[&short]).code(), 400);
}

#[test]
fn one_family_of_two_ends_alone_with_its_permissions_and_channels() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let relayed = client.allocate_both(&mut world).relayed();
    client.bind(&mut world, 0x4000, PEER);
    client.bind(&mut world, 0x4001, "[2a00::8]:5000");

    let v4 = RequestedAddressFamily(AddressFamily::Ipv4);
    assert_eq!(client.ask(&mut world, Method::Refresh, &[&v4, &Lifetime { seconds: 0 }]).code(), 0);
    assert_eq!(world.unbound, [relayed[0]]);
    let gone = world.client_sends(client.address, &channel_data(0x4000, b"x"));
    assert_eq!(gone, Verdict::Dropped(DropReason::NoChannel));
    let alive = channel_data(0x4001, b"x");
    let verdict = world.client_sends(client.address, &alive);
    assert_eq!(sent_to_peer(verdict, &alive).0, relayed[1]);
    assert_eq!(client.permit(&mut world, PEER), 443);
    assert_eq!(client.ask(&mut world, Method::Refresh, &[&v4]).code(), 443);
    assert!(world.end_reasons().is_empty());

    assert_eq!(client.refresh(&mut world, 0).code(), 0);
    assert_eq!(world.end_reasons(), [EndReason::Released]);
}

#[test]
fn permissions_of_a_family_that_is_gone_make_room() {
    let mut config = config();
    config.limits.permissions = 1;
    let mut world = World::with(config);
    let mut client = Client::new("1.1.1.1:1000");
    client.allocate_both(&mut world);
    assert_eq!(client.permit(&mut world, PEER), 0);
    assert_eq!(client.permit(&mut world, "[2a00::8]:1"), 508);
    let v4 = RequestedAddressFamily(AddressFamily::Ipv4);
    client.ask(&mut world, Method::Refresh, &[&v4, &Lifetime { seconds: 0 }]);
    assert_eq!(client.permit(&mut world, "[2a00::8]:1"), 0);
}

#[test]
fn the_families_of_an_allocation_expire_each_in_its_time() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let relayed = client.allocate_both(&mut world).relayed();
    client.permit(&mut world, PEER);
    world.pass(400);
    client.learn_nonce(&mut world);
    let v6 = RequestedAddressFamily(AddressFamily::Ipv6);
    client.ask(&mut world, Method::Refresh, &[&v6]);
    world.pass(201);
    assert_eq!(world.unbound, [relayed[0]]);
    assert!(world.own.is_live(relayed[1]));
    world.pass(400);
    assert_eq!(world.unbound, relayed);
    assert_eq!(world.end_reasons(), [EndReason::Expired]);
}
