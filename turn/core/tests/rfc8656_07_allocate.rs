//! Allocate: RFC 8656 §7.2, and what happens between the question and the answer.

mod common;

use causeway_stun::attributes::*;
use causeway_stun::{AttributeType, Method, RawAttribute};
use causeway_turn_core::*;
use common::*;

const V4: RequestedAddressFamily = RequestedAddressFamily(AddressFamily::Ipv4);
const V6: RequestedAddressFamily = RequestedAddressFamily(AddressFamily::Ipv6);
const EVEN: EvenPort = EvenPort { reserve_next: false };
const PAIR: EvenPort = EvenPort { reserve_next: true };

#[test]
fn the_answer_tells_relayed_address_lifetime_and_mapped_address() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let answer = client.ask(&mut world, Method::Allocate, &[UDP]);
    assert_eq!(
        answer.kinds(),
        [
            AttributeType::XOR_RELAYED_ADDRESS,
            AttributeType::LIFETIME,
            AttributeType::XOR_MAPPED_ADDRESS,
            AttributeType::MESSAGE_INTEGRITY
        ]
    );
    assert_eq!(answer.lifetime(), 600);
    assert_eq!(answer.message().get(), Ok(Some(XorMappedAddress(client.address.source))));
    let relayed = answer.relayed()[0];
    assert_eq!(relayed.ip(), RELAY_V4.parse::<std::net::IpAddr>().unwrap());
    assert!((49152..=65535).contains(&relayed.port()));
    assert!(world.own.is_live(relayed));
    assert_eq!(world.relay.counters().allocations, 1);
}

#[test]
fn the_answer_waits_for_the_port_and_repeats_itself_to_the_same_request() {
    let mut world = World::new();
    world.slow_binds = true;
    let mut client = Client::new("1.1.1.1:1000");
    client.learn_nonce(&mut world);
    let request = client.request(Method::Allocate, &[UDP]);
    assert_eq!(client.exchange(&mut world, &request), None);
    assert_eq!(client.exchange(&mut world, &request), None, "silence while the port is being bound");
    assert_eq!(world.waiting.len(), 1, "and one bind only");
    // Another request on the same 5-tuple does not wait in line.
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 437);
    assert_eq!(client.refresh(&mut world, 600).code(), 437);

    world.finish_binds();
    let first = world.replies.pop_front().unwrap().1;
    world.pass(5);
    let again = client.exchange(&mut world, &request).unwrap();
    assert_eq!(again.0, first, "the same bytes");
    assert_eq!(again.code(), 0);
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 437);
    assert_eq!(world.bound.len(), 1);
}

#[test]
fn the_answer_is_not_repeated_to_another_user() {
    let mut world = World::new();
    let (alice, _) = world.allocated("1.1.1.1:1000");
    let mut bob = Client::of("bob", "hush", "1.1.1.1:1000");
    bob.nonce = alice.nonce;
    // Both clients count their transactions alike: challenge, then Allocate.
    bob.transaction();
    let answer = bob.ask(&mut world, Method::Allocate, &[UDP]);
    assert_eq!(answer.code(), 437);
}

#[test]
fn transport_is_required_and_udp_or_over_a_stream_tcp() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let malformed = RawAttribute { kind: AttributeType::REQUESTED_TRANSPORT, value: &[17] };
    assert_eq!(client.ask(&mut world, Method::Allocate, &[]).code(), 400);
    assert_eq!(client.ask(&mut world, Method::Allocate, &[&malformed]).code(), 400);
    assert_eq!(client.ask(&mut world, Method::Allocate, &[&RequestedTransport::TCP]).code(), 400);
    assert_eq!(client.ask(&mut world, Method::Allocate, &[&RequestedTransport(0)]).code(), 442);
}

#[test]
fn each_family_is_given_as_asked_and_others_do_not_exist() {
    let mut world = World::new();
    for (port, asked, ip) in [(1, &V4, RELAY_V4), (2, &V6, RELAY_V6)] {
        let mut client = Client::new(&format!("1.1.1.1:{port}"));
        let answer = client.ask(&mut world, Method::Allocate, &[UDP, asked]);
        assert_eq!(answer.relayed()[0].ip(), ip.parse::<std::net::IpAddr>().unwrap());
    }
    let mut client = Client::new("1.1.1.1:3");
    let ipx = RawAttribute { kind: AttributeType::REQUESTED_ADDRESS_FAMILY, value: &[3, 0, 0, 0] };
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP, &ipx]).code(), 440);
    let short = RawAttribute { kind: AttributeType::REQUESTED_ADDRESS_FAMILY, value: &[1] };
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP, &short]).code(), 400);
}

