//! RFC 5780: two addresses and two ports let a client find out how its NAT behaves.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use causeway_stun::attributes::*;
use causeway_stun::{AttributeType, Encode, Message, Method};
use causeway_turn_core::*;
use common::*;

const SOURCE: &str = "1.1.1.1:1000";
const ADDRESSES: [&str; 4] = ["51.0.0.1:3478", "51.0.0.2:3478", "51.0.0.1:3479", "51.0.0.2:3479"];

#[test]
fn section_6_1_every_answer_names_its_origin_and_the_other_address() {
    let mut world = world();
    for (reached, other) in [(0, 3), (1, 2), (2, 1), (3, 0)] {
        let (from, answer) = ask(&mut world, reached, &[]);
        assert_eq!(from, ListenerId(reached));
        let message = Message::decode(&answer).unwrap();
        assert_eq!(message.get(), Ok(Some(XorMappedAddress(SOURCE.parse().unwrap()))));
        assert_eq!(message.get(), Ok(Some(MappedAddress(SOURCE.parse().unwrap()))));
        assert_eq!(message.get(), Ok(Some(ResponseOrigin(address(reached)))));
        assert_eq!(message.get(), Ok(Some(OtherAddress(address(other)))));
    }
}

#[test]
fn section_6_1_table_1_change_request_chooses_where_the_answer_comes_from() {
    let mut world = world();
    for (ip, port, expected) in [(false, false, 0), (true, false, 1), (false, true, 2), (true, true, 3)] {
        let (from, answer) = ask(&mut world, 0, &[&ChangeRequest { ip, port }]);
        assert_eq!(from, ListenerId(expected), "change IP {ip}, port {port}");
        let message = Message::decode(&answer).unwrap();
        assert_eq!(message.get(), Ok(Some(ResponseOrigin(address(expected)))));
        assert_eq!(message.get(), Ok(Some(OtherAddress(address(3)))), "whatever the flags");
    }
}

#[test]
fn section_6_1_without_an_alternate_address_change_request_is_420() {
    let mut config = config_of_four();
    config.listeners.truncate(1);
    let mut world = World::with(config);
    let (_, answer) = ask(&mut world, 0, &[&ChangeRequest { ip: false, port: true }]);
    assert_eq!(common::Answer(answer).code(), 420);
    let (_, answer) = ask(&mut world, 0, &[]);
    assert_eq!(common::Answer(answer).kinds(), [AttributeType::XOR_MAPPED_ADDRESS], "§7.4: no OTHER-ADDRESS");
}

#[test]
fn on_a_connection_origin_and_other_address_are_told_and_nothing_else_can_be_asked_for() {
    let mut world = world();
    for via in [Via::Tcp(SessionId(1)), Via::Tls(SessionId(1)), Via::Dtls(SessionId(1))] {
        let mut client = Client::via(SOURCE, via);
        let request = client.bare_request(Method::Binding, &[]);
        let answer = client.exchange(&mut world, &request).unwrap();
        assert_eq!(answer.message().get(), Ok(Some(OtherAddress(address(3)))));
        let attributes: [&dyn Encode; 3] =
            [&ChangeRequest { ip: true, port: true }, &ResponsePort(5), &Padding { length: 8 }];
        for attribute in attributes {
            let request = client.bare_request(Method::Binding, &[attribute]);
            assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 420);
        }
    }
}

#[test]
fn section_7_5_response_port_is_where_the_answer_goes() {
    let mut world = world();
    let mut client = Client::new(SOURCE);
    let request = client.bare_request(Method::Binding, &[&ResponsePort(2000)]);
    world.client_sends(client.address, &request);
    let (to, bytes) = world.replies.pop_front().unwrap();
    assert_eq!(to.source, "1.1.1.1:2000".parse().unwrap());
    let mapped = Message::decode(&bytes).unwrap().get();
    assert_eq!(mapped, Ok(Some(XorMappedAddress(SOURCE.parse().unwrap()))));
}

