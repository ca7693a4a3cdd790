//! Whom nobody reaches through the relay, address by address: the list of what others forgot. Each is asked for in
//! every way there is: CreatePermission, ChannelBind, Connect and ConnectionAttempt, Send and data from it, with a
//! user's credential and with that of a room whose peer was seen there.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::{IpAddr, SocketAddr};

use causeway_protocol::token::PeerPolicy;
use causeway_stun::attributes::{AddressFamily, RequestedAddressFamily, RequestedTransport, XorPeerAddress};
use causeway_stun::{Encode, Method};
use causeway_turn_core::*;
use common::*;

/// One test for each address, of which the name says why it is no peer.
macro_rules! forbidden {
    ($($name:ident: $ip:literal is $reason:ident;)*) => {
        $(
            #[test]
            fn $name() {
                check($ip, Forbidden::$reason);
            }
        )*
    };
}

forbidden! {
    the_unspecified_address_is_this_host_to_a_kernel: "0.0.0.0" is SpecialPurpose;
    the_unspecified_address_of_ipv6_is_this_host_to_a_kernel: "::" is SpecialPurpose;
    loopback_is_this_host: "127.0.0.1" is SpecialPurpose;
    all_of_127_is_loopback: "127.255.255.254" is SpecialPurpose;
    loopback_of_ipv6_is_this_host: "::1" is SpecialPurpose;
    loopback_as_an_ipv4_mapped_address: "::ffff:127.0.0.1" is SpecialPurpose;
    loopback_as_an_ipv4_compatible_address: "::7f00:1" is SpecialPurpose;
    loopback_behind_nat64: "64:ff9b::7f00:1" is SpecialPurpose;
    loopback_behind_a_nat64_of_ones_own: "64:ff9b:1::7f00:1" is SpecialPurpose;
    loopback_behind_6to4: "2002:7f00:1::" is SpecialPurpose;
    the_metadata_service_of_clouds: "169.254.169.254" is SpecialPurpose;
    the_metadata_service_behind_nat64: "64:ff9b::a9fe:a9fe" is SpecialPurpose;
    link_local_is_the_operators_own_link: "fe80::1" is SpecialPurpose;
    unique_local_is_the_operators_own_network: "fc00::1" is SpecialPurpose;
    the_assigned_half_of_unique_local_too: "fd00::1" is SpecialPurpose;
    site_local_is_deprecated_and_still_routed: "fec0::1" is SpecialPurpose;
    carrier_grade_nat_is_the_operators_own_network: "100.64.0.1" is SpecialPurpose;
    private_10_is_the_operators_own_network: "10.0.0.1" is SpecialPurpose;
    private_172_is_the_operators_own_network: "172.31.255.255" is SpecialPurpose;
    private_192_is_the_operators_own_network: "192.168.0.1" is SpecialPurpose;
    the_metadata_service_as_an_ipv4_mapped_address: "::ffff:169.254.169.254" is SpecialPurpose;
    multicast_reaches_many: "224.0.0.1" is SpecialPurpose;
    multicast_of_ipv6_reaches_many: "ff02::1" is SpecialPurpose;
    broadcast_reaches_many: "255.255.255.255" is SpecialPurpose;
    our_listener_that_relays_nothing: "51.0.0.3" is OwnHost;
    our_listener_as_an_ipv4_mapped_address: "::ffff:51.0.0.3" is OwnHost;
    our_relayed_address_as_an_ipv4_mapped_address: "::ffff:51.0.0.1" is OwnHost;
    redis: "60.0.0.9" is OwnHost;
    redis_as_an_ipv4_mapped_address: "::ffff:60.0.0.9" is OwnHost;
    redis_behind_nat64: "64:ff9b::3c00:9" is OwnHost;
    redis_behind_6to4: "2002:3c00:9::" is OwnHost;
    what_the_operator_denies: "9.9.9.9" is DeniedNetwork;
}

