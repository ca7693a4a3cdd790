//! Credentials with `peers=room`: whom they reach, when that is known, and what is told of those they do not.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::SocketAddr;

use causeway_protocol::bus::{RelayOrder, Revocation};
use causeway_protocol::token::PeerPolicy;
use causeway_stun::Method;
use causeway_stun::attributes::XorPeerAddress;
use causeway_turn_core::*;
use common::*;

const REMOTE: &str = "60.0.0.1:50000";
const OBSERVED: &str = "8.8.8.8:5000";

#[test]
fn an_announced_candidate_alone_opens_nothing() {
    // Any peer can announce 10.0.0.5 to the others; no server of ours has seen it there.
    let (mut world, mut client, relayed) = kitchen();
    for announced in ["10.0.0.5:5000", "9.9.9.9:5000", "192.168.0.1:80"] {
        assert_eq!(ask(&mut world, &mut client, announced), None);
        assert_eq!(world.peer_sends(relayed, announced, b"x"), Verdict::Dropped(DropReason::NoPermission));
        world.pass(2);
        assert_eq!(answer(&mut world), Some(403), "{announced}");
    }
}

#[test]
fn where_our_servers_saw_a_peer_it_may_be_reached_at_every_port() {
    let (mut world, mut client, relayed) = kitchen();
    world.control(room("kitchen", &[], &["8.8.8.8"]));
    assert_eq!(client.permit(&mut world, OBSERVED), 0);
    for peer in ["8.8.8.8:1", "8.8.8.8:65535"] {
        assert!(matches!(world.peer_sends(relayed, peer, b"x"), Verdict::ToClient { .. }));
    }
    assert_eq!(client.bind(&mut world, 0x4000, OBSERVED), 0);
}

#[test]
fn a_clients_own_address_is_one_that_we_saw() {
    let (mut world, mut client, _) = kitchen();
    assert_eq!(client.permit(&mut world, "1.1.1.1:7"), 0);
}

#[test]
fn a_private_address_that_we_saw_opens_the_operators_network_to_nobody() {
    let (mut world, mut client, _) = kitchen();
    world.control(room("kitchen", &[], &["192.168.1.7"]));
    assert_eq!(client.permit(&mut world, "192.168.1.7:5000"), 403);
    let mut config = config();
    config.peer_rules.private_room_peers = PrivateRoomPeers::Allowed;
    let (mut world, mut client, _) = kitchen_with(config);
    world.control(room("kitchen", &[], &["192.168.1.7"]));
    assert_eq!(client.permit(&mut world, "192.168.1.7:5000"), 0);
    assert_eq!(ask(&mut world, &mut client, "192.168.1.8:5000"), None);
}

#[test]
fn another_nodes_relayed_address_is_reached_at_its_port_and_no_other() {
    let (mut world, mut client, relayed) = kitchen();
    world.control(room("kitchen", &[REMOTE], &[]));
    assert_eq!(client.permit(&mut world, REMOTE), 0);
    assert!(matches!(world.peer_sends(relayed, REMOTE, b"x"), Verdict::ToClient { .. }));
    let outside = Verdict::Dropped(DropReason::OutsideRoom);
    assert_eq!(world.peer_sends(relayed, "60.0.0.1:50001", b"x"), outside);
    let datagram = client.send_indication("60.0.0.1:6379", b"x");
    assert_eq!(world.client_sends(client.address, &datagram), outside);
    // The allocation ends there, and its port may be somebody else's in a moment.
    world.control(room("kitchen", &[], &[]));
    assert_eq!(world.peer_sends(relayed, REMOTE, b"x"), outside);
}

#[test]
fn our_own_relayed_addresses_are_reached_if_they_are_the_rooms() {
    let (mut world, mut alice, from) = kitchen();
    let (_, other_room) = allocated(&mut world, "attic", "mallory", "3.3.3.3:1000");
    let (_, nobodys) = world.allocated("4.4.4.4:1000");
    let (mut bob, to) = allocated(&mut world, "kitchen", "bob", "2.2.2.2:1000");
    // Permissions compare IPs, and all of these have one.
    assert_eq!(alice.permit(&mut world, &to.to_string()), 0);
    assert_eq!(bob.permit(&mut world, &from.to_string()), 0);
    let datagram = alice.send_indication(&to.to_string(), b"x");
    assert!(matches!(world.client_sends(alice.address, &datagram), Verdict::ToClient { .. }));
    assert!(matches!(world.peer_sends(to, &from.to_string(), b"x"), Verdict::ToClient { .. }));
    for stranger in [other_room, nobodys] {
        let datagram = alice.send_indication(&stranger.to_string(), b"x");
        let outside = Verdict::Dropped(DropReason::OutsideRoom);
        assert_eq!(world.client_sends(alice.address, &datagram), outside);
        assert_eq!(world.peer_sends(from, &stranger.to_string(), b"x"), outside);
    }
    // Who will live there is open when a channel is bound, so that is asked with every datagram too.
    assert_eq!(alice.bind(&mut world, 0x4001, &other_room.to_string()), 0);
    let verdict = world.client_sends(alice.address, &channel_data(0x4001, b"x"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::OutsideRoom));
}

