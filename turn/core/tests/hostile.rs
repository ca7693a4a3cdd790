//! Whatever comes, nothing panics, and strangers leave no trace.

mod common;

use causeway_stun::attributes::*;
use causeway_stun::{AttributeType, ChannelNumber, Class, Encode, Method, RawAttribute};
use causeway_turn_core::*;
use common::*;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_never_panic_and_never_leave_state(
        datagrams in prop::collection::vec((any::<u16>(), prop::collection::vec(any::<u8>(), 0..200)), 1..10),
    ) {
        let mut world = World::new();
        for (port, bytes) in datagrams {
            world.client_sends(client(&format!("9.9.9.9:{port}")), &bytes);
            world.peer_sends("51.0.0.1:50000".parse().unwrap(), &format!("9.9.9.9:{port}"), &bytes);
        }
        prop_assert!(world.events.is_empty() && world.bound.is_empty());
        prop_assert_eq!(world.relay.poll_timeout(), None);
    }

    #[test]
    fn bytes_that_look_like_stun_or_channel_data_never_panic(
        head in prop::sample::select(vec![
            vec![0x00, 0x01], vec![0x00, 0x03], vec![0x00, 0x04], vec![0x00, 0x08], vec![0x00, 0x09],
            vec![0x00, 0x16], vec![0x00, 0x17], vec![0x01, 0x01], vec![0x40, 0x00], vec![0x40, 0x01],
        ]),
        body in prop::collection::vec(any::<u8>(), 0..120),
        honest in any::<bool>(),
    ) {
        let (mut world, clients) = busy();
        let mut bytes = head;
        let length = if honest { u16::try_from(body.len()).unwrap() } else { 0xFFFF };
        bytes.extend(length.to_be_bytes());
        if bytes[0] < 2 {
            bytes.extend(0x2112_A442_u32.to_be_bytes());
            bytes.extend([7; 12]);
        }
        bytes.extend(&body);
        for client in clients {
            world.client_sends(client.address, &bytes);
        }
    }

    #[test]
    fn valid_datagrams_with_flipped_bits_cut_ends_and_spliced_tails_never_panic(
        which in 0usize..12,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        tail in prop::collection::vec(any::<u8>(), 0..12),
    ) {
        let (mut world, mut clients) = busy();
        let mut datagram = valid(&mut clients[0], which);
        for (at, value) in flips {
            let at = at.index(datagram.len());
            datagram[at] ^= value;
        }
        if let Some(cut) = cut {
            datagram.truncate(cut.index(datagram.len()));
        }
        datagram.extend(tail);
        let address = clients[0].address;
        world.client_sends(address, &datagram);
        world.client_sends(clients[1].address, &datagram);
    }

    #[test]
    fn authenticated_requests_with_any_attributes_never_panic(
        method in prop::sample::select(Method::ALL.to_vec()),
        attributes in prop::collection::vec(
            (
                prop::sample::select(Known::TYPES.to_vec()),
                prop::collection::vec(any::<u8>(), 0..24),
            ),
            0..6,
        ),
        allocated in any::<bool>(),
    ) {
        let (mut world, mut clients) = busy();
        let client = &mut clients[usize::from(!allocated) * 2];
        let raw: Vec<RawAttribute<'_>> =
            attributes.iter().map(|(kind, value)| RawAttribute { kind: *kind, value }).collect();
        let raw: Vec<&dyn Encode> = raw
            .iter()
            .filter(|attribute| attribute.kind != AttributeType::USERNAME)
            .map(|attribute| attribute as &dyn Encode)
            .collect();
        let request = client.request(method, &raw);
        let address = client.address;
        world.client_sends(address, &request);
        world.replies.clear();
        world.pass(10_000);
    }

    #[test]
    fn binds_that_come_in_any_order_with_any_result_never_panic(
        steps in prop::collection::vec((0u8..4, 0u8..5, any::<prop::sample::Index>()), 1..40),
    ) {
        let mut world = World::new();
        world.slow_binds = true;
        let mut clients: Vec<Client> = (1..=4).map(|port| Client::new(&format!("1.1.1.1:{port}"))).collect();
        let mut spent = vec![];
        for (who, what, index) in steps {
            let client = &mut clients[usize::from(who)];
            match what {
                0 => {
                    client.learn_nonce(&mut world);
                    let wish = AdditionalAddressFamily(AddressFamily::Ipv6);
                    let request = client.request(Method::Allocate, &[UDP, &wish]);
                    client.exchange(&mut world, &request);
                }
                1 => {
                    client.learn_nonce(&mut world);
                    let wish = EvenPort { reserve_next: true };
                    let request = client.request(Method::Allocate, &[UDP, &wish]);
                    client.exchange(&mut world, &request);
                }
                2 if !world.waiting.is_empty() => {
                    let (ticket, port, next) = world.waiting.remove(index.index(world.waiting.len()));
                    prop_assert_eq!(world.bound.insert(port.slot, port.address), None);
                    world.aside.extend(next);
                    world.relay.on_bound(world.now, ticket, Ok(()));
                    spent.push(ticket);
                }
                3 if !world.waiting.is_empty() => {
                    let (ticket, ..) = world.waiting.remove(index.index(world.waiting.len()));
                    let error = if who % 2 == 0 { BindError::AddressInUse } else { BindError::Refused };
                    world.relay.on_bound(world.now, ticket, Err(error));
                }
                4 if !spent.is_empty() => {
                    let ticket = spent[index.index(spent.len())];
                    world.relay.on_bound(world.now, ticket, Err(BindError::Refused));
                }
                _ => world.pass(100),
            }
            world.perform();
            world.replies.clear();
        }
        world.slow_binds = false;
        world.finish_binds();
        world.replies.clear();
        world.pass(4_000);
        world.replies.clear();
        prop_assert!(world.bound.is_empty(), "every port comes back");
        prop_assert_eq!(world.relay.poll_timeout(), None);
    }
}

