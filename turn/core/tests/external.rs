//! A relay behind a 1:1 NAT names its external address, and relays between its own clients through it.
#![allow(clippy::unwrap_used, reason = "tests")]
mod common;

use std::sync::Arc;

use causeway_stun::attributes::XorPeerAddress;
use causeway_stun::{Message, Method};
use causeway_turn_core::*;
use common::*;

const EXTERNAL: &str = "52.0.0.1";
const EXTERNAL_V6: &str = "2a00::52";

#[test]
fn the_answer_names_the_external_address_and_the_port_that_is_bound() {
    let mut world = behind_nat();
    let mut client = Client::new("1.1.1.1:1000");
    let answer = client.allocate_both(&mut world);
    let relayed = answer.relayed();
    assert_eq!(
        relayed.iter().map(|relayed| relayed.ip().to_string()).collect::<Vec<_>>(),
        [EXTERNAL, EXTERNAL_V6]
    );
    let mut named: Vec<u16> = relayed.iter().map(|relayed| relayed.port()).collect();
    let mut bound: Vec<u16> = world.bound.values().map(|bound| bound.port()).collect();
    named.sort_unstable();
    bound.sort_unstable();
    assert_eq!(named, bound);
    assert!(
        world.bound.values().all(|bound| [RELAY_V4, RELAY_V6].contains(&bound.ip().to_string().as_str()))
    );
}

