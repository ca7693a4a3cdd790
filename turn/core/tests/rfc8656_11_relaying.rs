//! Data crosses in both directions, framed as the client asked for, and only where it may.

mod common;

use causeway_stun::attributes::{Data, DontFragment, XorPeerAddress};
use causeway_stun::{ChannelData, ChannelNumber, Class, Message, Method};
use causeway_turn_core::*;
use common::*;

#[test]
fn a_send_indication_reaches_the_peer_from_the_relayed_address() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    assert_eq!(client.permit(&mut world, PEER), 0);
    let datagram = client.send_indication(PEER, b"hello");
    let verdict = world.client_sends(client.address, &datagram);
    assert_eq!(sent_to_peer(verdict, &datagram), (relayed, PEER.parse().unwrap(), b"hello".to_vec()));
}

#[test]
fn a_permitted_peer_reaches_the_client_in_a_data_indication() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    for payload in [&b""[..], b"h", b"he", b"hel", b"hell", b"hello"] {
        let verdict = world.peer_sends(relayed, PEER, payload);
        let (to, bytes) = sent_to_client(verdict, payload);
        assert_eq!(to, client.address);
        let message = Message::decode(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::Data));
        assert_eq!(message.get::<XorPeerAddress>(), Ok(Some(XorPeerAddress(PEER.parse().unwrap()))));
        assert_eq!(message.get::<Data<'_>>(), Ok(Some(Data(payload))));
    }
}

#[test]
fn a_channel_carries_data_in_both_directions() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    assert_eq!(client.bind(&mut world, 0x4000, PEER), 0);

    let datagram = channel_data(0x4000, b"up");
    let verdict = world.client_sends(client.address, &datagram);
    assert_eq!(sent_to_peer(verdict, &datagram), (relayed, PEER.parse().unwrap(), b"up".to_vec()));

    let verdict = world.peer_sends(relayed, PEER, b"down");
    let (to, bytes) = sent_to_client(verdict, b"down");
    assert_eq!(to, client.address);
    let number = ChannelNumber::new(0x4000).unwrap();
    assert_eq!(ChannelData::decode(&bytes), Ok(ChannelData { number, data: b"down" }));
}

#[test]
fn padding_behind_channel_data_is_not_relayed_and_no_data_is_data() {
    let mut world = World::new();
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    client.bind(&mut world, 0x4000, PEER);
    let mut datagram = channel_data(0x4000, b"hello");
    datagram.extend([0xFF; 3]);
    let verdict = world.client_sends(client.address, &datagram);
    assert_eq!(sent_to_peer(verdict, &datagram).2, b"hello");
    // RFC 8656 §12.6: a datagram of length 0 is formed and sent.
    let datagram = channel_data(0x4000, b"");
    let verdict = world.client_sends(client.address, &datagram);
    assert_eq!(sent_to_peer(verdict, &datagram).2, b"");
}

#[test]
fn another_port_of_a_permitted_ip_is_permitted_and_gets_an_indication() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.bind(&mut world, 0x4000, PEER);
    let verdict = world.peer_sends(relayed, "8.8.8.8:5001", b"x");
    let (_, bytes) = sent_to_client(verdict, b"x");
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.get::<XorPeerAddress>(), Ok(Some(XorPeerAddress("8.8.8.8:5001".parse().unwrap()))));
}

