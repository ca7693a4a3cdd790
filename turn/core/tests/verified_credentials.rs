//! A credential that has sealed a request once is remembered, and remembering it never lets anybody in: without its
//! password, after its end, or after a change of secrets.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::time::Duration;

use causeway_protocol::bus::{RelayOrder, Revocation};
use causeway_stun::Method;
use causeway_turn_core::*;
use common::*;

#[test]
fn a_remembered_jwt_serves_the_clients_other_5_tuples() {
    let mut world = knowing(&jwt());
    for port in 2_000..2_010 {
        assert_eq!(ask(&mut world, jwt(), port), 0);
    }
}

#[test]
fn a_remembered_username_without_its_password_is_refused() {
    for known in [jwt(), rest()] {
        let mut world = knowing(&known);
        let (username, _) = known.clone();
        assert_eq!(ask(&mut world, (username, "guess".to_owned()), 2_000), 401);
        assert_eq!(ask(&mut world, known, 2_001), 0);
    }
}

#[test]
fn the_password_of_a_remembered_token_opens_no_token_that_begins_alike() {
    let (username, password) = jwt();
    let mut world = knowing(&(username.clone(), password.clone()));
    let shorter = username.strip_suffix(|_: char| true).unwrap().to_owned();
    let end = if username.ends_with('A') { "B" } else { "A" };
    let altered = format!("{shorter}{end}");
    for forged in [shorter, altered, format!("{username}A")] {
        assert_eq!(ask(&mut world, (forged, password.clone()), 2_000), 401);
    }
}

#[test]
fn two_users_whose_tokens_begin_alike_are_two_users() {
    let mut config = config();
    config.limits.allocations_per_user = 1;
    let mut world = World::with(config);
    let of = |peer: &str| {
        let credential = room_credential(|claims| claims.sub = peer.parse().unwrap());
        (credential.username, credential.password)
    };
    assert_eq!(ask(&mut world, of("alice"), 2_000), 0);
    assert_eq!(ask(&mut world, of("bob"), 2_001), 0);
    assert_eq!(ask(&mut world, of("alice"), 2_002), 486);
    assert_eq!(ask(&mut world, of("bob"), 2_003), 486);
}

#[test]
fn a_remembered_credential_expires() {
    for known in [jwt(), rest()] {
        let mut world = knowing(&known);
        world.pass_without_timers(3_599);
        assert_eq!(ask(&mut world, known.clone(), 2_000), 0);
        world.pass_without_timers(1);
        assert_eq!(ask(&mut world, known, 2_001), 401);
    }
}

#[test]
fn a_remembered_credential_is_revoked() {
    let orders = [
        Revocation::Credential { jti: "token1".parse().unwrap() },
        Revocation::Peer { room: "kitchen".parse().unwrap(), peer: "peer1".parse().unwrap() },
        Revocation::Room { room: "kitchen".parse().unwrap() },
    ];
    for revoke in orders {
        let mut world = knowing(&jwt());
        world.control(Control::Revoke(RelayOrder { revoke, until: UNIX.plus(3_600) }));
        assert_eq!(ask(&mut world, jwt(), 2_000), 401);
    }
}

#[test]
fn a_remembered_credential_of_a_secret_that_is_gone_is_refused() {
    let mut world = knowing(&rest());
    world.control(reconfigured("south"));
    assert_eq!(ask(&mut world, rest(), 2_000), 401);
    world.control(reconfigured(REST_SECRET));
    assert_eq!(ask(&mut world, rest(), 2_001), 0);
}

#[test]
fn a_username_has_a_password_under_each_of_two_secrets() {
    let (username, password) = rest();
    let older = rest_password("old secret", &username);
    let mut world = World::new();
    for port in (2_000..2_010).step_by(2) {
        assert_eq!(ask(&mut world, (username.clone(), password.clone()), port), 0);
        assert_eq!(ask(&mut world, (username.clone(), older.clone()), port + 1), 0);
    }
}

/// A relay where this credential has allocated.
fn knowing(known: &(String, String)) -> World {
    let mut world = World::new();
    assert_eq!(ask(&mut world, known.clone(), 1_000), 0);
    world
}

/// Allocates from a port of its own, and says what was answered.
fn ask(world: &mut World, (username, password): (String, String), port: u16) -> u16 {
    let mut client = Client::of(&username, &password, &format!("1.1.1.1:{port}"));
    client.ask(world, Method::Allocate, &[UDP]).code()
}

fn jwt() -> (String, String) {
    let credential = room_credential(|_| {});
    (credential.username, credential.password)
}

fn rest() -> (String, String) {
    let username = format!("{}:carol", UNIX.plus(3_600).0);
    let password = rest_password(REST_SECRET, &username);
    (username, password)
}

fn reconfigured(rest_secret: &str) -> Control {
    Control::Reconfigure(Box::new(LiveConfig {
        rest_secrets: vec![RestSecret::new(rest_secret)],
        users: vec![],
        default_lifetime: Duration::from_secs(600),
        max_lifetime: Duration::from_secs(3_600),
        limits: Limits::default(),
    }))
}
