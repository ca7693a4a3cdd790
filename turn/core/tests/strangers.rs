//! What somebody who only claims an address gets: little, seldom, and nothing that others could use against a third.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use causeway_stun::Method;
use causeway_stun::attributes::{Lifetime, Nonce};
use causeway_turn_core::*;
use common::*;

#[test]
fn a_binding_answer_over_ipv4_is_at_most_1_7_times_its_request() {
    let (request, answer) = first_answer(config(), Method::Binding, false);
    assert_eq!((request, answer), (20, 32));
    assert!(answer * 10 <= request * 17);
}

#[test]
fn a_401_is_at_most_3_3_times_the_smallest_allocate_for_realms_of_up_to_44_bytes() {
    for length in [1, 8, 20, 21, 44] {
        for fingerprint in [false, true] {
            let config = RelayConfig { realm: "r".repeat(length), ..config() };
            let (request, answer) = first_answer(config, Method::Allocate, fingerprint);
            assert_eq!(request, 28 + if fingerprint { 8 } else { 0 });
            assert!(answer * 10 <= request * 33, "realm of {length}: {answer} for {request}");
        }
    }
}

#[test]
fn an_allocate_with_its_transport_is_answered_under_every_realm() {
    for length in [45, RelayConfig::MAX_REALM_LENGTH] {
        let config = RelayConfig { realm: "r".repeat(length), ..config() };
        let (_, answer) = first_answer(config, Method::Allocate, false);
        assert_eq!(answer, 48 + length.next_multiple_of(4));
    }
}

#[test]
fn a_bare_request_whose_401_would_be_several_times_longer_is_dropped_over_udp() {
    let mut world = World::new();
    for method in [Method::Allocate, Method::Refresh, Method::CreatePermission, Method::ChannelBind] {
        let mut client = Client::new("1.1.1.1:1000");
        let request = client.bare_request(method, &[]);
        let verdict = world.client_sends(client.address, &request);
        assert_eq!(verdict, Verdict::Dropped(DropReason::AnswerTooLarge));
        let request = client.bare_request(method, &[&Lifetime { seconds: 600 }]);
        assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 401);
    }
}

#[test]
fn a_bare_request_is_answered_where_a_handshake_proved_the_address() {
    let mut world = World::new();
    for via in [Via::Tcp(SessionId(1)), Via::Tls(SessionId(1)), Via::Dtls(SessionId(1))] {
        let mut client = Client::via("1.1.1.1:1000", via);
        let request = client.bare_request(Method::Refresh, &[]);
        assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 401);
    }
}

#[test]
fn where_a_handshake_proved_the_address_algorithms_are_announced_under_every_realm() {
    let mut world = World::with(RelayConfig { realm: "r".repeat(127), ..config() });
    let mut client = Client::via("1.1.1.1:1000", Via::Tcp(SessionId(1)));
    client.learn_nonce(&mut world);
    assert!(client.nonce.starts_with(b"obMatJos2gAAA"));
}

#[test]
fn a_nonce_of_udp_without_features_is_stale_where_they_are_announced() {
    let mut world = World::with(RelayConfig { realm: "r".repeat(127), ..config() });
    let mut poorer = Client::new("1.1.1.1:1000");
    poorer.learn_nonce(&mut world);
    let mut client = Client::via("1.1.1.1:1000", Via::Tcp(SessionId(1)));
    client.nonce = poorer.nonce;
    let request = client.request(Method::Allocate, &[UDP]);
    assert_eq!(client.exchange(&mut world, &request).unwrap().code(), 438);
}

#[test]
fn every_answer_to_a_stranger_counts_towards_the_limit_of_its_address() {
    let limits = StrangerLimits { answers_per_second: 1, burst: 4 };
    let mut world = World::with(RelayConfig { strangers: limits, ..config() });
    let mut client = Client::new("9.9.9.9:1000");
    client.nonce = b"a nonce of somebody else".to_vec();
    let requests = [
        client.bare_request(Method::Binding, &[]),
        client.bare_request(Method::Allocate, &[UDP]),
        client.request(Method::Allocate, &[UDP]),
        client.request(Method::Refresh, &[]),
    ];
    let mut codes = vec![];
    for (port, request) in (1..).zip(&requests) {
        client.address.source.set_port(port);
        codes.push(client.exchange(&mut world, request).unwrap().code());
    }
    assert_eq!(codes, [0, 401, 438, 438]);
    for request in &requests {
        let verdict = world.client_sends(client.address, request);
        assert_eq!(verdict, Verdict::Dropped(DropReason::StrangerLimited));
    }
    assert_eq!(world.relay.counters().dropped(DropReason::StrangerLimited), 4);
    // Another address is another budget, and a second brings one more answer.
    assert_eq!(Client::new("9.9.9.8:1").exchange(&mut world, &requests[0]).unwrap().code(), 0);
    world.pass(1);
    assert_eq!(client.exchange(&mut world, &requests[0]).unwrap().code(), 0);
    assert!(client.exchange(&mut world, &requests[0]).is_none());
}

#[test]
fn an_authenticated_request_is_never_limited_not_even_when_it_is_refused() {
    let limits = StrangerLimits { answers_per_second: 1, burst: 1 };
    let mut world = World::with(RelayConfig { strangers: limits, ..config() });
    let mut client = Client::new("9.9.9.9:1000");
    client.learn_nonce(&mut world);
    for _ in 0..50 {
        assert_eq!(client.refresh(&mut world, 600).code(), 437);
    }
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, "10.0.0.1:1"), 403);
    assert_eq!(client.permit(&mut world, PEER), 0);
    assert_eq!(world.relay.counters().dropped(DropReason::StrangerLimited), 0);
}

#[test]
fn a_nonce_that_grows_stale_in_use_is_renewed_within_the_limit() {
    let limits = StrangerLimits { answers_per_second: 1, burst: 1 };
    let mut world = World::with(RelayConfig { strangers: limits, ..config() });
    let mut client = Client::new("9.9.9.9:1000");
    client.allocate(&mut world);
    world.pass(600 - 1);
    client.refresh(&mut world, 3600);
    world.pass(1);
    let answer = client.refresh(&mut world, 3600);
    assert_eq!(answer.code(), 438);
    client.nonce = answer.message().get::<Nonce<'_>>().unwrap().unwrap().as_bytes().to_vec();
    assert_eq!(client.refresh(&mut world, 3600).code(), 0);
}

/// Bytes of the smallest first request of a method, and of its answer.
fn first_answer(config: RelayConfig, method: Method, fingerprint: bool) -> (usize, usize) {
    let mut world = World::with(config);
    let mut client = Client::new("1.1.1.1:1000");
    client.fingerprint = fingerprint;
    let request = match method {
        Method::Binding => client.bare_request(method, &[]),
        _ => client.bare_request(method, &[UDP]),
    };
    (request.len(), client.exchange(&mut world, &request).unwrap().0.len())
}
