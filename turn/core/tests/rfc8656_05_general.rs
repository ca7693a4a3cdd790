//! RFC 8656 §5 and §6: what holds for every message and every allocation.

mod common;

use causeway_stun::attributes::{Data, Lifetime, Nonce, Realm, XorPeerAddress};
use causeway_stun::{AttributeType, ChannelNumber, Encode, Method};
use causeway_turn_core::*;
use common::*;

/// §5: "if the 5-tuple does not identify an existing allocation, then the message MUST either be rejected with a 437
/// […] or be silently ignored".
#[test]
fn s5_without_an_allocation_requests_find_a_mismatch_and_data_is_ignored() {
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let peer = XorPeerAddress(PEER.parse().unwrap());
    let channel = ChannelNumber::new(0x4000).unwrap();
    let requests: [(Method, &[&dyn Encode]); 4] = [
        (Method::Refresh, &[]),
        (Method::Refresh, &[&Lifetime { seconds: 0 }]),
        (Method::CreatePermission, &[&peer]),
        (Method::ChannelBind, &[&channel, &peer]),
    ];
    for (method, attributes) in requests {
        assert_eq!(client.ask(&mut world, method, attributes).code(), 437, "{method:?}");
    }
    for datagram in [client.send_indication(PEER, b"x"), channel_data(0x4000, b"x")] {
        let verdict = world.client_sends(client.address, &datagram);
        assert_eq!(verdict, Verdict::Dropped(DropReason::NoAllocation));
        assert_eq!(world.replies.len(), 0);
    }
}

/// §5: the 5-tuple is source, listener and transport: none of them alone makes another client's allocation one's own.
#[test]
fn s5_the_allocation_is_found_by_source_server_address_and_transport() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    client.bind(&mut world, 0x4000, PEER);
    let data = channel_data(0x4000, b"x");
    assert!(matches!(world.client_sends(client.address, &data), Verdict::ToPeer { .. }));
    let here = client.address;
    for elsewhere in [
        ClientAddr { source: "1.1.1.1:1001".parse().unwrap(), ..here },
        ClientAddr { source: "1.1.1.2:1000".parse().unwrap(), ..here },
        ClientAddr { listener: ListenerId(1), ..here },
        ClientAddr { via: Via::Tcp(SessionId(0)), ..here },
        ClientAddr { via: Via::Dtls(SessionId(0)), ..here },
    ] {
        let verdict = world.client_sends(elsewhere, &data);
        assert_eq!(verdict, Verdict::Dropped(DropReason::NoAllocation), "{elsewhere:?}");
    }
}

/// §5: "SHOULD expire the nonce at least once every hour during the lifetime of the allocation".
#[test]
fn s5_a_nonce_expires_within_the_hour_while_the_allocation_lives() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    let mut stale = 0;
    for _ in 0..12 {
        world.pass(300);
        let request = client.request(Method::Refresh, &[]);
        let answer = client.exchange(&mut world, &request).unwrap();
        if answer.code() == 438 {
            stale += 1;
            client.nonce = answer.message().get::<Nonce<'_>>().unwrap().unwrap().as_bytes().to_vec();
            assert_eq!(client.refresh(&mut world, 600).code(), 0);
        }
    }
    assert!(stale >= 1, "an hour passed without a stale nonce");
}

/// §6: "The username, realm, and nonce values are initially those used in the authenticated Allocate request […] the
/// server can change the nonce value": the new one is told with the realm.
#[test]
fn s6_a_stale_nonce_is_answered_with_the_realm_and_a_new_nonce() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    world.pass_without_timers(599);
    assert_eq!(client.refresh(&mut world, 3600).code(), 0);
    world.pass(1200);
    let request = client.request(Method::Refresh, &[]);
    let answer = client.exchange(&mut world, &request).unwrap();
    assert_eq!(answer.code(), 438);
    assert_eq!(answer.message().get::<Realm<'_>>().unwrap().unwrap().as_str(), REALM);
    assert_ne!(answer.message().get::<Nonce<'_>>().unwrap().unwrap().as_bytes(), client.nonce);
}

/// §6: "Allocations can only be refreshed using the Refresh request; sending data to a peer does not refresh an
/// allocation."
#[test]
fn s6_data_does_not_refresh_an_allocation() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    for _ in 0..5 {
        client.learn_nonce_again(&mut world);
        assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
        world.client_sends(client.address, &channel_data(0x4000, b"x"));
        world.peer_sends(relayed, PEER, b"x");
        world.pass_without_timers(120);
    }
    let verdict = world.client_sends(client.address, &channel_data(0x4000, b"x"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::AllocationExpired));
}