/// Two clients with allocations, permissions and channels, and one that has only authenticated.
fn busy() -> (World, Vec<Client>) {
    let mut world = World::new();
    let mut clients = vec![];
    for port in [1000, 1001] {
        let mut client = Client::new(&format!("1.1.1.1:{port}"));
        client.allocate_both(&mut world);
        client.bind(&mut world, 0x4000, PEER);
        client.permit(&mut world, "[2a00::8]:5000");
        clients.push(client);
    }
    let mut third = Client::new("1.1.1.1:1002");
    third.learn_nonce(&mut world);
    clients.push(third);
    (world, clients)
}

/// One of everything a client may send.
fn valid(client: &mut Client, which: usize) -> Vec<u8> {
    let peer = XorPeerAddress(PEER.parse().expect("an address"));
    let number = ChannelNumber::MIN;
    match which {
        0 => client.bare_request(Method::Binding, &[]),
        1 => client.request(Method::Allocate, &[UDP]),
        2 => client.request(Method::Allocate, &[UDP, &EvenPort { reserve_next: true }]),
        3 => client.request(Method::Allocate, &[UDP, &AdditionalAddressFamily(AddressFamily::Ipv6)]),
        4 => client.request(Method::Refresh, &[&Lifetime { seconds: 0 }]),
        5 => client.request(Method::CreatePermission, &[&peer, &peer]),
        6 => client.request(Method::ChannelBind, &[&number, &peer]),
        7 => send_indication(PEER, b"payload", &[&DontFragment]),
        8 => channel_data(0x4000, b"payload"),
        9 => {
            client.fingerprint = true;
            client.request(Method::Refresh, &[])
        }
        10 => {
            client.sha256 = true;
            client.request(Method::CreatePermission, &[&peer])
        }
        _ => build(Class::Indication, Method::Binding, client.transaction(), true, |_| ()),
    }
}
