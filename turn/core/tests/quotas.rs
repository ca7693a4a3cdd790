//! How many allocations there may be, counted over all workers of a node.

mod common;

use causeway_stun::Method;
use causeway_turn_core::*;
use common::*;

#[test]
fn a_user_has_one_quota_on_all_workers() {
    let mut config = config();
    config.limits.allocations_per_user = 2;
    let mut one = World::with(config.clone());
    let mut two = one.sibling(config, 2);
    let (mut first, _) = one.allocated("1.1.1.1:1");
    two.allocated("1.1.1.1:2");
    let mut third = Client::new("1.1.1.1:3");
    refused(&mut two, &mut third, 486, Quota::User);
    first.refresh(&mut one, 0);
    third.allocate(&mut two);
}

#[test]
fn a_node_has_one_limit_on_all_workers() {
    let mut config = config();
    config.limits.allocations = 2;
    let mut one = World::with(config.clone());
    let mut two = one.sibling(config, 2);
    one.allocated("1.1.1.1:1");
    two.allocated("1.1.1.1:2");
    refused(&mut one, &mut Client::new("1.1.1.1:3"), 508, Quota::Node);
    refused(&mut two, &mut Client::new("1.1.1.1:4"), 508, Quota::Node);
}

#[test]
fn a_room_has_one_quota_on_all_workers() {
    let mut config = config();
    config.limits.allocations_per_room = 2;
    let mut one = World::with(config.clone());
    let mut two = one.sibling(config, 2);
    peer_of_room("a", "1.1.1.1:1").allocate(&mut one);
    peer_of_room("b", "1.1.1.1:2").allocate(&mut two);
    refused(&mut two, &mut peer_of_room("c", "1.1.1.1:3"), 486, Quota::Room);
    // Static users are in no room.
    two.allocated("1.1.1.1:4");
}

#[test]
fn a_source_has_one_quota_whatever_its_port_and_user() {
    let mut config = config();
    config.limits.allocations_per_source = 1;
    let mut world = World::with(config);
    world.allocated("1.1.1.1:1");
    refused(&mut world, &mut Client::of("bob", "hush", "1.1.1.1:2"), 486, Quota::Source);
    world.allocated("1.1.1.2:1");
}

#[test]
fn a_byte_budget_is_one_on_all_workers() {
    let mut one = World::new();
    let mut two = one.sibling(config(), 2);
    let credential = room_credential(|claims| claims.bytes = Some(10));
    let up = channel_data(0x4000, b"12345");
    let mut clients = [&mut one, &mut two].map(|world| {
        let mut client = Client::with(&credential, "1.1.1.1:1");
        client.allocate(world);
        client.bind(world, 0x4000, PEER);
        client
    });
    assert!(matches!(one.client_sends(clients[0].address, &up), Verdict::ToPeer { .. }));
    assert!(matches!(two.client_sends(clients[1].address, &up), Verdict::ToPeer { .. }));
    let more = channel_data(0x4000, b"1");
    assert_eq!(one.client_sends(clients[0].address, &more), Verdict::Dropped(DropReason::BudgetSpent));
    assert_eq!(two.client_sends(clients[1].address, &more), Verdict::Dropped(DropReason::BudgetSpent));
    refused(&mut two, &mut clients[0], 486, Quota::Bytes);
}

#[test]
fn a_request_that_waits_for_its_port_counts_and_one_that_fails_does_not() {
    let mut config = config();
    config.limits.allocations_per_source = 1;
    let mut one = World::with(config.clone());
    let mut two = one.sibling(config, 2);
    one.slow_binds = true;
    let mut waiting = Client::new("1.1.1.1:1");
    waiting.learn_nonce(&mut one);
    let request = waiting.request(Method::Allocate, &[UDP]);
    assert_eq!(waiting.exchange(&mut one, &request), None);
    let mut other = Client::new("1.1.1.1:2");
    refused(&mut two, &mut other, 486, Quota::Source);
    one.taken = (0..=65_535).collect();
    while !one.waiting.is_empty() {
        one.finish_binds();
    }
    other.allocate(&mut two);
}

#[test]
fn a_worker_that_is_gone_takes_its_allocations_out_of_the_count() {
    let mut config = config();
    config.limits.allocations = 1;
    let mut one = World::with(config.clone());
    let mut two = one.sibling(config, 2);
    one.allocated("1.1.1.1:1");
    drop(one);
    two.allocated("1.1.1.1:2");
}

#[test]
fn a_lower_limit_ends_no_allocation_and_refuses_new_ones() {
    let mut config = config();
    let mut world = World::with(config.clone());
    let (mut first, relayed) = world.allocated("1.1.1.1:1");
    world.allocated("1.1.1.1:2");
    config.limits.allocations_per_user = 1;
    world.control(Control::Limits(config.limits));
    assert_eq!(world.end_reasons(), []);
    first.permit(&mut world, PEER);
    assert!(matches!(world.peer_sends(relayed, PEER, b"x"), Verdict::ToClient { .. }));
    refused(&mut world, &mut Client::new("1.1.1.1:3"), 486, Quota::User);
}

fn peer_of_room(name: &str, source: &str) -> Client {
    Client::with(&room_credential(|claims| claims.sub = name.parse().expect("an id")), source)
}

#[track_caller]
fn refused(world: &mut World, client: &mut Client, code: u16, quota: Quota) {
    let before = world.relay.counters().quota_refusals(quota);
    assert_eq!(client.ask(world, Method::Allocate, &[UDP]).code(), code);
    assert_eq!(world.relay.counters().quota_refusals(quota), before + 1, "{quota:?}");
}