#[test]
fn section_6_1_response_port_excludes_padding_and_nobody_has_port_0() {
    let mut world = world();
    let (_, both) = ask(&mut world, 0, &[&ResponsePort(2000), &Padding { length: 8 }]);
    let (_, zero) = ask(&mut world, 0, &[&ResponsePort(0)]);
    assert_eq!([both, zero].map(|answer| common::Answer(answer).code()), [400, 400]);
}

#[test]
fn section_7_6_padding_is_answered_with_as_much_up_to_an_ethernet_frame() {
    let mut world = world();
    for (asked, answered) in [(0, 0), (8, 8), (11, 8), (1500, 1500), (3000, 1500)] {
        let change = ChangeRequest { ip: true, port: true };
        let (from, answer) = ask(&mut world, 0, &[&change, &Padding { length: asked }]);
        assert_eq!(from, ListenerId(3));
        assert_eq!(Message::decode(&answer).unwrap().get(), Ok(Some(Padding { length: answered })));
    }
}

#[test]
fn a_padded_answer_carries_a_fingerprint_if_the_request_did() {
    let mut world = world();
    let mut client = Client::new(SOURCE);
    client.fingerprint = true;
    let request = client.bare_request(Method::Binding, &[&Padding { length: 1500 }]);
    world.client_sends(client.address, &request);
    let (_, bytes) = world.replies.pop_front().unwrap();
    assert_eq!(Message::decode(&bytes).unwrap().fingerprint(), Ok(()));
}

#[test]
fn padded_answers_wait_in_a_short_queue() {
    let mut world = world();
    let mut client = Client::new(SOURCE);
    let request = client.bare_request(Method::Binding, &[&Padding { length: 1500 }]);
    for _ in 0..20 {
        world.relay.on_client(world.now, client.address, &request);
    }
    assert_eq!(world.relay.counters().dropped(DropReason::ReplyQueueFull), 4);
}

#[test]
fn behind_a_nat_external_addresses_are_told() {
    let mut config = config_of_four();
    let external =
        |last: u8| ExternalIp { local: [51, 0, 0, last].into(), external: [52, 0, 0, last].into() };
    config.external = ExternalIps::new([1, 2].map(external)).unwrap();
    let mut world = World::with(config);
    let (_, answer) = ask(&mut world, 0, &[]);
    let message = Message::decode(&answer).unwrap();
    assert_eq!(message.get(), Ok(Some(ResponseOrigin("52.0.0.1:3478".parse().unwrap()))));
    assert_eq!(message.get(), Ok(Some(OtherAddress("52.0.0.2:3479".parse().unwrap()))));
}

/// Asks at a listener: from which one the answer comes, and the answer.
fn ask(world: &mut World, reached: u16, attributes: &[&dyn Encode]) -> (ListenerId, Vec<u8>) {
    let mut client = Client::new(SOURCE);
    client.address.listener = ListenerId(reached);
    let request = client.bare_request(Method::Binding, attributes);
    assert_eq!(world.client_sends(client.address, &request), Verdict::Handled);
    let (to, bytes) = world.replies.pop_front().unwrap();
    assert_eq!(ClientAddr { listener: client.address.listener, ..to }, client.address);
    (to.listener, bytes)
}

fn world() -> World {
    World::with(config_of_four())
}

fn config_of_four() -> RelayConfig {
    let listener = |address: &str| Listener {
        address: address.parse().unwrap(),
        relay_v4: Some(RELAY_V4.parse().unwrap()),
        relay_v6: None,
    };
    let mut config = RelayConfig::new(REALM, ADDRESSES.map(listener).to_vec());
    config.discovery = BehaviorDiscovery::On { ports: [3478, 3479] };
    config
}

fn address(listener: u16) -> std::net::SocketAddr {
    ADDRESSES[usize::from(listener)].parse().unwrap()
}