#[test]
fn our_listeners_beside_relayed_addresses_whatever_clients_speak_to_them() {
    // UDP and DTLS, TCP and TLS share an address, and the second port is a listener like the first.
    for listener in ["51.0.0.1:3478", "51.0.0.1:5349"] {
        check_port(World::with(fenced()), listener, Forbidden::NotALiveRelay);
    }
}

#[test]
fn every_other_service_beside_relayed_addresses() {
    for service in ["51.0.0.1:22", "51.0.0.1:6379", "51.0.0.1:49152", "[2a00::51]:22"] {
        check_port(World::with(fenced()), service, Forbidden::NotALiveRelay);
    }
}

#[test]
fn our_listeners_and_services_behind_our_external_address() {
    for service in ["52.0.0.1:3478", "52.0.0.1:5349", "52.0.0.1:6379"] {
        let mut world = World::with(fenced());
        world.control(Control::External(behind_nat()));
        check_port(world, service, Forbidden::NotALiveRelay);
    }
}

#[test]
fn our_local_address_behind_nat() {
    let mut world = World::with(fenced());
    world.control(Control::External(behind_nat()));
    check_in(world, "51.0.0.1", Forbidden::OwnHost);
}

#[test]
fn what_a_broken_node_says_is_a_relayed_address() {
    // A relay that listens on loopback only, of a room with clients here.
    for address in ["127.0.0.1:6379", "[::1]:6379", "169.254.169.254:80", "224.0.0.1:5353", "9.9.9.9:6379"] {
        let mut world = World::with(fenced());
        let address: SocketAddr = address.parse().unwrap();
        let mut client = room_client(&mut world, address, vec![address], vec![]);
        assert_eq!(client.permit(&mut world, &address.to_string()), 403, "{address}");
        assert_eq!(client.bind(&mut world, 0x4000, &address.to_string()), 403, "{address}");
    }
}

fn check(ip: &str, reason: Forbidden) {
    check_in(World::with(fenced()), ip, reason);
}

fn check_in(mut world: World, ip: &str, reason: Forbidden) {
    let peer = SocketAddr::new(ip.parse().unwrap(), 6379);
    let named = peer.to_string();
    let mut user = user_client(&mut world, peer);
    let mut room = room_client(&mut world, peer, vec![], vec![peer.ip()]);
    for client in [&mut user, &mut room] {
        assert_eq!(client.permit(&mut world, &named), 403, "a permission");
        assert_eq!(client.bind(&mut world, 0x4000, &named), 403, "a channel");
        let datagram = client.send_indication(&named, b"PING");
        let verdict = world.client_sends(client.address, &datagram);
        assert_eq!(verdict, Verdict::Dropped(DropReason::NoPermission), "data to it");
    }
    assert_eq!(world.relay.counters().denied(reason), 4, "counted by reason");
    for relayed in world.bound.values().copied().collect::<Vec<_>>() {
        let verdict = world.peer_sends(relayed, &named, b"+PONG");
        assert_eq!(verdict, Verdict::Dropped(DropReason::NoPermission), "data from it");
    }
    check_tcp(&mut world, peer);
}

/// The IP has relayed addresses, so that a permission can be had; the port stays closed.
fn check_port(mut world: World, named: &str, reason: Forbidden) {
    let peer: SocketAddr = named.parse().unwrap();
    let mut client = user_client(&mut world, peer);
    assert_eq!(client.permit(&mut world, named), 0);
    let datagram = client.send_indication(named, b"PING");
    let verdict = world.client_sends(client.address, &datagram);
    assert_eq!(verdict, Verdict::Dropped(DropReason::NotALiveRelay));
    assert_eq!(world.relay.counters().denied(reason), 1);
    // Whether a relayed address will live at the port is open, unless we listen there ourselves.
    match client.bind(&mut world, 0x4000, named) {
        0 => {
            assert!(!LISTENERS.iter().any(|listener| listener.ends_with(&format!(":{}", peer.port()))));
            let verdict = world.client_sends(client.address, &channel_data(0x4000, b"PING"));
            assert_eq!(verdict, Verdict::Dropped(DropReason::NotALiveRelay));
        }
        code => assert_eq!(code, 403),
    }
    check_tcp(&mut world, peer);
}

