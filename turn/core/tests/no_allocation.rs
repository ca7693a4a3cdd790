//! Relaying data, and answering strangers, touches no heap.
#![allow(unsafe_code, reason = "a global allocator that counts cannot be written without")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use causeway_protocol::token::PeerPolicy;
use causeway_stun::Method;
use causeway_turn_core::*;
use common::*;

/// A peer without a channel.
const SECOND: &str = "9.9.9.9:1";

struct Counting;

thread_local! {
    /// Allocations of this thread: tests run on threads of their own.
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes on to the system's allocator unchanged; the counter is a plain cell of the thread.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn no_relayed_datagram_allocates_on_any_of_the_four_ways() {
    let mut config = config();
    config.limits.room_bytes_per_second = 20_000_000;
    config.limits.node_bytes_per_second = 20_000_000;
    let mut world = World::with(config);
    // A room's credential with a budget and rates on every level: everything that is counted is counted.
    let credential = room_credential(|claims| {
        claims.bytes = Some(1 << 40);
        claims.bps = Some(10_000_000);
    });
    let mut client = Client::with(&credential, "1.1.1.1:1000");
    let relayed = client.allocate(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    client.permit(&mut world, SECOND);
    check_four_ways(world, &client, relayed, PEER);
}

#[test]
fn no_datagram_of_a_rooms_credential_allocates_on_any_of_the_four_ways() {
    const REMOTE: &str = "60.0.0.1:50000";
    let mut world = World::new();
    let credential = room_credential(|claims| claims.peers = PeerPolicy::Room);
    let mut client = Client::with(&credential, "1.1.1.1:1000");
    let relayed = client.allocate(&mut world);
    // A room of forty: one peer by its relayed address on another node, one where it was seen.
    let others = (1..20).map(|host| format!("60.0.0.{host}:50000").parse().unwrap());
    let observed = (1..20).map(|host| format!("9.9.9.{host}").parse().unwrap());
    world.control(Control::RoomPeers(RoomPeers {
        room: "kitchen".parse().unwrap(),
        relayed: others.collect(),
        observed: observed.collect(),
    }));
    assert_eq!(client.bind(&mut world, 0x4000, REMOTE), 0);
    assert_eq!(client.permit(&mut world, SECOND), 0);
    check_four_ways(world, &client, relayed, REMOTE);
}

/// Both ways through the channel to `first`, and both by indications about [`SECOND`].
fn check_four_ways(mut world: World, client: &Client, relayed: std::net::SocketAddr, first: &str) {
    let payload = vec![7; 1000];
    let port = world.port(relayed);
    let channel_up = channel_data(0x4000, &payload);
    let indication_up = send_indication(SECOND, &payload, &[]);
    let (first, second) = (peer(first), peer(SECOND));

    let (relay, mut now) = (&mut world.relay, world.now);
    let mut ways = [0; 4];
    let allocations = count(|| {
        for _ in 0..1000 {
            now = now.plus(std::time::Duration::from_millis(1));
            let verdicts = [
                relay.on_client(now, client.address, &channel_up),
                relay.on_client(now, client.address, &indication_up),
                relay.on_peer(now, port, first, &payload),
                relay.on_peer(now, port, second, &payload),
            ];
            for (way, verdict) in ways.iter_mut().zip(verdicts) {
                *way += usize::from(matches!(verdict, Verdict::ToPeer { .. } | Verdict::ToClient { .. }));
            }
        }
    });
    assert_eq!(ways, [1000; 4]);
    assert_eq!(allocations, 0);
}

#[test]
fn no_datagram_between_two_relayed_addresses_allocates() {
    let mut world = World::new();
    let mut other = world.sibling(RelayConfig { worker: WorkerNumber::new(1).unwrap(), ..config() }, 2);
    let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = world.allocated("2.2.2.2:2000");
    let (mut carol, at_carol) = other.allocated("3.3.3.3:3000");
    alice.bind(&mut world, 0x4000, &at_bob.to_string());
    alice.bind(&mut world, 0x4001, &at_carol.to_string());
    bob.permit(&mut world, &at_alice.to_string());
    carol.permit(&mut other, &at_alice.to_string());
    let payload = vec![7; 1000];
    let [to_bob, to_carol] = [0x4000, 0x4001].map(|number| channel_data(number, &payload));
    let mut delivered = 0;
    let allocations = count(|| {
        for _ in 0..1000 {
            let here = world.relay.on_client(world.now, alice.address, &to_bob);
            let Verdict::ToRelay { to, from, payload } =
                world.relay.on_client(world.now, alice.address, &to_carol)
            else {
                continue;
            };
            let there = other.relay.on_relay(other.now, to, from, payload.of(&to_carol));
            delivered +=
                [here, there].iter().filter(|verdict| matches!(verdict, Verdict::ToClient { .. })).count();
        }
    });
    assert_eq!((delivered, allocations), (2000, 0));
}

#[test]
fn no_dropped_datagram_allocates() {
    let mut world = World::new();
    let (client, relayed) = world.allocated("1.1.1.1:1000");
    let port = world.port(relayed);
    let datagrams =
        [channel_data(0x4000, b"x"), send_indication(PEER, b"x", &[]), vec![0; 100], vec![0xFF; 100], vec![]];
    let relay = &mut world.relay;
    let allocations = count(|| {
        for datagram in &datagrams {
            for from in [client.address, common::client("9.9.9.9:9")] {
                assert!(matches!(relay.on_client(world.now, from, datagram), Verdict::Dropped(_)));
            }
        }
        assert!(matches!(relay.on_peer(world.now, port, peer(PEER), b"x"), Verdict::Dropped(_)));
    });
    assert_eq!(allocations, 0);
}

#[test]
fn no_datagram_that_is_too_fast_allocates() {
    let mut config = config();
    config.limits.allocation_bytes_per_second = 1_000;
    let mut world = World::with(config);
    let (mut client, _) = world.allocated("1.1.1.1:1000");
    client.bind(&mut world, 0x4000, PEER);
    let datagram = channel_data(0x4000, &[7; 1000]);
    let relay = &mut world.relay;
    let allocations = count(|| {
        for _ in 0..1000 {
            relay.on_client(world.now, client.address, &datagram);
        }
    });
    assert_eq!(allocations, 0);
    assert!(relay.counters().dropped(DropReason::AllocationRate) > 900);
}

#[test]
fn no_stranger_makes_the_relay_allocate() {
    let mut world = World::new();
    let mut stranger = Client::new("9.9.9.9:9");
    let binding = stranger.bare_request(Method::Binding, &[]);
    let challenge = stranger.bare_request(Method::Allocate, &[UDP]);
    stranger.nonce = b"forged nonce 123".to_vec();
    let forged = stranger.request(Method::Allocate, &[UDP]);
    let (relay, now) = (&mut world.relay, world.now);
    let mut answers = 0;
    let allocations = count(|| {
        for round in 0..1000u16 {
            let mut from = stranger.address;
            let [high, low] = round.to_be_bytes();
            from.source.set_ip([9, 9, high, low].into());
            for datagram in [&binding, &challenge, &forged] {
                relay.on_client(now, from, datagram);
            }
            while let Some(Action::Reply { .. }) = relay.poll_action() {
                answers += 1;
            }
        }
    });
    assert_eq!(answers, 3000);
    assert_eq!(allocations, 0);
}

#[test]
fn a_flood_from_a_hundred_thousand_spoofed_sources_keeps_memory_flat_and_leaves_the_authenticated_alone() {
    let mut world = World::new();
    let mut stranger = Client::new("9.9.9.9:9");
    let binding = stranger.bare_request(Method::Binding, &[]);
    let challenge = stranger.bare_request(Method::Allocate, &[UDP]);
    stranger.nonce = b"obMatJos2gAAAAAAAAAAAAAA".to_vec();
    let forged = stranger.request(Method::Allocate, &[UDP]);
    let (relay, now) = (&mut world.relay, world.now);
    let mut answers = 0;
    let allocations = count(|| {
        for source in 0..100_000u32 {
            let [_, a, b, c] = source.to_be_bytes();
            let from = ClientAddr { source: ([40 + a, b, c, 1], 9).into(), ..stranger.address };
            for datagram in [&binding, &challenge, &forged] {
                relay.on_client(now, from, datagram);
            }
            while let Some(Action::Reply { .. }) = relay.poll_action() {
                answers += 1;
            }
        }
    });
    assert_eq!(allocations, 0);
    assert_eq!(answers + relay.counters().dropped(DropReason::StrangerLimited), 300_000);
    assert_eq!(relay.poll_timeout(), None);

    // Whoever lives at a flooded address and is authenticated goes on.
    let mut client = Client::new("1.1.1.1:1000");
    client.allocate(&mut world);
    let from = ClientAddr { source: ([1, 1, 1, 1], 9).into(), ..client.address };
    while !matches!(world.client_sends(from, &binding), Verdict::Dropped(DropReason::StrangerLimited)) {}
    world.replies.clear();
    assert_eq!(client.permit(&mut world, PEER), 0);
}

#[test]
fn a_flood_of_strangers_fills_a_bounded_queue_and_is_counted() {
    let mut world = World::new();
    let mut stranger = Client::new("9.9.9.9:9");
    let request = stranger.bare_request(Method::Binding, &[]);
    let (relay, now) = (&mut world.relay, world.now);
    let allocations = count(|| {
        for _ in 0..1000 {
            relay.on_client(now, stranger.address, &request);
        }
    });
    assert_eq!(allocations, 0);
    assert_eq!(relay.counters().dropped(DropReason::ReplyQueueFull), 1000 - 256);
    assert_eq!(relay.counters().answers(AnswerCode::Success), 256);
}

fn count(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.with(Cell::get);
    work();
    ALLOCATIONS.with(Cell::get) - before
}
