//! Allocations end in time, whether timers run or not, and leave nothing behind.

mod common;

use causeway_stun::Method;
use causeway_turn_core::*;
use common::*;

#[test]
fn an_allocation_that_is_not_refreshed_frees_its_port() {
    let mut world = World::new();
    let (_, relayed) = world.allocated("1.1.1.1:1000");
    assert!(world.relay.poll_timeout().is_some());
    world.pass(599);
    assert!(world.own.is_live(relayed));
    world.pass(2);
    assert_eq!(world.unbound, [relayed]);
    assert!(!world.own.is_live(relayed));
    assert_eq!(world.end_reasons(), [EndReason::Expired]);
    assert_eq!(world.relay.poll_timeout(), None, "nothing is left to wait for");
}

#[test]
fn an_expired_allocation_relays_nothing_even_if_the_timer_is_late() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.bind(&mut world, 0x4000, PEER);
    world.pass_without_timers(290);
    client.bind(&mut world, 0x4000, PEER);
    world.pass_without_timers(289);
    client.bind(&mut world, 0x4000, PEER);
    world.pass_without_timers(21);
    let expired = Verdict::Dropped(DropReason::AllocationExpired);
    assert_eq!(world.client_sends(client.address, &channel_data(0x4000, b"x")), expired);
    let datagram = client.send_indication(PEER, b"x");
    assert_eq!(world.client_sends(client.address, &datagram), expired);
    assert_eq!(world.peer_sends(relayed, PEER, b"x"), expired);
}

#[test]
fn a_request_to_an_expired_allocation_finds_none_even_if_the_timer_is_late() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    world.pass_without_timers(600);
    client.learn_nonce(&mut world);
    assert_eq!(client.refresh(&mut world, 600).code(), 437);
    assert_eq!(world.unbound, [relayed]);
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 0);
}

#[test]
fn the_timer_that_is_asked_for_is_the_one_that_is_needed() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    world.pass(100);
    client.refresh(&mut world, 3600);
    let mut wakes = 0;
    while let Some(due) = world.relay.poll_timeout() {
        wakes += 1;
        assert!(wakes < 4, "a relay sleeps between its timers");
        let ahead = due.since(world.now.moment).as_secs();
        world.pass(ahead);
    }
    assert_eq!(world.end_reasons(), [EndReason::Expired]);
}

#[test]
fn a_thousand_allocations_come_and_go_without_a_trace() {
    let mut world = World::new();
    for round in 0..4 {
        for port in 1..=60 {
            let (mut client, _) = world.allocated(&format!("1.1.1.{round}:{port}"));
            client.bind(&mut world, 0x4000, PEER);
            if port % 2 == 0 {
                client.refresh(&mut world, 0);
            }
        }
        world.pass(700);
    }
    assert_eq!(world.end_reasons().len(), 240);
    assert!(world.bound.is_empty());
    assert_eq!(world.relay.counters().allocations, 0);
    assert_eq!(world.relay.poll_timeout(), None);
}
