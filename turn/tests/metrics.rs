//! Each metric moves when what it counts happens.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::sync::Arc;

use causeway_cluster::MemoryBus;
use causeway_turn::{LimitSettings, TurnSettings};
use common::client::{Client, Incoming};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::{PATIENCE, peer, receive, until};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

const CHANNEL: u16 = 0x4000;

#[test]
fn the_gauge_follows_the_allocations() {
    let (mut relay, metrics) = start();
    let mut client = relay.client();
    client.allocate();
    // Counters become metrics about once a second, which requests keep the worker awake for.
    until(|| {
        client.binding().expect_success();
        value(&metrics, "causeway_turn_allocations") == 1
    });
    relay.stop();
    assert_eq!(value(&metrics, "causeway_turn_allocations"), 0);
}

#[test]
fn relayed_bytes_and_packets_are_counted_by_direction() {
    let (mut relay, metrics) = start();
    let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    client.send_channel(CHANNEL, b"four");
    receive(&peer);
    peer.send_to(b"seven b", relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"seven b".to_vec()));
    relay.stop();
    check(&metrics, r#"causeway_turn_relayed_bytes_total{direction="to_peer"}"#, 4);
    check(&metrics, r#"causeway_turn_relayed_packets_total{direction="to_peer"}"#, 1);
    check(&metrics, r#"causeway_turn_relayed_bytes_total{direction="to_client"}"#, 7);
    check(&metrics, r#"causeway_turn_relayed_packets_total{direction="to_client"}"#, 1);
}

#[test]
fn refused_datagrams_are_counted_by_reason() {
    let (mut relay, metrics) = start();
    let mut client = relay.client();
    client.send_raw(b"\xFFgarbage");
    client.send_channel(CHANNEL, b"no allocation");
    client.binding().expect_success();
    relay.stop();
    check(&metrics, r#"causeway_turn_dropped_total{reason="not_stun"}"#, 1);
    check(&metrics, r#"causeway_turn_dropped_total{reason="no_allocation"}"#, 1);
    check(&metrics, r#"causeway_turn_dropped_total{reason="no_permission"}"#, 0);
}

#[test]
fn requests_are_counted_by_method_and_answers_by_code() {
    let (mut relay, metrics) = start();
    let mut client = relay.client();
    client.binding().expect_success();
    client.allocate();
    relay.stop();
    check(&metrics, r#"causeway_turn_requests_total{method="binding"}"#, 1);
    check(&metrics, r#"causeway_turn_requests_total{method="allocate"}"#, 2);
    check(&metrics, r#"causeway_turn_answers_total{code="401"}"#, 1);
    check(&metrics, r#"causeway_turn_answers_total{code="success"}"#, 2);
}

#[test]
fn refused_allocations_are_counted_by_the_limit_that_refused_them() {
    let limits = LimitSettings { allocations_per_source: 1, ..LimitSettings::default() };
    let (mut relay, metrics) = start_with(&TurnSettings { limits, ..settings() });
    relay.client().allocate();
    assert_eq!(relay.client().try_allocate().error(), Some(486));
    relay.stop();
    check(&metrics, r#"causeway_turn_quota_refusals_total{quota="source"}"#, 1);
    check(&metrics, r#"causeway_turn_quota_refusals_total{quota="user"}"#, 0);
}

#[test]
fn what_the_kernel_does_not_send_is_counted() {
    let (mut relay, metrics) = start();
    let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    // With its ChannelData header this is larger than any UDP datagram.
    peer.send_to(&[0; 65_507], relayed).unwrap();
    peer.send_to(b"fits", relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"fits".to_vec()));
    relay.stop();
    check(&metrics, r#"causeway_turn_send_failures_total{reason="too_large"}"#, 1);
}

#[test]
fn reports_that_nobody_takes_are_counted_and_cost_no_memory() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let metrics = recorder.handle();
    let one =
        TurnSettings { limits: LimitSettings { allocations: 1, ..LimitSettings::default() }, ..settings() };
    // The control plane exists and does not run.
    let (running, _control) = metrics::with_local_recorder(&recorder, || {
        causeway_turn::start(&one, None, "node".parse().unwrap(), Arc::new(MemoryBus::new())).unwrap()
    });
    let mut client = Client::new(running.addresses()[0], USER, PASSWORD);
    until(|| {
        client.allocate();
        client.refresh(0).expect_success();
        value(&metrics, "causeway_turn_events_lost_total") > 0
    });
    running.stop(PATIENCE).unwrap();
}

fn start() -> (TestRelay, PrometheusHandle) {
    start_with(&settings())
}

fn start_with(settings: &TurnSettings) -> (TestRelay, PrometheusHandle) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let relay = metrics::with_local_recorder(&recorder, || TestRelay::start(settings));
    (relay, recorder.handle())
}

#[track_caller]
fn check(metrics: &PrometheusHandle, series: &str, expected: u64) {
    assert_eq!(value(metrics, series), expected, "{series}");
}

/// What stands behind the series' name.
#[track_caller]
fn value(metrics: &PrometheusHandle, series: &str) -> u64 {
    let text = metrics.render();
    let line =
        text.lines().find_map(|line| line.strip_prefix(series)).expect("the series exists from the start");
    line.trim().parse().expect("a whole number")
}