#[test]
fn who_asks_too_early_is_answered_as_soon_as_the_address_is_known() {
    let (mut world, mut client, relayed) = kitchen();
    assert_eq!(ask(&mut world, &mut client, REMOTE), None);
    assert!(world.relay.poll_timeout().is_some_and(|due| due.since(world.now.moment).as_secs() == 2));
    world.pass(1);
    world.control(room("attic", &[REMOTE], &[]));
    assert_eq!(answer(&mut world), None, "another room's address");
    world.control(room("kitchen", &["60.0.0.2:50000"], &[]));
    assert_eq!(answer(&mut world), None, "another address");
    world.control(room("kitchen", &[REMOTE], &[]));
    assert_eq!(answer(&mut world), Some(0));
    assert!(matches!(world.peer_sends(relayed, REMOTE, b"x"), Verdict::ToClient { .. }));
    world.pass(5);
    assert_eq!(answer(&mut world), None, "answered once");
}

#[test]
fn a_channel_for_a_peer_that_is_not_known_yet_waits_as_well() {
    let (mut world, mut client, _) = kitchen();
    let number = causeway_stun::ChannelNumber::new(0x4000).unwrap();
    let request = client.request(Method::ChannelBind, &[&number, &peer_of(REMOTE)]);
    assert_eq!(client.exchange(&mut world, &request), None);
    world.control(room("kitchen", &[REMOTE], &[]));
    assert_eq!(answer(&mut world), Some(0));
    let verdict = world.client_sends(client.address, &channel_data(0x4000, b"x"));
    assert!(matches!(verdict, Verdict::ToPeer { .. }));
}

#[test]
fn after_two_seconds_without_word_of_the_peer_the_answer_is_forbidden() {
    let (mut world, mut client, _) = kitchen();
    let request = client.request(Method::CreatePermission, &[&peer_of(REMOTE)]);
    assert_eq!(client.exchange(&mut world, &request), None);
    for _ in 0..3 {
        // Retransmissions neither bring an answer nor more time.
        world.pass_without_timers(0);
        assert_eq!(client.exchange(&mut world, &request), None);
    }
    world.pass(1);
    assert_eq!(answer(&mut world), None);
    world.pass(1);
    assert_eq!(answer(&mut world), Some(403));
    assert_eq!(world.relay.counters().denied(Forbidden::OutsideRoom), 1);
}

#[test]
fn what_can_never_be_the_rooms_is_refused_at_once() {
    let (mut world, mut client, _) = kitchen();
    for peer in ["127.0.0.1:6379", "169.254.169.254:80", "224.0.0.1:1", "255.255.255.255:1", "0.0.0.0:1"] {
        assert_eq!(client.permit(&mut world, peer), 403, "{peer}");
        assert_eq!(client.bind(&mut world, 0x4000, peer), 403, "{peer}");
    }
    assert_eq!(client.bind(&mut world, 0x4000, "51.0.0.1:3478"), 403, "our listener");
}

#[test]
fn requests_that_wait_are_bounded_and_cost_one_client_no_more_than_its_share() {
    let (mut world, mut client, _) = kitchen();
    let mut dropped = 0;
    for last in 1..=40 {
        let peer = peer_of(&format!("9.9.9.{last}:1"));
        let request = client.request(Method::CreatePermission, &[&peer]);
        dropped += usize::from(
            world.client_sends(client.address, &request) == Verdict::Dropped(DropReason::TooManyAsks),
        );
    }
    assert_eq!(dropped, 8);
    let (mut other, _) = allocated(&mut world, "kitchen", "bob", "2.2.2.2:1000");
    assert_eq!(ask(&mut world, &mut other, REMOTE), None);
    world.pass(2);
    assert_eq!(world.replies.len(), 33);
}

#[test]
fn nobody_waits_for_an_allocation_that_is_over() {
    let (mut world, mut client, _) = kitchen();
    assert_eq!(ask(&mut world, &mut client, REMOTE), None);
    let revoke = Revocation::Room { room: "kitchen".parse().unwrap() };
    world.control(Control::Revoke(RelayOrder { revoke, until: UNIX.plus(60) }));
    world.control(room("kitchen", &[REMOTE], &[]));
    world.pass(2);
    assert_eq!(answer(&mut world), None);
    assert_eq!(world.relay.poll_timeout(), None);
}

#[test]
fn a_credential_for_everybody_is_not_held_to_its_room() {
    let mut world = World::new();
    let mut client = Client::with(&room_credential(|_| ()), "1.1.1.1:1000");
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, PEER), 0);
}