#[test]
fn ipv6_clients_peers_and_relays_exchange_data() {
    let mut world = World::new();
    let mut client = Client::new("[2a00::1]:1000");
    let answer = client.ask(
        &mut world,
        Method::Allocate,
        &[
            UDP,
            &causeway_stun::attributes::RequestedAddressFamily(
                causeway_stun::attributes::AddressFamily::Ipv6,
            ),
        ],
    );
    let relayed = answer.relayed()[0];
    assert_eq!(relayed.ip(), RELAY_V6.parse::<std::net::IpAddr>().unwrap());
    client.permit(&mut world, "[2a00::8]:5000");
    let datagram = client.send_indication("[2a00::8]:5000", b"up");
    let verdict = world.client_sends(client.address, &datagram);
    assert_eq!(sent_to_peer(verdict, &datagram).0, relayed);
    let verdict = world.peer_sends(relayed, "[2a00::8]:5000", b"down");
    let (_, bytes) = sent_to_client(verdict, b"down");
    assert_eq!(Message::decode(&bytes).unwrap().get::<Data<'_>>(), Ok(Some(Data(b"down"))));
}

#[test]
fn dont_fragment_is_passed_on_between_ipv4_addresses_only() {
    let mut world = World::new();
    for (source, expected) in [("1.1.1.1:1000", true), ("[2a00::1]:1000", false)] {
        let (mut client, _) = world.allocated(source);
        client.permit(&mut world, PEER);
        let datagram = send_indication(PEER, b"x", &[&DontFragment]);
        let verdict = world.client_sends(client.address, &datagram);
        assert!(matches!(verdict, Verdict::ToPeer { dont_fragment, .. } if dont_fragment == expected));
    }
}

#[test]
fn two_clients_of_ours_reach_each_other_through_their_relayed_addresses() {
    let mut world = World::new();
    let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = world.allocated("2.2.2.2:2000");
    assert_eq!(alice.permit(&mut world, &at_bob.to_string()), 0);
    assert_eq!(bob.permit(&mut world, &at_alice.to_string()), 0);
    let datagram = alice.send_indication(&at_bob.to_string(), b"hi");
    let verdict = world.client_sends(alice.address, &datagram);
    assert_eq!(sent_to_client(verdict, &datagram).0, bob.address);
}

#[test]
fn on_our_own_hosts_nothing_but_live_relayed_addresses_is_reached() {
    let mut world = World::new();
    let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = world.allocated("2.2.2.2:2000");
    alice.permit(&mut world, &at_bob.to_string());
    for address in ["51.0.0.1:3478", "51.0.0.1:6379", "51.0.0.1:49151"] {
        let datagram = alice.send_indication(address, b"x");
        let verdict = world.client_sends(alice.address, &datagram);
        assert_eq!(verdict, Verdict::Dropped(DropReason::NotALiveRelay), "{address}");
        let verdict = world.peer_sends(at_alice, address, b"x");
        assert_eq!(verdict, Verdict::Dropped(DropReason::NotALiveRelay), "{address}");
    }
    bob.refresh(&mut world, 0);
    let datagram = alice.send_indication(&at_bob.to_string(), b"x");
    let verdict = world.client_sends(alice.address, &datagram);
    assert_eq!(verdict, Verdict::Dropped(DropReason::NotALiveRelay));
}

#[test]
fn allocations_on_two_workers_reach_each_other() {
    let mut first = World::new();
    let worker = WorkerNumber::new(1).unwrap();
    let mut second = first.sibling(RelayConfig { worker, ..config() }, 2);
    let (mut alice, at_alice) = first.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = second.allocated("2.2.2.2:2000");
    alice.bind(&mut first, 0x4000, &at_bob.to_string());
    bob.bind(&mut second, 0x4000, &at_alice.to_string());
    let datagram = channel_data(0x4000, b"hi");
    let verdict = first.client_sends(alice.address, &datagram);
    let (to, from, data) = sent_to_relay(verdict, &datagram);
    assert_eq!(to.worker(), worker);
    let verdict = second.relay_sends(to, from, &data);
    assert_eq!(sent_to_client(verdict, &data), (bob.address, datagram));
}

#[test]
fn what_may_not_pass_is_dropped_with_its_reason() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.bind(&mut world, 0x4000, PEER);
    let stranger = common::client("9.9.9.9:9");
    let mut check = |from: ClientAddr, datagram: &[u8], reason| {
        assert_eq!(world.client_sends(from, datagram), Verdict::Dropped(reason));
        assert_eq!(world.relay.counters().dropped(reason), 1, "{reason:?}");
    };
    check(client.address, &channel_data(0x4001, b"x"), DropReason::NoChannel);
    check(client.address, &[0x40, 0, 0, 9, 1], DropReason::MalformedChannelData);
    check(client.address, &send_indication("9.9.9.9:1", b"x", &[]), DropReason::NoPermission);
    check(client.address, &send_indication("[2a00::8]:1", b"x", &[]), DropReason::PeerFamily);
    check(client.address, &send_indication("8.8.8.8:0", b"x", &[]), DropReason::ForbiddenPeer);
    check(
        client.address,
        &send_indication(PEER, b"x", &[&causeway_stun::attributes::UseCandidate]),
        DropReason::UnknownAttribute,
    );
    check(
        client.address,
        &build(Class::Indication, Method::Send, causeway_stun::TransactionId([0; 12]), false, |_| ()),
        DropReason::MalformedIndication,
    );
    check(
        client.address,
        &build(Class::Indication, Method::Refresh, causeway_stun::TransactionId([0; 12]), false, |_| ()),
        DropReason::UnexpectedMethod,
    );
    check(
        client.address,
        &build(Class::Success, Method::Binding, causeway_stun::TransactionId([0; 12]), false, |_| ()),
        DropReason::UnexpectedAnswer,
    );
    check(stranger, &channel_data(0x4000, b"x"), DropReason::NoAllocation);
    check(stranger, &[22, 254, 253], DropReason::Dtls);
    check(stranger, &[0x80; 20], DropReason::NotStun);
    check(stranger, &[0; 20], DropReason::MalformedMessage);
    let mut wrong =
        build(Class::Request, Method::Binding, causeway_stun::TransactionId([0; 12]), true, |_| ());
    *wrong.last_mut().unwrap() ^= 1;
    check(stranger, &wrong, DropReason::WrongFingerprint);

    assert_eq!(world.peer_sends(relayed, "9.9.9.9:1", b"x"), Verdict::Dropped(DropReason::NoPermission));
    let elsewhere = "51.0.0.1:49152".parse().unwrap();
    assert_eq!(world.peer_sends(elsewhere, PEER, b"x"), Verdict::Dropped(DropReason::UnknownRelayPort));
    let longest = vec![0; 65_536];
    assert_eq!(world.peer_sends(relayed, PEER, &longest), Verdict::Dropped(DropReason::TooLong));
}