#[test]
fn a_family_that_the_listener_lacks_is_not_supported_and_ipv6_stands_in_for_the_unasked() {
    let mut world = World::with(only_v6());
    let mut client = Client::new("1.1.1.1:1000");
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP, &V4]).code(), 440);
    let answer = client.ask(&mut world, Method::Allocate, &[UDP]);
    assert_eq!(answer.relayed()[0].ip(), RELAY_V6.parse::<std::net::IpAddr>().unwrap());
}

#[test]
fn both_families_come_in_one_allocation() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let answer = client.allocate_both(&mut world);
    let relayed = answer.relayed();
    assert_eq!(relayed.len(), 2);
    assert!(relayed[0].is_ipv4() && relayed[1].is_ipv6());
    assert_eq!(world.relay.counters().allocations, 1);
    // Coturn's client asks under the number of the drafts.
    let mut client = Client::new("1.1.1.1:1001");
    let draft = DraftAdditionalAddressFamily(AddressFamily::Ipv6);
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP, &draft]).relayed().len(), 2);
}

#[test]
fn one_family_of_two_is_better_than_none_and_the_error_says_which_is_missing() {
    let mut world = World::with(only_v6());
    let mut client = Client::new("1.1.1.1:1000");
    let answer = client.allocate_both(&mut world);
    assert!(answer.relayed()[0].is_ipv6());
    let error = answer.message().get::<AddressErrorCode<'_>>().unwrap().unwrap();
    assert_eq!((error.family(), error.number()), (AddressFamily::Ipv4, 440));

    // The IPv6 range is used up by others.
    let mut config = config();
    config.relay_ports = 50_000..=50_000;
    let mut world = World::with(config);
    let mut other = Client::new("1.1.1.1:1000");
    other.ask(&mut world, Method::Allocate, &[UDP, &V6]);
    let mut client = Client::new("1.1.1.1:1001");
    let answer = client.allocate_both(&mut world);
    assert!(answer.relayed()[0].is_ipv4());
    let error = answer.message().get::<AddressErrorCode<'_>>().unwrap().unwrap();
    assert_eq!((error.family(), error.number()), (AddressFamily::Ipv6, 508));
    let mut third = Client::new("1.1.1.1:1002");
    assert_eq!(third.allocate_both(&mut world).code(), 508);
}

#[test]
fn wishes_that_exclude_each_other_are_bad_requests() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let token = ReservationToken([1; 8]);
    let both = AdditionalAddressFamily(AddressFamily::Ipv6);
    let wishes: [&[&dyn causeway_stun::Encode]; 6] = [
        &[UDP, &V4, &both],
        &[UDP, &AdditionalAddressFamily(AddressFamily::Ipv4)],
        &[UDP, &both, &PAIR],
        &[UDP, &token, &EVEN],
        &[UDP, &token, &V4],
        &[UDP, &token, &both],
    ];
    for wish in wishes {
        assert_eq!(client.ask(&mut world, Method::Allocate, wish).code(), 400);
    }
    assert!(world.bound.is_empty());
}

#[test]
fn even_port_is_even() {
    let mut world = World::new();
    for port in 1..50 {
        let mut client = Client::new(&format!("1.1.1.1:{port}"));
        let answer = client.ask(&mut world, Method::Allocate, &[UDP, &EVEN]);
        assert_eq!(answer.relayed()[0].port() % 2, 0);
        assert!(answer.message().get::<ReservationToken>().unwrap().is_none());
    }
}

#[test]
fn a_reserved_port_goes_to_who_presents_the_token() {
    let mut world = World::new();
    let mut first = Client::new("1.1.1.1:1000");
    let answer = first.ask(&mut world, Method::Allocate, &[UDP, &PAIR]);
    let relayed = answer.relayed()[0];
    let token = answer.message().get::<ReservationToken>().unwrap().unwrap();
    assert_eq!(relayed.port() % 2, 0);
    assert_eq!((world.bound.len(), world.aside.len()), (1, 1));
    let mut next = relayed;
    next.set_port(relayed.port() + 1);
    assert!(!world.own.is_live(next), "a reserved port is nobody's relayed address yet");

    let mut second = Client::new("1.1.1.1:1001");
    let wrong = ReservationToken([0; 8]);
    assert_eq!(second.ask(&mut world, Method::Allocate, &[UDP, &wrong]).code(), 508);
    let answer = second.ask(&mut world, Method::Allocate, &[UDP, &token]);
    assert_eq!(answer.relayed(), [next]);
    assert!(world.own.is_live(next));
    let mut third = Client::new("1.1.1.1:1002");
    assert_eq!(third.ask(&mut world, Method::Allocate, &[UDP, &token]).code(), 508);
}

