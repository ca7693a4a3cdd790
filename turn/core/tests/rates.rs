//! How fast allocations, rooms and a node may relay: what is too fast is dropped, and each limit has its reason.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use causeway_protocol::bus::RoomLimits;
use causeway_turn_core::*;
use common::*;

const MB: u64 = 1_000_000;

#[test]
fn a_credential_sets_the_rate_of_its_allocation_for_each_direction() {
    let mut config = config();
    config.limits.allocation_bytes_per_second = 100 * MB;
    let mut worlds = [World::with(config)];
    let senders = [Sender::of(&mut worlds[0], "a", |claims| claims.bps = Some(MB))];
    let passed = offer(&mut worlds, &senders, 5);
    near(passed[0].0, 5 * MB);
    near(passed[0].1, 5 * MB);
    assert!(worlds[0].relay.counters().dropped(DropReason::AllocationRate) > 0);
}

#[test]
fn the_setting_is_the_rate_of_who_has_none_and_changes_while_data_flows() {
    let mut config = config();
    config.limits.allocation_bytes_per_second = MB;
    let mut worlds = [World::with(config.clone())];
    let senders = [Sender::of(&mut worlds[0], "a", |_| ())];
    near(offer(&mut worlds, &senders, 5)[0].0, 5 * MB);
    config.limits.allocation_bytes_per_second = 2 * MB;
    worlds[0].control(Control::Limits(config.limits));
    near(offer(&mut worlds, &senders, 5)[0].0, 10 * MB);
    config.limits.allocation_bytes_per_second = 0;
    worlds[0].control(Control::Limits(config.limits));
    assert_eq!(offer(&mut worlds, &senders, 1)[0].0, OFFERED);
    assert_eq!(worlds[0].end_reasons(), []);
}

#[test]
fn a_rooms_rate_is_one_for_all_its_peers_on_all_workers_and_both_directions() {
    let mut config = config();
    config.limits.room_bytes_per_second = 3 * MB;
    let one = World::with(config.clone());
    let two = one.sibling(config, 2);
    let mut worlds = [one, two];
    let senders = [Sender::of(&mut worlds[0], "a", |_| ()), Sender::of(&mut worlds[1], "b", |_| ())];
    let passed = offer(&mut worlds, &senders, 5);
    near(passed.iter().map(|(up, down)| up + down).sum(), 15 * MB);
    assert!(worlds[1].relay.counters().dropped(DropReason::RoomRate) > 0);
}

#[test]
fn a_room_that_is_told_a_rate_has_it_on_all_workers() {
    let one = World::new();
    let two = one.sibling(config(), 2);
    let mut worlds = [one, two];
    let senders = [Sender::of(&mut worlds[0], "a", |_| ()), Sender::of(&mut worlds[1], "b", |_| ())];
    let order = RoomLimits {
        room: "kitchen".parse().expect("an id"),
        bytes_per_second: Some(3 * MB),
        until: UNIX.plus(3_600),
    };
    worlds[0].meters.limit_room(order, UNIX);
    let passed = offer(&mut worlds, &senders, 5);
    near(passed.iter().map(|(up, down)| up + down).sum(), 15 * MB);
}

#[test]
fn a_full_node_shares_what_it_has_between_rooms_on_all_workers() {
    let mut config = config();
    config.limits.node_bytes_per_second = 4 * MB;
    let one = World::with(config.clone());
    let two = one.sibling(config, 2);
    let mut worlds = [one, two];
    let cellar = |claims: &mut causeway_protocol::token::TurnClaims| {
        claims.room = "cellar".parse().expect("an id");
    };
    let senders = [Sender::of(&mut worlds[0], "a", |_| ()), Sender::of(&mut worlds[1], "b", cellar)];
    // The first pass learns who wants how much.
    offer(&mut worlds, &senders, 1);
    let passed = offer(&mut worlds, &senders, 5);
    near(passed[0].0 + passed[0].1, 10 * MB);
    near(passed[1].0 + passed[1].1, 10 * MB);
    assert!(worlds[0].relay.counters().dropped(DropReason::NodeShare) > 0);
}

#[test]
fn what_a_rate_holds_back_is_not_taken_from_the_budget() {
    let mut worlds = [World::new()];
    let senders = [Sender::of(&mut worlds[0], "a", |claims| {
        claims.bps = Some(MB);
        claims.bytes = Some(20 * MB);
    })];
    let passed = offer(&mut worlds, &senders, 5);
    near(passed[0].0 + passed[0].1, 10 * MB);
    assert_eq!(worlds[0].end_reasons(), []);
}

/// Bytes per second of each sender and direction that want to pass.
const OFFERED: u64 = 4 * MB;

struct Sender {
    client: Client,
    relayed: SocketAddr,
}

impl Sender {
    fn of(
        world: &mut World,
        name: &str,
        change: impl FnOnce(&mut causeway_protocol::token::TurnClaims),
    ) -> Self {
        let credential = room_credential(|claims| {
            claims.sub = name.parse().expect("an id");
            claims.jti = format!("jti-{name}").parse().expect("an id");
            change(claims);
        });
        let mut client =
            Client::with(&credential, &format!("1.1.1.1:{}", 1000 + u16::from(name.as_bytes()[0])));
        let relayed = client.allocate(world);
        client.bind(world, 0x4000, PEER);
        Self { client, relayed }
    }
}

/// Everybody sends and receives [`OFFERED`] in batches of 5 ms for some seconds; what passed, up and down.
fn offer(worlds: &mut [World], senders: &[Sender], seconds: u64) -> Vec<(u64, u64)> {
    const DATAGRAM: usize = 1_000;
    let (up, down) = (channel_data(0x4000, &[7; DATAGRAM]), vec![7; DATAGRAM]);
    let mut passed = vec![(0, 0); senders.len()];
    for batch in 0..seconds * 200 {
        for (sender, passed) in senders.iter().zip(&mut passed) {
            let world = worlds
                .iter_mut()
                .find(|world| world.bound.values().any(|bound| *bound == sender.relayed))
                .expect("the sender's worker");
            for _ in 0..OFFERED / 200 / DATAGRAM as u64 {
                if let Verdict::ToPeer { .. } = world.client_sends(sender.client.address, &up) {
                    passed.0 += DATAGRAM as u64;
                }
                if let Verdict::ToClient { .. } = world.peer_sends(sender.relayed, PEER, &down) {
                    passed.1 += DATAGRAM as u64;
                }
            }
        }
        for world in &mut *worlds {
            world.now = world.now.plus(Duration::from_millis(5));
        }
        if batch % 20 == 19 {
            worlds[0].meters.share(worlds[0].now);
        }
    }
    passed
}

#[track_caller]
fn near(passed: u64, expected: u64) {
    let off = passed.abs_diff(expected) as f64 / expected as f64;
    assert!(off < 0.03, "{passed} bytes instead of {expected}, {:.1} % off", off * 100.0);
}