#[test]
fn a_port_of_another_allocation_in_the_same_slot_is_not_mistaken() {
    let mut world = World::new();
    let (mut first, gone) = world.allocated("1.1.1.1:1000");
    first.permit(&mut world, PEER);
    let stale = world.port(gone);
    first.refresh(&mut world, 0);
    let (mut second, relayed) = world.allocated("2.2.2.2:2000");
    second.permit(&mut world, PEER);
    assert_eq!(world.port(relayed).slot, stale.slot);
    let verdict = world.relay.on_peer(world.now, stale, peer(PEER), b"late");
    assert_eq!(verdict, Verdict::Dropped(DropReason::UnknownRelayPort));
}

#[test]
fn usage_counts_application_bytes_by_direction() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.bind(&mut world, 0x4000, PEER);
    world.client_sends(client.address, &channel_data(0x4000, b"four"));
    let datagram = client.send_indication(PEER, b"sixsix");
    world.client_sends(client.address, &datagram);
    world.peer_sends(relayed, PEER, b"abc");
    world.peer_sends(relayed, "9.9.9.9:1", b"dropped");
    let expected = Usage {
        sent: Traffic { packets: 2, bytes: 10 },
        received: Traffic { packets: 1, bytes: 3 },
        ..Usage::default()
    };
    assert_eq!(world.relay.counters().relayed, expected);
    client.refresh(&mut world, 0);
    let mut lost = [0; Loss::ALL.len()];
    lost[Loss::NoPermission.index()] = 1;
    let expected = Usage { lost, ..expected };
    assert!(matches!(
        world.events.last(),
        Some(Event::AllocationEnded { usage, reason: EndReason::Released, .. }) if *usage == expected
    ));
}