#[test]
fn a_reserved_port_goes_to_whichever_worker_is_asked_for_it() {
    let mut world = World::new();
    let mut sibling = world.sibling(config(), 2);
    let mut first = Client::new("1.1.1.1:1000");
    let answer = first.ask(&mut world, Method::Allocate, &[UDP, &PAIR]);
    let token = answer.message().get::<ReservationToken>().unwrap().unwrap();
    // The shells of a process set sockets aside in one place.
    sibling.aside.extend(world.aside.drain());

    let mut thief = Client::of("bob", "hush", "1.1.1.1:1001");
    assert_eq!(thief.ask(&mut sibling, Method::Allocate, &[UDP, &token]).code(), 508);
    let mut second = Client::new("1.1.1.1:1001");
    let reserved = second.ask(&mut sibling, Method::Allocate, &[UDP, &token]).relayed()[0];
    assert_eq!(reserved.port(), answer.relayed()[0].port() + 1);
    assert!(sibling.bound.values().any(|bound| *bound == reserved));

    world.pass(31);
    assert!(world.own.is_live(reserved), "it is not the first worker's to close any more");
    second.refresh(&mut sibling, 0);
    assert_eq!(sibling.unbound, [reserved]);
}

#[test]
fn a_reserved_port_that_cannot_be_had_is_no_other_port() {
    let mut world = World::new();
    let mut first = Client::new("1.1.1.1:1000");
    let answer = first.ask(&mut world, Method::Allocate, &[UDP, &PAIR]);
    let token = answer.message().get::<ReservationToken>().unwrap().unwrap();
    world.taken = vec![answer.relayed()[0].port() + 1];
    let mut second = Client::new("1.1.1.1:1001");
    assert_eq!(second.ask(&mut world, Method::Allocate, &[UDP, &token]).code(), 508);
}

#[test]
fn a_reserved_port_is_freed_after_thirty_seconds() {
    let mut world = World::new();
    let mut first = Client::new("1.1.1.1:1000");
    let answer = first.ask(&mut world, Method::Allocate, &[UDP, &PAIR]);
    let token = answer.message().get::<ReservationToken>().unwrap().unwrap();
    world.pass(29);
    assert_eq!((world.bound.len(), world.aside.len()), (1, 1));
    world.pass(2);
    assert_eq!((world.bound.len(), world.aside.len()), (1, 0));
    let mut second = Client::new("1.1.1.1:1001");
    assert_eq!(second.ask(&mut world, Method::Allocate, &[UDP, &token]).code(), 508);
}

#[test]
fn a_port_that_another_process_has_is_passed_over() {
    let mut config = config();
    config.relay_ports = 50_000..=50_003;
    let mut world = World::with(config);
    world.taken = vec![50_000, 50_001, 50_003];
    let (_, relayed) = world.allocated("1.1.1.1:1000");
    assert_eq!(relayed.port(), 50_002);
}