/// §9: "The permissions for one allocation are totally unrelated to the permissions for a different allocation."
/// §12: the same holds for channel bindings.
#[test]
fn s9_s12_permissions_and_channels_are_one_allocations_own() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    let (mut other, others) = world.allocated("1.1.1.1:1001");
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
    let verdict = world.peer_sends(others, PEER, b"x");
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoPermission));
    let verdict = world.client_sends(other.address, &channel_data(0x4000, b"x"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoChannel));
    // The same number for another peer, and the same peer under another number.
    assert_eq!(other.bind(&mut world, 0x4000, "9.9.9.9:9"), 0);
    assert_eq!(other.bind(&mut world, 0x4001, PEER), 0);
}

/// §9, §12: "If an allocation expires, all its permissions expire with it", and its channel bindings.
#[test]
fn s9_s12_a_new_allocation_on_the_same_5_tuple_starts_without_permissions_and_channels() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);
    assert_eq!(client.refresh(&mut world, 0).code(), 0);
    let relayed = client.allocate(&mut world);
    let verdict = world.peer_sends(relayed, PEER, b"x");
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoPermission));
    let verdict = world.client_sends(client.address, &channel_data(0x4000, b"x"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoChannel));
}

/// §5: "indications in TURN are never authenticated": a seal on one is passed over.
#[test]
fn s5_an_indication_with_a_seal_is_relayed_like_one_without() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    let key = client.key();
    let datagram = build(
        causeway_stun::Class::Indication,
        Method::Send,
        causeway_stun::TransactionId([1; 12]),
        true,
        |writer| {
            writer.put(&XorPeerAddress(PEER.parse().unwrap())).unwrap();
            writer.put(&Data(b"hello")).unwrap();
            writer.put_integrity(&key).unwrap();
        },
    );
    let verdict = world.client_sends(client.address, &datagram);
    assert_eq!(sent_to_peer(verdict, &datagram), (relayed, PEER.parse().unwrap(), b"hello".to_vec()));
}

/// §7.2: relayed ports come from 49152 to 65535 unless the operator says otherwise, and never from the well-known ones.
#[test]
fn s7_2_ports_come_from_the_dynamic_range() {
    let mut world = World::new();
    for port in 1000..1060 {
        let (_, relayed) = world.allocated(&format!("1.1.1.1:{port}"));
        assert!(relayed.port() >= 49152, "{relayed}");
    }
}

/// §7.2: the Allocate request with a token "can use a different client IP address and port, a different transport
/// protocol, and even a different server IP address and port".
#[test]
fn s7_2_a_reserved_port_may_be_taken_over_another_transport_and_listener() {
    use causeway_stun::attributes::{EvenPort, ReservationToken};
    let mut world = World::new();
    let mut client = Client::new("1.1.1.1:1000");
    let answer = client.ask(&mut world, Method::Allocate, &[UDP, &EvenPort { reserve_next: true }]);
    let token = answer.message().get::<ReservationToken>().unwrap().unwrap();
    let first = answer.relayed()[0];
    let mut second = Client::via("[2a00::1]:2000", Via::Tls(SessionId(3)));
    let answer = second.ask(&mut world, Method::Allocate, &[UDP, &token]);
    assert_eq!((answer.code(), answer.relayed()[0].port()), (0, first.port() + 1));
    assert!(!answer.kinds().contains(&AttributeType::RESERVATION_TOKEN), "one token, one port");
}
