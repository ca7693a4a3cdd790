//! What 50,000 allocations cost a node besides their data: the second's reports, the pass that shares bandwidth, memory.
#![allow(clippy::disallowed_methods, reason = "to read the clock is what a benchmark is for")]
#![allow(clippy::unwrap_used, reason = "a benchmark's input is its own")]
#![allow(missing_docs, reason = "nothing here is public")]

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use causeway_turn_core::Meters;
use common::{Client, PEER, World, channel_data, config, room_credential};

const ALLOCATIONS: u32 = 50_000;
const ROUNDS: usize = 21;

fn main() {
    let mut world = full_node();
    let mut clients = Vec::with_capacity(ALLOCATIONS as usize);
    let idle = grown(&mut world, |world| {
        clients.extend((0..ALLOCATIONS).map(client));
        let clients_alone = resident();
        for client in &mut clients {
            client.allocate(world);
            // What the test's client remembers is not the relay's.
            client.nonce = Vec::new();
        }
        clients_alone
    });
    let active = grown(&mut world, |world| {
        let before = resident();
        for client in &mut clients {
            client.bind(world, 0x4000, PEER);
            client.nonce = Vec::new();
        }
        before
    });
    println!("memory of one idle allocation, its room included: {idle} B");
    println!("memory of one allocation with a channel: {} B", idle + active);

    let data = channel_data(0x4000, &[7; 1_000]);
    let (mut reports, mut shares) = (vec![], vec![]);
    for _ in 0..ROUNDS {
        for client in &clients {
            world.client_sends(client.address, &data);
        }
        world.now = world.now.plus(Duration::from_secs(1));
        let begin = Instant::now();
        world.meters.share(world.now);
        shares.push(begin.elapsed());
        let (spent, longest) = report(&mut world);
        reports.push((spent, longest));
    }
    shares.sort();
    reports.sort();
    println!("a pass of Meters::share over {ALLOCATIONS} groups, median: {:?}", shares[ROUNDS / 2]);
    let (spent, _) = reports[ROUNDS / 2];
    let longest = reports.iter().map(|(_, longest)| longest).max().unwrap();
    println!("the reports of {ALLOCATIONS} active allocations, median: {spent:?}; longest turn: {longest:?}");
    println!("groups are shared every {:?}, reports are made every second", Meters::SHARE_EVERY);
}

/// Reports until none is due: how long all turns took, and the longest one.
fn report(world: &mut World) -> (Duration, Duration) {
    let (mut spent, mut longest) = (Duration::ZERO, Duration::ZERO);
    let mut told = 0;
    while told < ALLOCATIONS as usize {
        let begin = Instant::now();
        world.relay.on_timeout(world.now);
        while let Some(action) = world.relay.poll_action() {
            drop(action);
            told += 1;
        }
        let turn = begin.elapsed();
        spent += turn;
        longest = longest.max(turn);
    }
    (spent, longest)
}

/// How many bytes an allocation took; `work` says how many there were when it began. The test shell's own do not count.
fn grown(world: &mut World, work: impl FnOnce(&mut World) -> usize) -> usize {
    let before = work(world);
    world.events = Vec::new();
    world.bound.clear();
    world.bound.shrink_to_fit();
    resident().saturating_sub(before) / ALLOCATIONS as usize
}

/// Bytes of this process in memory.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

/// A node whose bandwidth is limited, so that there is something to share.
fn full_node() -> World {
    let mut config = config();
    config.relay_ports = 1_024..=65_535;
    config.limits.allocations = ALLOCATIONS as usize;
    config.limits.allocations_per_source = 0;
    config.limits.node_bytes_per_second = 1_000_000_000;
    World::with(config)
}

/// A client with an address and a room of its own.
fn client(number: u32) -> Client {
    let credential = room_credential(|claims| {
        claims.room = format!("room{number}").parse().unwrap();
        claims.jti = format!("jti{number}").parse().unwrap();
    });
    let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(11, 0, 0, 0)) + number);
    Client::with(&credential, &SocketAddr::from((address, 1_000)).to_string())
}
