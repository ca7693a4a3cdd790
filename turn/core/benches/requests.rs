//! What a request costs the core, from the datagram to the last action: the control path without any system call.
#![allow(clippy::unwrap_used, reason = "a benchmark's input is its own")]
#![allow(missing_docs, reason = "nothing here is public")]

#[path = "../tests/common/mod.rs"]
mod common;

use causeway_protocol::token::{RoomSigningKey, TurnCredential, TurnIssuer, TurnVerifier};
use causeway_stun::Method;
use causeway_stun::attributes::Lifetime;
use causeway_turn_core::{Action, ClientAddr, Credentials, RelayConfig};
use common::*;
use divan::{Bencher, black_box};

/// More than a worker remembers, so that each is new whenever its turn comes.
const NEW: usize = 4_096;

const SIGNING_KEY: &str = "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC";

fn main() {
    divan::main();
}

#[divan::bench]
fn binding(bencher: Bencher<'_, '_>) {
    let mut world = world();
    let mut client = Client::new("1.1.1.1:1000");
    let request = client.bare_request(Method::Binding, &[]);
    bencher.bench_local(|| serve(&mut world, client.address, &request));
}

#[divan::bench]
fn allocate_of_a_stranger(bencher: Bencher<'_, '_>) {
    let mut world = world();
    let mut client = Client::new("1.1.1.1:1000");
    let request = client.bare_request(Method::Allocate, &[UDP]);
    bencher.bench_local(|| serve(&mut world, client.address, &request));
}

#[divan::bench]
fn allocate_and_release_static_user(bencher: Bencher<'_, '_>) {
    let mut world = world();
    let pair = pair(&mut world, "alice", "secret");
    bencher.bench_local(|| allocate_and_release(&mut world, &pair));
}

/// One port of the range is left.
#[divan::bench]
fn allocate_and_release_last_port(bencher: Bencher<'_, '_>) {
    let mut config = generous();
    config.relay_ports = 16_384..=65_535;
    let taken = config.relay_ports.len() - 1;
    config.limits.allocations = taken + 1;
    config.limits.allocations_per_user = u32::MAX;
    config.limits.allocations_per_source = 0;
    let mut world = World::with(config);
    for number in 0..taken {
        let source = format!("2.2.{}.{}:1000", number / 256, number % 256);
        Client::new(&source).allocate(&mut world);
    }
    let pair = pair(&mut world, "alice", "secret");
    bencher.bench_local(|| {
        serve(&mut world, pair.from, &pair.allocate);
        assert_eq!(world.relay.counters().allocations, taken as u64 + 1);
        serve(&mut world, pair.from, &pair.release);
    });
}

#[divan::bench]
fn allocate_and_release_rest(bencher: Bencher<'_, '_>) {
    let mut world = world();
    let username = format!("{}:carol", UNIX.plus(3600).0);
    let pair = pair(&mut world, &username, &rest_password(REST_SECRET, &username));
    bencher.bench_local(|| allocate_and_release(&mut world, &pair));
}

#[divan::bench]
fn allocate_and_release_jwt_known(bencher: Bencher<'_, '_>) {
    let mut world = world();
    let TurnCredential { username, password, .. } = room_credential(|_| {});
    let pair = pair(&mut world, &username, &password);
    bencher.bench_local(|| allocate_and_release(&mut world, &pair));
}

#[divan::bench]
fn allocate_and_release_jwt_new(bencher: Bencher<'_, '_>) {
    let issue = |number| room_credential(|claims| claims.jti = format!("jti{number}").parse().unwrap());
    new_each_time(bencher, world(), issue);
}

#[divan::bench]
fn allocate_and_release_jwt_eddsa_new(bencher: Bencher<'_, '_>) {
    let key = RoomSigningKey::parse(SIGNING_KEY).unwrap();
    let rooms = TurnVerifier::eddsa(&key.public(), &secret());
    let world = World::accepting(generous(), Credentials { rooms: Some(rooms), ..credentials() });
    let issuer = TurnIssuer::eddsa(&key, &secret());
    let issue = |number| {
        let mut issued = None;
        room_credential(|claims| {
            claims.jti = format!("jti{number}").parse().unwrap();
            issued = Some(issuer.issue(claims).unwrap());
        });
        issued.unwrap()
    };
    new_each_time(bencher, world, issue);
}

fn new_each_time(bencher: Bencher<'_, '_>, mut world: World, issue: impl Fn(usize) -> TurnCredential) {
    let pairs: Vec<Pair> = (0..NEW)
        .map(|number| {
            let TurnCredential { username, password, .. } = issue(number);
            pair(&mut world, &username, &password)
        })
        .collect();
    let mut turns = pairs.iter().cycle();
    bencher.bench_local(|| allocate_and_release(&mut world, turns.next().unwrap()));
}

/// An Allocate and a Refresh(0) of one client.
struct Pair {
    from: ClientAddr,
    allocate: Vec<u8>,
    release: Vec<u8>,
}

fn pair(world: &mut World, username: &str, password: &str) -> Pair {
    let mut client = Client::of(username, password, "1.1.1.1:1000");
    client.learn_nonce(world);
    let allocate = client.request(Method::Allocate, &[UDP]);
    let release = client.request(Method::Refresh, &[&Lifetime { seconds: 0 }]);
    Pair { from: client.address, allocate, release }
}

fn allocate_and_release(world: &mut World, pair: &Pair) {
    serve(world, pair.from, &pair.allocate);
    assert_eq!(world.relay.counters().allocations, 1);
    serve(world, pair.from, &pair.release);
    assert_eq!(world.relay.counters().allocations, 0);
}

/// As a shell that binds and sends in no time.
fn serve(world: &mut World, from: ClientAddr, request: &[u8]) {
    let _verdict = world.relay.on_client(world.now, from, black_box(request));
    while let Some(action) = world.relay.poll_action() {
        if let Action::Bind { ticket, .. } = action {
            world.relay.on_bound(world.now, ticket, Ok(()));
        }
        drop(black_box(action));
    }
}

fn world() -> World {
    World::with(generous())
}

/// Strangers are answered as often as they ask.
fn generous() -> RelayConfig {
    let mut config = config();
    config.strangers.answers_per_second = u32::MAX;
    config
}
