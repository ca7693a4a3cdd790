//! Several workers on one address.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::SocketAddr;

use causeway_stun::attributes::{EvenPort, RequestedTransport, ReservationToken};
use causeway_stun::{MessageWriter, Method};
use causeway_turn::{LimitSettings, TurnSettings};
use common::client::{Client, Incoming};
#[cfg(feature = "dtls")]
use common::dtls::{Tunnel, Version};
use common::metrics::{measured, value};
use common::relay::{PASSWORD, TestRelay, USER, settings};
use common::{peer, receive};

const CHANNEL: u16 = 0x4000;

#[test]
fn workers_share_the_load_and_every_client_is_served() {
    let relay = TestRelay::start(&TurnSettings { workers: 4, ..settings() });
    let peer = peer("127.0.0.1");
    let mut clients: Vec<Client> = (0..32).map(|_| relay.client()).collect();
    for client in &mut clients {
        let relayed = client.allocate();
        client.bind_channel(CHANNEL, peer.local_addr().unwrap());
        client.send_channel(CHANNEL, b"ping");
        assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
        peer.send_to(b"pong", relayed).unwrap();
        assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"pong".to_vec()));
    }
    assert_eq!(relay.running().allocations(), 32);
    // That one worker gets all of them has a chance of one in 10^18.
    assert!(relay.running().allocations_by_worker().iter().all(|allocations| *allocations < 32));
}

#[test]
fn a_limit_counts_over_all_workers() {
    let limits = LimitSettings { allocations: 8, ..LimitSettings::default() };
    let relay = TestRelay::start(&TurnSettings { workers: 4, limits, ..settings() });
    let mut clients: Vec<Client> = (0..8).map(|_| relay.client()).collect();
    for client in &mut clients {
        client.allocate();
    }
    assert_eq!(relay.client().try_allocate().error(), Some(508));
    clients[0].refresh(0).expect_success();
    relay.client().allocate();
}

#[test]
fn clients_of_different_workers_reach_each_other_without_loopback_peers() {
    let strict = TurnSettings { workers: 4, allow_loopback_peers: false, ..settings() };
    let relay = TestRelay::start(&strict);
    // Of 16 clients some two neighbours are on different workers, but for one chance in a billion.
    let mut clients: Vec<Client> = (0..16).map(|_| relay.client()).collect();
    let relayed: Vec<_> = clients.iter_mut().map(Client::allocate).collect();
    for from in 0..clients.len() {
        let to = (from + 1) % clients.len();
        clients[to].permit(relayed[from]);
        clients[from].bind_channel(CHANNEL, relayed[to]);
        clients[from].send_channel(CHANNEL, b"hello, neighbour");
        let expected = Incoming::Indication(relayed[from], b"hello, neighbour".to_vec());
        assert_eq!(clients[to].receive(), expected);
    }
}

