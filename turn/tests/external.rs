//! A relay behind a 1:1 NAT, in one host: everything says the external address, and self-relay works through it.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::{IpAddr, SocketAddr, UdpSocket};

use causeway_stun::attributes::{AddressFamily, XorMappedAddress};
use causeway_stun::{Class, Message, MessageWriter, Method};
use causeway_turn::{ExternalSettings, StartError, TurnSettings};
use common::client::Incoming;
use common::receive;
use common::relay::{TestRelay, settings};

/// Nobody listens there, so whatever is sent to it as it stands is lost.
const EXTERNAL: &str = "127.0.0.9";
const CHANNEL: u16 = 0x4000;

#[test]
fn clients_are_told_the_external_address_and_reach_each_other_through_it() {
    for workers in [1, 4] {
        let relay =
            TestRelay::start(&TurnSettings { workers, ..behind_nat(&[&format!("{EXTERNAL}/127.0.0.1")]) });
        let (mut alice, mut bob) = (relay.client(), relay.client());
        let (at_alice, at_bob) = (alice.allocate(), bob.allocate());
        let external: IpAddr = EXTERNAL.parse().unwrap();
        assert_eq!([at_alice.ip(), at_bob.ip()], [external; 2]);

        alice.bind_channel(CHANNEL, at_bob);
        bob.permit(at_alice);
        alice.send_channel(CHANNEL, b"hi");
        assert_eq!(bob.receive(), Incoming::Indication(at_alice, b"hi".to_vec()));
        bob.send_indication(at_alice, b"ho");
        assert_eq!(alice.receive(), Incoming::Channel(CHANNEL, b"ho".to_vec()));
    }
}

#[test]
fn a_peer_outside_is_reached_from_the_port_that_the_external_address_names() {
    let relay = TestRelay::start(&behind_nat(&[EXTERNAL]));
    let (mut client, peer) = (relay.client(), common::peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    client.send_channel(CHANNEL, b"ping");
    let (ping, from) = receive(&peer);
    assert_eq!((ping, from.port()), (b"ping".to_vec(), relayed.port()));
    peer.send_to(b"pong", from).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"pong".to_vec()));
}

#[test]
fn the_external_address_is_no_way_to_what_listens_on_this_host() {
    // A service on the external address itself: what a client sends there must not arrive.
    let service = UdpSocket::bind((EXTERNAL, 0)).unwrap();
    let relay = TestRelay::start(&behind_nat(&[EXTERNAL]));
    let (mut client, mut other) = (relay.client(), relay.client());
    let relayed = client.allocate();
    client.permit(relayed);
    for service in
        [service.local_addr().unwrap(), SocketAddr::new(EXTERNAL.parse().unwrap(), relay.v4().port())]
    {
        client.send_indication(service, b"x");
    }
    // Behind them in the same queue, so both have been dealt with when this arrives.
    let at_other = other.allocate();
    other.permit(relayed);
    client.send_indication(at_other, b"last");
    assert_eq!(other.receive(), Incoming::Indication(relayed, b"last".to_vec()));
    service.set_nonblocking(true).unwrap();
    assert!(service.recv(&mut [0; 8]).is_err(), "nothing arrived");
}

#[test]
fn the_other_family_keeps_its_own_addresses() {
    let relay = TestRelay::start(&behind_nat(&[EXTERNAL]));
    let mut client = relay.client();
    let v6 = client.allocate_family(AddressFamily::Ipv6);
    assert_eq!(v6.ip(), "::1".parse::<IpAddr>().unwrap());
}

#[test]
fn the_external_address_is_learned_from_a_stun_server_before_the_first_client_comes() {
    let server = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut settings = behind_nat(&[]);
    settings.external.discover = server.local_addr().unwrap().to_string();
    std::thread::spawn(move || answer_as(&server, EXTERNAL));
    let relay = TestRelay::start(&settings);
    assert_eq!(relay.client().allocate().ip().to_string(), EXTERNAL);
}

#[test]
fn a_local_address_that_the_relay_does_not_listen_on_is_one_clear_sentence() {
    let bus = std::sync::Arc::new(causeway_cluster::MemoryBus::new());
    let settings = behind_nat(&["51.0.0.1/10.0.0.9"]);
    let error = causeway_turn::start(&settings, None, "node".parse().unwrap(), bus).err().unwrap();
    assert!(matches!(error, StartError::External(_)));
    assert_eq!(
        error.to_string(),
        "external.ips: the relay does not listen on 10.0.0.9; name a local address that it listens on"
    );
}

/// A STUN server that sees everybody as `ip`. It ends with the test's process.
fn answer_as(server: &UdpSocket, ip: &str) {
    let mut request = [0; 100];
    while let Ok((length, from)) = server.recv_from(&mut request) {
        let id = Message::decode(&request[..length]).unwrap().transaction_id();
        let mut answer = [0; 100];
        let mut writer = MessageWriter::new(&mut answer, Class::Success, Method::Binding, id).unwrap();
        writer.put(&XorMappedAddress(SocketAddr::new(ip.parse().unwrap(), 1))).unwrap();
        let length = writer.finish();
        server.send_to(&answer[..length], from).unwrap();
    }
}

fn behind_nat(entries: &[&str]) -> TurnSettings {
    let ips = entries.iter().map(|entry| entry.parse().unwrap()).collect();
    TurnSettings { external: ExternalSettings { ips, ..ExternalSettings::default() }, ..settings() }
}