#[test]
fn an_allocation_tells_its_addresses_when_it_begins_and_when_one_of_two_goes() {
    let mut world = World::new();
    let mut client = Client::with(&credential("kitchen", "alice"), "1.1.1.1:1000");
    let both = client.allocate_both(&mut world).relayed();
    let created = world.events.iter().find_map(|event| match event {
        Event::AllocationCreated { relayed, .. } => Some(*relayed),
        _ => None,
    });
    assert_eq!(created, Some([Some(both[0]), Some(both[1])]));
    let family =
        causeway_stun::attributes::RequestedAddressFamily(causeway_stun::attributes::AddressFamily::Ipv6);
    let zero = causeway_stun::attributes::Lifetime { seconds: 0 };
    assert_eq!(client.ask(&mut world, Method::Refresh, &[&zero, &family]).code(), 0);
    let released = world.events.iter().find_map(|event| match event {
        Event::AddressReleased { address, .. } => Some(*address),
        _ => None,
    });
    assert_eq!(released, both.into_iter().find(SocketAddr::is_ipv6));
}

#[test]
fn an_allocation_tells_its_new_names_when_the_external_address_changes_and_not_otherwise() {
    let (mut world, _, relayed) = kitchen();
    let external = |external: &str| {
        let external = external.parse().unwrap();
        Control::External(ExternalIps::new([ExternalIp { local: relayed.ip(), external }]).unwrap())
    };
    let told = |world: &mut World| -> Vec<[Option<SocketAddr>; 2]> {
        let events = std::mem::take(&mut world.events);
        let renamed = events.into_iter().filter_map(|event| match event {
            Event::AddressesRenamed { relayed, .. } => Some(relayed),
            _ => None,
        });
        renamed.collect()
    };
    let named = |ip: &str| [Some(SocketAddr::new(ip.parse().unwrap(), relayed.port())), None];
    world.control(external("52.0.0.1"));
    assert_eq!(told(&mut world), [named("52.0.0.1")]);
    world.control(external("52.0.0.1"));
    assert!(told(&mut world).is_empty());
    world.control(external("53.0.0.1"));
    assert_eq!(told(&mut world), [named("53.0.0.1")]);
    world.control(Control::External(ExternalIps::none()));
    assert_eq!(told(&mut world), [named("51.0.0.1")]);
}

#[test]
fn a_denied_peer_is_counted_each_time_and_reported_once() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    for port in 1..=3 {
        client.permit(&mut world, &format!("10.0.0.5:{port}"));
    }
    client.permit(&mut world, "51.0.0.1:1");
    let datagram = client.send_indication("51.0.0.1:6379", b"x");
    for _ in 0..3 {
        world.client_sends(client.address, &datagram);
        world.perform();
    }
    assert_eq!(world.relay.counters().denied(Forbidden::SpecialPurpose), 3);
    assert_eq!(world.relay.counters().denied(Forbidden::NotALiveRelay), 3);
    let denied: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::PeerDenied { peer, reason, untold, subject, .. } => {
                assert_eq!(*subject, Subject::Static("alice".into()));
                Some((peer.socket().to_string(), *reason, *untold))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        denied,
        [
            ("10.0.0.5:1".to_owned(), Forbidden::SpecialPurpose, 0),
            ("51.0.0.1:6379".to_owned(), Forbidden::NotALiveRelay, 0)
        ]
    );
}

/// A relay with an allocation of alice in the kitchen.
fn kitchen() -> (World, Client, SocketAddr) {
    kitchen_with(config())
}

fn kitchen_with(config: RelayConfig) -> (World, Client, SocketAddr) {
    let mut world = World::with(config);
    let (client, relayed) = allocated(&mut world, "kitchen", "alice", "1.1.1.1:1000");
    (world, client, relayed)
}

fn allocated(world: &mut World, room: &str, peer: &str, source: &str) -> (Client, SocketAddr) {
    let mut client = Client::with(&credential(room, peer), source);
    let relayed = client.allocate(world);
    (client, relayed)
}

fn credential(room: &str, peer: &str) -> causeway_protocol::token::TurnCredential {
    room_credential(|claims| {
        claims.room = room.parse().unwrap();
        claims.sub = peer.parse().unwrap();
        claims.peers = PeerPolicy::Room;
    })
}

fn room(room: &str, relayed: &[&str], observed: &[&str]) -> Control {
    Control::RoomPeers(RoomPeers {
        room: room.parse().unwrap(),
        relayed: relayed.iter().map(|address| address.parse().unwrap()).collect(),
        observed: observed.iter().map(|ip| ip.parse().unwrap()).collect(),
    })
}

fn peer_of(peer: &str) -> XorPeerAddress {
    XorPeerAddress(peer.parse().unwrap())
}

/// Asks for a permission; `None`: no answer yet.
fn ask(world: &mut World, client: &mut Client, peer: &str) -> Option<u16> {
    let request = client.request(Method::CreatePermission, &[&peer_of(peer)]);
    client.exchange(world, &request).map(|answer| answer.code())
}

/// An answer that came by itself.
fn answer(world: &mut World) -> Option<u16> {
    world.replies.pop_front().map(|(_, bytes)| Answer(bytes).code())
}
