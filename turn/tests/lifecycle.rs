//! How a relay starts, drains and stops.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::sync::Arc;

use causeway_cluster::MemoryBus;
use causeway_turn::{StartError, TurnSettings, UserEntry};
use common::client::{Client, Incoming};
use common::relay::{TestRelay, settings};
use common::{PATIENCE, peer, receive, until};

const CHANNEL: u16 = 0x4000;

#[test]
fn a_taken_port_is_one_clear_sentence() {
    let relay = TestRelay::start(&TurnSettings { workers: 2, ..settings() });
    let again = TurnSettings { port: relay.v4().port(), workers: 2, ..settings() };
    assert_eq!(
        refusal(&again),
        format!("UDP {} is already in use; stop the other process or choose another port", relay.v4())
    );
}

#[test]
fn an_address_of_another_host_is_one_clear_sentence() {
    let elsewhere = TurnSettings { listen: vec!["192.0.2.1".parse().unwrap()], port: 0, ..settings() };
    assert_eq!(refusal(&elsewhere), "192.0.2.1 is no address of this host; listen on another");
}

#[test]
fn bad_settings_are_named_before_anything_is_bound() {
    let bad = TurnSettings { realm: String::new(), users: vec![UserEntry::new("nocolon")], ..settings() };
    assert_eq!(
        refusal(&bad),
        "realm: name a realm, for example your domain; users: write entry 1 as name:password"
    );
}

#[test]
fn it_listens_on_every_address_when_none_is_named() {
    let everywhere = TurnSettings { listen: Vec::new(), ..settings() };
    let relay = TestRelay::start(&everywhere);
    let mut client = Client::new(relay.v4(), "", "");
    assert!(relay.running().addresses().iter().any(|address| address.ip().is_loopback()));
    client.binding().expect_success();
}

#[test]
fn workers_stop_in_time_and_free_the_port() {
    let mut relay = TestRelay::start(&TurnSettings { workers: 4, ..settings() });
    let mut client = relay.client();
    client.allocate();
    let address = relay.v4();
    relay.stop();
    std::net::UdpSocket::bind(address).expect("the port is free again");
}

#[test]
fn a_relay_without_its_control_plane_still_stops() {
    let (running, control) = start(&settings()).unwrap();
    drop(control);
    let mut client = Client::new(running.addresses()[0], "", "");
    client.binding().expect_success();
    running.stop(PATIENCE).unwrap();
}

#[test]
fn a_draining_relay_keeps_its_allocations_and_takes_no_new_ones() {
    let relay = TestRelay::start(&settings());
    let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    relay.running().drain();
    // The worker notices at the start of its next turn, and requests that it reads in the one before still pass. On one
    // busy core that can be many, so that they give back what they get.
    let mut late = relay.client();
    until(|| match late.try_allocate().error() {
        None => {
            late.refresh(0).expect_success();
            false
        }
        Some(code) => {
            assert_eq!(code, 508);
            true
        }
    });
    client.send_channel(CHANNEL, b"ping");
    assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
    peer.send_to(b"pong", relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"pong".to_vec()));
    client.refresh(600).expect_success();
}

/// The sentence with which a relay does not start.
fn refusal(settings: &TurnSettings) -> String {
    start(settings).err().expect("these settings are refused").to_string()
}

fn start(
    settings: &TurnSettings,
) -> Result<(causeway_turn::RunningRelay, causeway_turn::ControlPlane), StartError> {
    causeway_turn::start(settings, None, "node".parse().unwrap(), Arc::new(MemoryBus::new()))
}