#[test]
fn a_repeated_allocate_names_the_same_external_address() {
    let mut world = behind_nat();
    let mut client = Client::new("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    let request = client.request(Method::Allocate, &[UDP]);
    let first = client.exchange(&mut world, &request).unwrap();
    assert_eq!(client.exchange(&mut world, &request), Some(first));
}

#[test]
fn two_clients_of_ours_reach_each_other_through_the_external_address() {
    let mut world = behind_nat();
    let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = world.allocated("2.2.2.2:2000");
    let number = 0x4000;
    assert_eq!(alice.bind(&mut world, number, &at_bob.to_string()), 0);
    assert_eq!(bob.permit(&mut world, &at_alice.to_string()), 0);

    let datagram = channel_data(number, b"hi");
    let verdict = world.client_sends(alice.address, &datagram);
    let (client, bytes) = sent_to_client(verdict, &datagram);
    assert_eq!(client, bob.address);
    let seen = Message::decode(&bytes).unwrap().get::<XorPeerAddress>();
    assert_eq!(seen, Ok(Some(XorPeerAddress(at_alice))));

    let datagram = bob.send_indication(&at_alice.to_string(), b"ho");
    let verdict = world.client_sends(bob.address, &datagram);
    assert_eq!(sent_to_client(verdict, &datagram), (alice.address, channel_data(number, b"ho")));
}

#[test]
fn what_a_nat_turns_round_itself_is_relayed_as_well() {
    let mut world = behind_nat();
    let (_, at_alice) = world.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = world.allocated("2.2.2.2:2000");
    bob.permit(&mut world, &at_alice.to_string());
    let verdict = world.peer_sends(inside(at_bob), &at_alice.to_string(), b"hi");
    assert_eq!(sent_to_client(verdict, b"hi").0, bob.address);
}

#[test]
fn the_external_address_leads_to_live_relayed_addresses_and_nothing_else() {
    let mut world = behind_nat();
    let (mut alice, _) = world.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = world.allocated("2.2.2.2:2000");
    assert_eq!(alice.permit(&mut world, &at_bob.to_string()), 0);
    bob.refresh(&mut world, 0);
    for address in ["52.0.0.1:3478", "52.0.0.1:6379", &at_bob.to_string()] {
        let datagram = alice.send_indication(address, b"x");
        let verdict = world.client_sends(alice.address, &datagram);
        assert_eq!(verdict, Verdict::Dropped(DropReason::NotALiveRelay), "{address}");
    }
}

#[test]
fn what_stands_behind_the_external_address_and_every_disguise_are_refused() {
    let mut world = behind_nat();
    let mut alice = Client::new("1.1.1.1:1000");
    alice.allocate_both(&mut world);
    for peer in [
        format!("{RELAY_V4}:50000"),
        format!("[{RELAY_V6}]:50000"),
        "[::ffff:52.0.0.1]:50000".to_owned(),
        "[64:ff9b::52.0.0.1]:50000".to_owned(),
        "[2002:3400:1::]:50000".to_owned(),
    ] {
        assert_eq!(alice.permit(&mut world, &peer), 403, "{peer}");
        assert_eq!(alice.bind(&mut world, 0x4000, &peer), 403, "{peer}");
    }
}

#[test]
fn one_external_address_for_two_local_ones_names_no_port_twice() {
    let locals = ["10.0.0.5", "10.0.0.6"];
    let mut config = config();
    config.relay_ports = 50_000..=50_001;
    config.listeners = locals
        .map(|ip| Listener {
            address: format!("{ip}:3478").parse().unwrap(),
            relay_v4: Some(ip.parse().unwrap()),
            relay_v6: None,
        })
        .to_vec();
    config.external = external(&locals.map(|local| (local, EXTERNAL)));
    let own = Arc::new(OwnRelays::grouped([locals.map(|ip| ip.parse().unwrap())]));
    let mut world = World::sharing(config, own, 1);
    let mut clients = [0, 1].map(|listener| {
        let mut client = Client::new("1.1.1.1:1000");
        client.address.listener = ListenerId(listener);
        client
    });
    let [first, second] = clients.each_mut().map(|client| client.allocate(&mut world));
    assert_ne!(first, second);
    let [alice, bob] = &mut clients;
    assert_eq!(alice.permit(&mut world, &second.to_string()), 0);
    assert_eq!(bob.bind(&mut world, 0x4000, &first.to_string()), 0);
    let datagram = alice.send_indication(&second.to_string(), b"x");
    let verdict = world.client_sends(alice.address, &datagram);
    assert_eq!(sent_to_client(verdict, &datagram), (bob.address, channel_data(0x4000, b"x")));
}

#[test]
fn when_the_external_address_changes_permissions_for_it_lead_no_further_than_to_live_relays() {
    let mut world = World::new();
    let (mut alice, _) = world.allocated("1.1.1.1:1000");
    for peer in ["52.0.0.1:6379", "51.0.0.1:50000", PEER] {
        assert_eq!(alice.permit(&mut world, peer), 0);
    }
    world.control(Control::External(external(&[(RELAY_V4, EXTERNAL)])));
    for (peer, reason) in
        [("52.0.0.1:6379", DropReason::NotALiveRelay), ("51.0.0.1:50000", DropReason::NoPermission)]
    {
        let datagram = alice.send_indication(peer, b"x");
        let verdict = world.client_sends(alice.address, &datagram);
        assert_eq!(verdict, Verdict::Dropped(reason), "{peer}");
    }
    let datagram = alice.send_indication(PEER, b"x");
    assert!(matches!(world.client_sends(alice.address, &datagram), Verdict::ToPeer { .. }));
    assert_eq!(Client::new("2.2.2.2:2").allocate(&mut world).ip().to_string(), EXTERNAL);
}

/// The relay of the other tests, known to the world by other addresses.
fn behind_nat() -> World {
    let mut config = config();
    config.external = external(&[(RELAY_V4, EXTERNAL), (RELAY_V6, EXTERNAL_V6)]);
    World::with(config)
}

fn external(pairs: &[(&str, &str)]) -> ExternalIps {
    let pair = |(local, external): &(&str, &str)| ExternalIp {
        local: local.parse().unwrap(),
        external: external.parse().unwrap(),
    };
    ExternalIps::new(pairs.iter().map(pair)).unwrap()
}

/// Where an external address is bound.
fn inside(external: std::net::SocketAddr) -> std::net::SocketAddr {
    std::net::SocketAddr::new(RELAY_V4.parse().unwrap(), external.port())
}