/// Connect is refused, and a connection from there is not accepted.
fn check_tcp(world: &mut World, peer: SocketAddr) {
    let mut client = Client::of("bob", "hush", source(peer.ip()));
    client.address.via = Via::Tcp(SessionId(1));
    let family = family(peer.ip());
    let asked: [&dyn Encode; 2] = [&RequestedTransport::TCP, &family];
    let answer = client.ask(world, Method::Allocate, &asked);
    assert_eq!(answer.code(), 0);
    assert_eq!(
        client.ask(world, Method::Connect, &[&XorPeerAddress(peer)]).code(),
        403,
        "a connection to it"
    );
    assert_eq!(world.connects, [], "nothing is dialled");
    let local = *world.bound.values().find(|bound| world.own.is_live_tcp(**bound)).unwrap();
    let port = world.port(local);
    let accepted = world.relay.on_peer_accepted(world.now, port, PeerAddr::new(peer));
    assert!(accepted.is_err(), "a connection from it");
}

/// A user's client with an allocation of the peer's family.
fn user_client(world: &mut World, peer: SocketAddr) -> Client {
    let mut client = Client::new(source(peer.ip()));
    let family = family(peer.ip());
    let asked: [&dyn Encode; 2] = [UDP, &family];
    assert_eq!(client.ask(world, Method::Allocate, &asked).code(), 0);
    client
}

/// The same for a room's peer, with what belongs to its room.
fn room_client(
    world: &mut World,
    peer: SocketAddr,
    relayed: Vec<SocketAddr>,
    observed: Vec<IpAddr>,
) -> Client {
    let credential = room_credential(|claims| claims.peers = PeerPolicy::Room);
    let mut client = Client::with(&credential, source(peer.ip()));
    client.address.source.set_port(2000);
    let family = family(peer.ip());
    let asked: [&dyn Encode; 2] = [UDP, &family];
    assert_eq!(client.ask(world, Method::Allocate, &asked).code(), 0);
    world.control(Control::RoomPeers(RoomPeers { room: "kitchen".parse().unwrap(), relayed, observed }));
    client
}

const fn source(ip: IpAddr) -> &'static str {
    match ip {
        IpAddr::V4(_) => "1.1.1.1:1000",
        IpAddr::V6(_) => "[2a00::1]:1000",
    }
}

fn family(ip: IpAddr) -> RequestedAddressFamily {
    RequestedAddressFamily(AddressFamily::of(ip))
}

const LISTENERS: [&str; 5] =
    ["51.0.0.1:3478", "[2a00::51]:3478", "51.0.0.1:5349", "[2a00::51]:5349", "51.0.0.3:3478"];

/// A relay with listeners on two ports, one on an address without relayed ones, Redis, and an operator's word.
fn fenced() -> RelayConfig {
    let mut config = config();
    let [first, ..] = config.listeners.as_slice() else { unreachable!("there are two") };
    let like = *first;
    config.listeners =
        LISTENERS.map(|address| Listener { address: address.parse().unwrap(), ..like }).to_vec();
    config.denied_peers = vec!["60.0.0.9".parse().unwrap()];
    config.peer_rules.denied = vec!["9.9.9.0/24".parse().unwrap()];
    config.peer_rules.private_room_peers = PrivateRoomPeers::Refused;
    config
}

fn behind_nat() -> ExternalIps {
    let [local, external] = ["51.0.0.1", "52.0.0.1"].map(|ip| ip.parse().unwrap());
    ExternalIps::new([ExternalIp { local, external }]).unwrap()
}
