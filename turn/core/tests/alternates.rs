//! RFC 8489 §10 and RFC 8656 §7.2: a relay without room sends clients to one that has some.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use causeway_stun::attributes::{AlternateDomain, EvenPort, ReservationToken};
use causeway_stun::{AttributeType, Method, attributes};
use causeway_turn_core::*;
use common::*;

const OTHER: &str = "51.0.0.9:3478";

#[test]
fn a_draining_relay_answers_300_with_the_server_and_a_seal() {
    for sha256 in [false, true] {
        let mut world = World::new();
        world.control(Control::Drain);
        world.control(alternates(&[(Transport::Udp, OTHER)]));
        let mut client = Client::new("1.1.1.1:1000");
        client.sha256 = sha256;
        // `ask` checks the seal.
        let answer = client.ask(&mut world, Method::Allocate, &[UDP]);
        assert_eq!(answer.code(), 300);
        let server = answer.message().get().unwrap();
        assert_eq!(server, Some(attributes::AlternateServer(OTHER.parse().unwrap())));
        assert_eq!(world.relay.counters().answers(AnswerCode::TryAlternate), 1);
        assert!(world.bound.is_empty());
    }
}

#[test]
fn a_full_relay_answers_300_and_508_when_nobody_has_room() {
    let mut config = config();
    config.limits.allocations = 1;
    let mut world = World::with(config);
    world.allocated("1.1.1.1:1000");
    let mut client = Client::new("2.2.2.2:2000");
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
    world.control(alternates(&[(Transport::Udp, OTHER)]));
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 300);
    world.control(alternates(&[]));
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
}

#[test]
fn a_stranger_is_challenged_before_it_is_sent_anywhere() {
    let mut world = World::new();
    world.control(Control::Drain);
    world.control(alternates(&[(Transport::Udp, OTHER)]));
    let mut client = Client::new("1.1.1.1:1000");
    let request = client.bare_request(Method::Allocate, &[UDP]);
    let answer = client.exchange(&mut world, &request).unwrap();
    assert_eq!(answer.code(), 401);
    assert!(!answer.kinds().contains(&AttributeType::ALTERNATE_SERVER));
}

#[test]
fn the_server_has_the_clients_transport_and_family() {
    let mut world = World::new();
    world.control(Control::Drain);
    let tls = "51.0.0.9:5349";
    world.control(alternates(&[
        (Transport::Udp, "[2a00::9]:3478"),
        (Transport::Tcp, OTHER),
        (Transport::Tls, tls),
    ]));
    for (via, expected) in [
        (Via::Udp, None),
        (Via::Tcp(SessionId(1)), Some(OTHER)),
        (Via::Tls(SessionId(1)), Some(tls)),
        (Via::Dtls(SessionId(1)), None),
    ] {
        let answer = Client::via("1.1.1.1:1000", via).ask(&mut world, Method::Allocate, &[UDP]);
        let server = answer.message().get::<attributes::AlternateServer>().unwrap();
        assert_eq!(server.map(|server| server.0), expected.map(|server| server.parse().unwrap()), "{via:?}");
        assert_eq!(answer.code(), if expected.is_some() { 300 } else { 508 });
    }
}

#[test]
fn rfc_8489_section_14_16_the_certificates_domain_is_told_where_there_is_a_certificate() {
    let mut world = World::new();
    world.control(Control::Drain);
    let server = |transport| AlternateServer {
        transport,
        address: OTHER.parse().unwrap(),
        domain: Some("relay2.example.org".into()),
        room: 1,
    };
    world.control(Control::Alternates([Transport::Tcp, Transport::Tls].map(server).into()));
    for (via, expected) in
        [(Via::Tcp(SessionId(1)), None), (Via::Tls(SessionId(1)), Some("relay2.example.org"))]
    {
        let answer = Client::via("1.1.1.1:1000", via).ask(&mut world, Method::Allocate, &[UDP]);
        let domain =
            answer.message().get::<AlternateDomain<'_>>().unwrap().map(|domain| domain.as_str().to_owned());
        assert_eq!((answer.code(), domain.as_deref()), (300, expected));
    }
}

#[test]
fn a_reserved_port_is_here_or_nowhere() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let answer = client.ask(&mut world, Method::Allocate, &[UDP, &EvenPort { reserve_next: true }]);
    let token = answer.message().get::<ReservationToken>().unwrap().unwrap();
    world.control(Control::Drain);
    world.control(alternates(&[(Transport::Udp, OTHER)]));
    let answer = Client::new("1.1.1.1:1001").ask(&mut world, Method::Allocate, &[UDP, &token]);
    assert_eq!(answer.code(), 508);
}

#[test]
fn refreshes_and_repeated_answers_of_a_draining_relay_go_on() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    let request = client.request(Method::Allocate, &[UDP]);
    let first = client.exchange(&mut world, &request).unwrap();
    world.control(Control::Drain);
    world.control(alternates(&[(Transport::Udp, OTHER)]));
    assert_eq!(client.exchange(&mut world, &request), Some(first));
    assert_eq!(client.refresh(&mut world, 600).code(), 0);
}

fn alternates(servers: &[(Transport, &str)]) -> Control {
    let server = |(transport, address): &(Transport, &str)| AlternateServer {
        transport: *transport,
        address: address.parse().unwrap(),
        domain: None,
        room: 10,
    };
    Control::Alternates(servers.iter().map(server).collect())
}
