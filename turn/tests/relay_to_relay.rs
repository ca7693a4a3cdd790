//! Data between two clients of one relay never takes the kernel's way between their relayed addresses.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::SocketAddr;

use causeway_turn::TurnSettings;
use common::client::{Client, Incoming};
use common::metrics::{measured, value};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use metrics_exporter_prometheus::PrometheusHandle;

const CHANNEL: u16 = 0x4000;
/// Of so many clients some two neighbours are on different workers of four, and some on the same, but for one chance in
/// a million.
const CLIENTS: usize = 48;

#[test]
fn clients_of_one_worker_reach_each_other_in_memory() {
    for allow_loopback_peers in [true, false] {
        let (mut relay, metrics) = measured(&TurnSettings { workers: 1, allow_loopback_peers, ..settings() });
        let mut clients = ring(&relay, 4);
        let sent = go_round(&mut clients);
        relay.stop();
        assert_eq!((between(&metrics, "worker"), between(&metrics, "other_worker")), (sent, 0));
        assert_eq!(relayed(&metrics, "to_client"), sent);
    }
}

#[test]
fn clients_of_four_workers_reach_each_other_in_memory() {
    for allow_loopback_peers in [true, false] {
        let (mut relay, metrics) = measured(&TurnSettings { workers: 4, allow_loopback_peers, ..settings() });
        let mut clients = ring(&relay, CLIENTS);
        let sent = go_round(&mut clients);
        relay.stop();
        let [same, other] = ["worker", "other_worker"].map(|way| between(&metrics, way));
        assert!(same > 0 && other > 0, "{same} and {other}");
        assert_eq!((same + other, relayed(&metrics, "to_client")), (sent, sent));
    }
}

#[test]
fn data_between_two_workers_stays_in_order_and_whole() {
    let relay = TestRelay::start(&TurnSettings { workers: 4, ..settings() });
    let mut clients = ring(&relay, 12);
    // Each sends to the next, all at the same time, so that workers give and take at once.
    for number in 0..200u32 {
        let data = numbered(number);
        for (client, _) in &mut clients {
            client.send_channel(CHANNEL, &data);
        }
        // As much as sockets hold without being read.
        if number % 20 == 19 {
            for place in 0..clients.len() {
                let (_, from) = clients[(place + clients.len() - 1) % clients.len()];
                for number in number - 19..=number {
                    let expected = Incoming::Indication(from, numbered(number));
                    assert_eq!(clients[place].0.receive(), expected);
                }
            }
        }
    }
}

#[test]
fn clients_over_streams_are_reached_on_whichever_worker_they_are() {
    let (mut relay, metrics) = measured(&TurnSettings { workers: 4, ..settings() });
    let connect = |place: usize| match place % 2 {
        0 => relay.client(),
        _ => Client::tcp(relay.v4(), USER, PASSWORD),
    };
    let mut clients = joined((0..CLIENTS).map(connect).collect());
    let sent = go_round(&mut clients);
    relay.stop();
    assert_eq!(between(&metrics, "worker") + between(&metrics, "other_worker"), sent);
}

/// So many clients, each with a channel to the next one's relayed address and a permission for the one's before.
fn ring(relay: &TestRelay, count: usize) -> Vec<(Client, SocketAddr)> {
    joined((0..count).map(|_| relay.client()).collect())
}

fn joined(clients: Vec<Client>) -> Vec<(Client, SocketAddr)> {
    let allocated = clients.into_iter().map(|mut client| {
        let relayed = client.allocate();
        (client, relayed)
    });
    let mut clients: Vec<_> = allocated.collect();
    for place in 0..clients.len() {
        let next = (place + 1) % clients.len();
        let (from, to) = (clients[place].1, clients[next].1);
        clients[place].0.bind_channel(CHANNEL, to);
        clients[next].0.permit(from);
    }
    clients
}

/// Everybody sends something to the next and back again. Says how many datagrams that were.
fn go_round(clients: &mut [(Client, SocketAddr)]) -> u64 {
    let mut sent = 0;
    for place in 0..clients.len() {
        let next = (place + 1) % clients.len();
        let (from, to) = (clients[place].1, clients[next].1);
        for data in [&b"hello, neighbour"[..], b"", &[7; 1200]] {
            clients[place].0.send_channel(CHANNEL, data);
            assert_eq!(clients[next].0.receive(), Incoming::Indication(from, data.to_vec()));
            clients[next].0.send_indication(from, data);
            assert_eq!(clients[place].0.receive(), Incoming::Channel(CHANNEL, data.to_vec()), "from {to}");
            sent += 2;
        }
    }
    sent
}

fn numbered(number: u32) -> Vec<u8> {
    number.to_be_bytes().repeat(1 + number as usize % 200)
}

fn between(metrics: &PrometheusHandle, way: &str) -> u64 {
    value(metrics, &format!("causeway_turn_relay_to_relay_packets_total{{way=\"{way}\"}}"))
}

fn relayed(metrics: &PrometheusHandle, direction: &str) -> u64 {
    value(metrics, &format!("causeway_turn_relayed_packets_total{{direction=\"{direction}\"}}"))
}
