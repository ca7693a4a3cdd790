//! A relay that takes no more clients names another that does.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use causeway_cluster::MemoryBus;
use causeway_stun::AttributeType;
use causeway_stun::attributes::AlternateServer;
use causeway_turn::{AlternateSettings, LimitSettings, TurnSettings};
use common::client::{Answer, Client};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::until;

#[test]
fn a_draining_relay_names_one_that_is_not_and_the_client_gets_its_allocation_there() {
    let (first, second) = two_nodes(&settings());
    first.running().drain();
    let answer = refused_with(&first, 300);
    assert!(answer.message().has(AttributeType::MESSAGE_INTEGRITY), "an answer that anybody could give");
    assert_eq!(alternate(&answer), Some(second.v4()));
    Client::new(second.v4(), USER, PASSWORD).allocate();

    let over_ipv6 = Client::new(first.v6(), USER, PASSWORD).try_allocate();
    assert_eq!((over_ipv6.error(), alternate(&over_ipv6)), (Some(300), Some(second.v6())));
}

#[test]
fn when_every_other_drains_too_nobody_is_sent_round_in_circles() {
    let (first, second) = two_nodes(&settings());
    first.running().drain();
    refused_with(&first, 300);
    second.running().drain();
    refused_with(&first, 508);
    refused_with(&second, 508);
}

#[test]
fn a_full_relay_names_one_with_room_until_it_has_room_itself() {
    let limits = LimitSettings { allocations: 1, ..LimitSettings::default() };
    let (full, other) = two_nodes(&TurnSettings { limits, ..settings() });
    let mut client = full.client();
    client.allocate();
    assert_eq!(alternate(&refused_with(&full, 300)), Some(other.v4()));
    client.refresh(0).expect_success();
    full.client().allocate();
}

#[test]
fn a_relay_that_stops_is_named_no_more() {
    let (first, mut second) = two_nodes(&settings());
    first.running().drain();
    refused_with(&first, 300);
    second.stop();
    refused_with(&first, 508);
}

#[test]
fn alone_or_with_alternates_switched_off_it_says_508() {
    let alone = TestRelay::start(&settings());
    alone.running().drain();
    refused_with(&alone, 508);

    let alternates = AlternateSettings { enabled: false, ..AlternateSettings::default() };
    let bus = Arc::new(MemoryBus::new());
    let silent = TestRelay::start_on(Arc::clone(&bus), "silent", &TurnSettings { alternates, ..settings() });
    let other = TestRelay::start_on(bus, "other", &settings());
    silent.running().drain();
    other.running().drain();
    refused_with(&silent, 508);
    refused_with(&other, 508);
}

#[test]
fn clients_of_a_draining_relay_keep_what_they_have() {
    let (first, _second) = two_nodes(&settings());
    let mut client = first.client();
    client.allocate();
    first.running().drain();
    refused_with(&first, 300);
    client.refresh(600).expect_success();
}

fn two_nodes(settings: &TurnSettings) -> (TestRelay, TestRelay) {
    let bus = Arc::new(MemoryBus::new());
    let first = TestRelay::start_on(Arc::clone(&bus), "first", settings);
    (first, TestRelay::start_on(bus, "second", settings))
}

/// The first answer with this code: nodes hear of each other within two seconds.
fn refused_with(relay: &TestRelay, code: u16) -> Answer {
    let mut refused = None;
    until(|| {
        let answer = relay.client().try_allocate();
        refused = (answer.error() == Some(code)).then_some(answer);
        refused.is_some()
    });
    refused.unwrap()
}

fn alternate(answer: &Answer) -> Option<SocketAddr> {
    answer.message().get::<AlternateServer>().unwrap().map(|AlternateServer(address)| address)
}
