//! One order ends what runs and refuses what comes.

mod common;

use causeway_protocol::UnixSeconds;
use causeway_protocol::bus::{RelayOrder, Revocation};
use causeway_stun::Method;
use causeway_turn_core::*;
use common::*;

#[test]
fn a_revoked_credential_loses_its_allocation_and_gets_no_other() {
    let mut world = World::new();
    let mut client = Client::with(&room_credential(|_| ()), "1.1.1.1:1000");
    let relayed = client.allocate(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    world.control(revoke(Revocation::Credential { jti: "token1".parse().unwrap() }));
    assert_eq!(world.unbound, [relayed]);
    assert_eq!(world.end_reasons(), [EndReason::Revoked]);
    let verdict = world.client_sends(client.address, &channel_data(0x4000, b"x"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoAllocation));
    // Refused before a port is bound for it.
    world.slow_binds = true;
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);
    assert!(world.waiting.is_empty());
    world.slow_binds = false;
    // Another credential of the same peer is another matter.
    let renewed = room_credential(|claims| claims.jti = "token2".parse().unwrap());
    Client::with(&renewed, "1.1.1.1:1001").allocate(&mut world);
}

#[test]
fn a_revoked_peer_or_room_loses_every_allocation_and_others_lose_none() {
    let mut world = World::new();
    let peers = [("kitchen", "a"), ("kitchen", "b"), ("attic", "a")];
    for (port, (room, peer)) in (1000..).zip(peers) {
        let credential = room_credential(|claims| {
            claims.room = room.parse().unwrap();
            claims.sub = peer.parse().unwrap();
        });
        Client::with(&credential, &format!("1.1.1.1:{port}")).allocate(&mut world);
    }
    world.allocated("1.1.1.1:2000");
    let room = || "kitchen".parse().unwrap();
    world.control(revoke(Revocation::Peer { room: room(), peer: "a".parse().unwrap() }));
    assert_eq!(world.relay.counters().allocations, 3);
    world.control(revoke(Revocation::Room { room: room() }));
    assert_eq!(world.relay.counters().allocations, 2);
    assert_eq!(world.end_reasons(), [EndReason::Revoked; 2]);
}

#[test]
fn an_order_that_comes_while_the_port_is_being_bound_is_obeyed() {
    let mut world = World::new();
    world.slow_binds = true;
    let mut client = Client::with(&room_credential(|_| ()), "1.1.1.1:1000");
    client.learn_nonce(&mut world);
    let request = client.request(Method::Allocate, &[UDP]);
    client.exchange(&mut world, &request);
    world.control(revoke(Revocation::Room { room: "kitchen".parse().unwrap() }));
    world.finish_binds();
    assert_eq!(Answer(world.replies.pop_front().unwrap().1).code(), 401);
    assert!(world.bound.is_empty());
    assert_eq!(world.relay.counters().allocations, 0);
}

#[test]
fn a_revocation_is_forgotten_when_no_credential_can_be_left() {
    let mut world = World::new();
    let revoke = Revocation::Room { room: "kitchen".parse().unwrap() };
    world.control(Control::Revoke(RelayOrder { revoke, until: world.now.unix.plus(60) }));
    world.pass(59);
    let mut client = Client::with(&room_credential(|_| ()), "1.1.1.1:1000");
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);
    world.pass(1);
    client.allocate(&mut world);
}

/// An order for longer than any test takes.
fn revoke(revoke: Revocation) -> Control {
    Control::Revoke(RelayOrder { revoke, until: UnixSeconds(u64::MAX) })
}
