//! Credentials with `peers=room` over real sockets, on one node and between two.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::sync::Arc;

use causeway_cluster::{Bus, Delivery, MemoryBus, Topic};
use causeway_protocol::bus::{AddressOrigin, BusMessage, RelayOrder, Revocation, RoomAddresses};
use causeway_protocol::token::{PeerPolicy, TurnClaims, TurnIssuer};
use causeway_service::clock;
use causeway_turn::TurnSettings;
use common::client::{Client, Incoming};
use common::relay::{TestRelay, secret, settings};
use common::until;

#[test]
fn peers_of_a_room_reach_each_other_through_any_worker() {
    let relay = TestRelay::start(&TurnSettings { workers: 3, ..settings() });
    let mut members: Vec<_> = (0..6).map(|number| client(&relay, "kitchen", &format!("p{number}"))).collect();
    let relayed: Vec<_> = members.iter_mut().map(Client::allocate).collect();
    for (member, to) in members.iter_mut().zip(relayed.iter().cycle().skip(1)) {
        member.permit(*to);
    }
    // Each permits its neighbours.
    for (member, from) in members.iter_mut().zip(relayed.iter().cycle().skip(5)) {
        member.permit(*from);
    }
    let (first, rest) = members.split_first_mut().unwrap();
    // The other's worker hears of the first one's address a moment after that has it.
    until(|| {
        first.send_indication(relayed[1], b"hello");
        rest[0].try_receive().is_some_and(|got| got == Incoming::Indication(relayed[0], b"hello".to_vec()))
    });
}

#[test]
fn peers_of_a_room_on_two_nodes_reach_each_other_and_no_other_room() {
    let bus = Arc::new(MemoryBus::new());
    let on = |ip: &str| TurnSettings { listen: vec![ip.parse().unwrap()], ..settings() };
    let here = TestRelay::start_on(Arc::clone(&bus), "here", &on("127.0.0.1"));
    let there = TestRelay::start_on(Arc::clone(&bus), "there", &on("127.0.0.2"));
    let mut alice = client(&here, "kitchen", "alice");
    let mut bob = client(&there, "kitchen", "bob");
    let mut mallory = client(&there, "attic", "mallory");
    let (at_alice, at_bob, at_mallory) = (alice.allocate(), bob.allocate(), mallory.allocate());
    // Each asks before it can know, and is answered once the other node has told.
    alice.permit(at_bob);
    bob.permit(at_alice);
    mallory.permit(at_alice);
    // Her node may send to where all of this test's clients are; ours takes nothing from another room's address.
    mallory.send_indication(at_alice, b"let me in");
    bob.send_indication(at_alice, b"hello");
    assert_eq!(alice.receive(), Incoming::Indication(at_bob, b"hello".to_vec()));
    // The permission names the IP of both.
    alice.send_indication(at_mallory, b"psst");
    alice.send_indication(at_bob, b"hello yourself");
    assert_eq!(bob.receive(), Incoming::Indication(at_alice, b"hello yourself".to_vec()));
    assert_eq!(mallory.try_receive(), None);
    // What is over is taken back on the other node.
    bob.refresh(0).expect_success();
    let mut carol = client(&here, "kitchen", "carol");
    carol.allocate();
    until(|| carol.try_permit(at_bob).error() == Some(403));
}

#[test]
fn a_credential_of_a_room_opens_nothing_outside_of_it() {
    let relay = TestRelay::start(&settings());
    let mut alice = client(&relay, "kitchen", "alice");
    alice.allocate();
    for outside in ["9.9.9.9:53", "10.0.0.5:80", "192.168.1.1:80", "169.254.169.254:80", "224.0.0.1:1"] {
        assert_eq!(alice.try_permit(outside.parse().unwrap()).error(), Some(403), "{outside}");
    }
}

#[test]
fn what_signaling_saw_may_be_reached_once_it_says_so() {
    let relay = TestRelay::start(&settings());
    let mut alice = client(&relay, "kitchen", "alice");
    alice.allocate();
    let seen = RoomAddresses {
        node: "other".parse().unwrap(),
        origin: AddressOrigin::Signal,
        room: "kitchen".parse().unwrap(),
        peer: "bob".parse().unwrap(),
        relayed: vec![],
        observed: vec!["9.9.9.9".parse().unwrap()],
    };
    relay.bus.publish(BusMessage::RoomAddresses(seen)).unwrap();
    alice.permit("9.9.9.9:5000".parse().unwrap());
}

#[test]
fn a_revocation_survives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let settings = TurnSettings { revocation_file: Some(folder.path().join("revocations")), ..settings() };
    let relay = TestRelay::start(&settings);
    client(&relay, "kitchen", "alice").allocate();
    let revoke = Revocation::Room { room: "kitchen".parse().unwrap() };
    let order = RelayOrder { revoke, until: clock::now().unix.plus(600) };
    relay.bus.publish(BusMessage::RelayOrder(order)).unwrap();
    until(|| {
        std::fs::read_to_string(folder.path().join("revocations")).is_ok_and(|text| text.contains("kitchen"))
    });
    drop(relay);
    let relay = TestRelay::start(&settings);
    assert_eq!(client(&relay, "kitchen", "alice").try_allocate().error(), Some(401));
    client(&relay, "attic", "alice").allocate();
}

#[test]
fn a_relay_tells_its_rooms_addresses_and_takes_them_back() {
    let relay = TestRelay::start(&settings());
    let mut told = relay.bus.subscribe(Topic::RoomAddresses);
    let mut alice = client(&relay, "kitchen", "alice");
    let relayed = alice.allocate();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut next = || match runtime.block_on(told.next()) {
        Some(Delivery::Message(BusMessage::RoomAddresses(told))) => told,
        other => panic!("{other:?}"),
    };
    let begun = next();
    assert_eq!((begun.relayed, begun.observed), (vec![relayed], vec![alice.address().ip()]));
    alice.refresh(0).expect_success();
    let ended = std::iter::repeat_with(next).find(|told| told.relayed.is_empty()).unwrap();
    assert_eq!(ended.observed, [] as [std::net::IpAddr; 0]);
}

fn client(relay: &TestRelay, room: &str, peer: &str) -> Client {
    let claims = TurnClaims {
        aud: TurnClaims::AUDIENCE.to_owned(),
        sub: peer.parse().unwrap(),
        room: room.parse().unwrap(),
        exp: clock::now().unix.plus(3600),
        jti: format!("jti-{room}-{peer}").parse().unwrap(),
        bps: None,
        bytes: None,
        allocs: None,
        peers: PeerPolicy::Room,
    };
    let credential = TurnIssuer::hs256(&secret()).issue(&claims).unwrap();
    Client::new(relay.v4(), &credential.username, &credential.password)
}