#[test]
fn when_nothing_can_be_bound_the_client_is_told_and_the_ports_are_free_again() {
    let mut world = World::new();
    world.taken = (0..=65_535).collect();
    let mut client = Client::new("1.1.1.1:1000");
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
    world.taken.clear();
    client.allocate(&mut world);

    let mut config = config();
    config.relay_ports = 50_000..=50_001;
    config.limits.allocations_per_user = 2;
    let mut world = World::with(config.clone());
    world.taken = vec![50_000, 50_001];
    let mut client = Client::new("1.1.1.1:1000");
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
    world.taken.clear();
    world.allocated("1.1.1.1:1001");
    world.allocated("1.1.1.1:1002");

    config.relay_ports = 50_000..=50_000;
    let mut world = World::with(config);
    let (mut first, _) = world.allocated("1.1.1.1:1000");
    let mut second = Client::new("1.1.1.1:1001");
    assert_eq!(second.ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
    first.refresh(&mut world, 0);
    second.allocate(&mut world);
}

#[test]
fn an_operating_system_that_refuses_is_not_asked_again() {
    for error in [BindError::AddressNotAvailable, BindError::OutOfSockets, BindError::Refused] {
        let mut world = World::new();
        world.slow_binds = true;
        let mut client = Client::new("1.1.1.1:1000");
        client.learn_nonce(&mut world);
        let request = client.request(Method::Allocate, &[UDP]);
        assert_eq!(client.exchange(&mut world, &request), None);
        let (ticket, ..) = world.waiting.pop().unwrap();
        world.relay.on_bound(world.now, ticket, Err(error));
        world.perform();
        assert_eq!(Answer(world.replies.pop_front().unwrap().1).code(), 508);
        assert!(world.waiting.is_empty());
        // The ticket is spent: a shell that says it twice is not believed.
        world.relay.on_bound(world.now, ticket, Ok(()));
        world.perform();
        assert!(world.replies.is_empty());
    }
}

#[test]
fn lifetimes_are_held_between_the_default_and_the_longest() {
    let mut world = World::new();
    for (port, asked, given) in [(1, 0, 600), (2, 1, 600), (3, 1000, 1000), (4, 999_999, 3600)] {
        let mut client = Client::new(&format!("1.1.1.1:{port}"));
        let answer = client.ask(&mut world, Method::Allocate, &[UDP, &Lifetime { seconds: asked }]);
        assert_eq!(answer.lifetime(), given, "{asked}");
    }
}

#[test]
fn no_allocation_outlives_its_credential_by_more_than_the_grace() {
    let mut world = World::new();
    let credential = room_credential(|claims| claims.exp = UNIX.plus(100));
    let mut client = Client::with(&credential, "1.1.1.1:1000");
    let answer = client.ask(&mut world, Method::Allocate, &[UDP]);
    assert_eq!(answer.lifetime(), 160);
    world.pass(99);
    assert_eq!(client.refresh(&mut world, 600).lifetime(), 61);
    world.pass(62);
    assert_eq!(world.end_reasons(), [EndReason::Expired]);
}

#[test]
fn each_user_has_a_quota_and_a_credential_may_set_its_own() {
    let mut config = config();
    config.limits.allocations_per_user = 2;
    let mut world = World::with(config);
    let (mut first, _) = world.allocated("1.1.1.1:1");
    world.allocated("1.1.1.1:2");
    let mut third = Client::new("1.1.1.1:3");
    assert_eq!(third.ask(&mut world, Method::Allocate, &[UDP]).code(), 486);
    Client::of("bob", "hush", "1.1.1.1:4").allocate(&mut world);
    first.refresh(&mut world, 0);
    third.allocate(&mut world);

    let credential = room_credential(|claims| claims.allocs = Some(1));
    Client::with(&credential, "1.1.1.1:5").allocate(&mut world);
    let renewed = room_credential(|claims| {
        claims.allocs = Some(1);
        claims.jti = "token2".parse().unwrap();
    });
    let mut again = Client::with(&renewed, "1.1.1.1:6");
    assert_eq!(again.ask(&mut world, Method::Allocate, &[UDP]).code(), 486);
}

#[test]
fn what_is_still_being_bound_counts_as_well() {
    let mut config = config();
    config.limits.allocations_per_user = 1;
    let mut world = World::with(config);
    world.slow_binds = true;
    let mut first = Client::new("1.1.1.1:1");
    first.learn_nonce(&mut world);
    let request = first.request(Method::Allocate, &[UDP]);
    first.exchange(&mut world, &request);
    let mut second = Client::new("1.1.1.1:2");
    assert_eq!(second.ask(&mut world, Method::Allocate, &[UDP]).code(), 486);
}

#[test]
fn the_limits_hold_and_can_be_changed() {
    let mut config = config();
    config.limits.allocations = 1;
    let mut world = World::with(config.clone());
    world.allocated("1.1.1.1:1");
    let mut second = Client::new("1.1.1.1:2");
    assert_eq!(second.ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
    config.limits.allocations = 2;
    world.control(Control::Limits(config.limits));
    second.allocate(&mut world);

    config.limits.allocations = 100;
    config.limits.pending_binds = 0;
    world.control(Control::Limits(config.limits));
    let mut third = Client::new("1.1.1.1:3");
    assert_eq!(third.ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
}

#[test]
fn reservations_are_bounded() {
    let mut config = config();
    config.limits.reservations = 1;
    let mut world = World::with(config);
    for (port, code) in [(1, 0), (2, 508)] {
        let mut client = Client::new(&format!("1.1.1.1:{port}"));
        assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP, &PAIR]).code(), code);
    }
}

#[test]
fn a_draining_relay_takes_no_one_new_and_keeps_who_is_there() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    world.control(Control::Drain);
    assert_eq!(client.refresh(&mut world, 600).code(), 0);
    let mut late = Client::new("1.1.1.1:1001");
    assert_eq!(late.ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
}

#[test]
fn ports_cannot_be_told_from_the_ports_before() {
    // Not a proof of randomness, but of no order: CVE-2025-69217 was a counter.
    let mut world = World::new();
    let ports: Vec<i32> =
        (1..=64).map(|port| world.allocated(&format!("1.1.1.1:{port}")).1.port().into()).collect();
    let steps: std::collections::HashSet<i32> = ports.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.len() > 60, "{ports:?}");
}

fn only_v6() -> RelayConfig {
    let mut config = config();
    for listener in &mut config.listeners {
        listener.relay_v4 = None;
    }
    config
}