#[test]
fn a_reserved_port_is_found_from_whichever_worker_its_client_reaches() {
    let (mut relay, metrics) = measured(&TurnSettings { workers: 4, ..settings() });
    // In 16 rounds some second client reaches another worker than the first, but for one chance in a billion.
    for _ in 0..16 {
        use_reserved_port(&mut relay.client(), &mut relay.client());
        use_reserved_port(&mut tcp_client(&relay), &mut relay.client());
        use_reserved_port(&mut relay.client(), &mut tcp_client(&relay));
    }
    relay.stop();
    assert!(value(&metrics, r#"causeway_turn_handed_over_total{kind="reserved_port"}"#) > 0);
    assert_eq!(value(&metrics, r#"causeway_turn_handed_over_total{kind="datagram"}"#), 0);
    assert_eq!(value(&metrics, r#"causeway_turn_handed_over_total{kind="connection"}"#), 0);
}

#[cfg(feature = "dtls")]
#[test]
fn a_reserved_port_is_found_over_dtls_from_whichever_worker_its_session_is_on() {
    let (mut relay, metrics) = measured(&TurnSettings { workers: 4, ..settings() });
    for round in 0..16 {
        let version = if round % 2 == 0 { Version::Dtls12 } else { Version::Dtls13 };
        let (one, other) = (Tunnel::to(relay.v4(), version), Tunnel::to(relay.v4(), version));
        let [mut first, mut second] = [&one, &other].map(|tunnel| Client::new(tunnel.plain, USER, PASSWORD));
        use_reserved_port(&mut first, &mut second);
        use_reserved_port(&mut first, &mut relay.client());
    }
    relay.stop();
    assert!(value(&metrics, r#"causeway_turn_handed_over_total{kind="reserved_port"}"#) > 0);
}

#[test]
fn nothing_that_came_to_a_reserved_port_reaches_its_client() {
    let relay = TestRelay::start(&TurnSettings { workers: 4, ..settings() });
    let peer = peer("127.0.0.1");
    let (mut first, mut second) = (relay.client(), relay.client());
    let (relayed, token) = reserve(&mut first);
    let reserved = SocketAddr::new(relayed.ip(), relayed.port() + 1);
    peer.send_to(b"too early", reserved).unwrap();
    assert_eq!(take(&mut second, token), reserved);
    second.bind_channel(CHANNEL, peer.local_addr().unwrap());
    // The first call may bring the kernel's word that nobody was there.
    let _ = peer.send_to(b"in time", reserved).or_else(|_| peer.send_to(b"in time", reserved)).unwrap();
    assert_eq!(second.receive(), Incoming::Channel(CHANNEL, b"in time".to_vec()));
}

#[test]
fn without_loopback_peers_this_hosts_services_are_out_of_reach() {
    let relay = TestRelay::start(&TurnSettings { allow_loopback_peers: false, ..settings() });
    let (mut client, service) = (relay.client(), peer("127.0.0.1"));
    client.allocate();
    // 127.0.0.1 is a relayed address too, so the permission itself is granted; the port decides.
    let address = service.local_addr().unwrap();
    if client.try_permit(address).error().is_none() {
        client.send_indication(address, b"knock, knock");
    }
    assert_eq!(client.try_permit("127.0.0.2:80".parse().unwrap()).error(), Some(403));
    service.set_nonblocking(true).unwrap();
    // The answer above came after the relay had dealt with the indication.
    assert!(service.recv_from(&mut [0; 64]).is_err());
}

/// The first client reserves a port, the second gets it, exchanges data with a peer and gives it back, as does the first.
fn use_reserved_port(first: &mut Client, second: &mut Client) {
    let peer = peer("127.0.0.1");
    let (even, token) = reserve(first);
    let relayed = take(second, token);
    assert_eq!(relayed.port(), even.port() + 1);
    second.bind_channel(CHANNEL, peer.local_addr().unwrap());
    second.send_channel(CHANNEL, b"ping");
    assert_eq!(receive(&peer), (b"ping".to_vec(), relayed));
    peer.send_to(b"pong", relayed).unwrap();
    assert_eq!(second.receive(), Incoming::Channel(CHANNEL, b"pong".to_vec()));
    second.refresh(0).expect_success();
    first.refresh(0).expect_success();
}

/// A client that reaches the relay over TCP.
fn tcp_client(relay: &TestRelay) -> Client {
    Client::tcp(relay.v4(), USER, PASSWORD)
}

/// Allocates an even port and reserves the next.
fn reserve(client: &mut Client) -> (SocketAddr, ReservationToken) {
    let put = |w: &mut MessageWriter<'_>| {
        w.put(&RequestedTransport::UDP)?;
        w.put(&EvenPort { reserve_next: true })
    };
    let answer = client.request(Method::Allocate, &put).expect_success();
    let token = answer.message().get::<ReservationToken>().unwrap().expect("RESERVATION-TOKEN");
    (answer.relayed(), token)
}

/// Allocates the port that was reserved.
fn take(client: &mut Client, token: ReservationToken) -> SocketAddr {
    let put = |w: &mut MessageWriter<'_>| {
        w.put(&RequestedTransport::UDP)?;
        w.put(&token)
    };
    client.request(Method::Allocate, &put).expect_success().relayed()
}
