//! What an operator changes while the relay runs.

mod common;

use std::time::Duration;

use causeway_stun::Method;
use causeway_turn_core::*;
use common::*;

#[test]
fn a_user_who_was_removed_loses_the_allocation_and_gets_no_other() {
    let mut world = World::new();
    let mut alice = Client::new("1.1.1.1:1000");
    let mut bob = Client::of("bob", "hush", "1.1.1.1:1001");
    let relayed = alice.allocate(&mut world);
    bob.allocate(&mut world);
    reconfigure(&mut world, |live| live.users.retain(|user| user.name == "bob"));
    assert_eq!(world.unbound, [relayed]);
    assert_eq!(world.end_reasons(), [EndReason::Revoked]);
    assert_eq!(alice.ask(&mut world, Method::Refresh, &[]).code(), 401);
    assert_eq!(alice.ask(&mut world, Method::Allocate, &[UDP]).code(), 401);
    assert_eq!(bob.ask(&mut world, Method::Refresh, &[]).code(), 0);
}

#[test]
fn a_new_password_ends_what_the_old_one_opened() {
    let mut world = World::new();
    Client::new("1.1.1.1:1000").allocate(&mut world);
    let renewed = StaticUser { name: "alice".to_owned(), password: "renewed".to_owned() };
    reconfigure(&mut world, |live| live.users = vec![renewed]);
    assert_eq!(world.end_reasons(), [EndReason::Revoked]);
    Client::of("alice", "renewed", "1.1.1.1:1000").allocate(&mut world);
}

#[test]
fn a_user_who_was_added_is_served() {
    let mut world = World::new();
    let carol = StaticUser { name: "carol".to_owned(), password: "new".to_owned() };
    reconfigure(&mut world, |live| live.users.push(carol));
    Client::of("carol", "new", "1.1.1.1:1000").allocate(&mut world);
}

#[test]
fn a_rest_secret_that_is_gone_ends_what_it_signed_even_after_its_expiry_and_no_more() {
    let mut world = World::new();
    let username = format!("{}:dave", UNIX.plus(30).0);
    for (secret, source) in [("old secret", "1.1.1.1:1000"), (REST_SECRET, "1.1.1.1:1001")] {
        Client::of(&username, &rest_password(secret, &username), source).allocate(&mut world);
    }
    world.pass_without_timers(31);
    reconfigure(&mut world, |live| live.rest_secrets = vec![RestSecret::new(REST_SECRET)]);
    assert_eq!(world.end_reasons(), [EndReason::Revoked]);
}

#[test]
fn room_credentials_are_none_of_its_business() {
    let mut world = World::new();
    let mut client = Client::with(&room_credential(|_| ()), "1.1.1.1:1000");
    client.allocate(&mut world);
    reconfigure(&mut world, |live| {
        live.users.clear();
        live.rest_secrets.clear();
    });
    assert_eq!(world.end_reasons(), []);
    assert_eq!(client.ask(&mut world, Method::Refresh, &[]).code(), 0);
}

#[test]
fn a_request_that_waits_for_its_port_is_given_up_with_its_user() {
    let mut world = World::new();
    world.slow_binds = true;
    let mut alice = Client::new("1.1.1.1:1000");
    alice.learn_nonce(&mut world);
    let request = alice.request(Method::Allocate, &[UDP]);
    alice.exchange(&mut world, &request);
    reconfigure(&mut world, |live| live.users.clear());
    world.finish_binds();
    assert!(world.bound.is_empty() && world.replies.is_empty());
    assert_eq!(world.relay.counters().allocations, 0);
}

#[test]
fn lifetimes_and_limits_hold_from_the_next_request_on() {
    let mut world = World::new();
    let mut first = Client::new("1.1.1.1:1000");
    first.allocate(&mut world);
    reconfigure(&mut world, |live| {
        live.default_lifetime = Duration::from_secs(120);
        live.max_lifetime = Duration::from_secs(300);
        live.limits.allocations = 1;
    });
    assert_eq!(first.refresh(&mut world, 3600).lifetime(), 300);
    let mut second = Client::new("1.1.1.1:1001");
    assert_eq!(second.ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
}

/// Has the relay take over what the tests' relay began with, and `change`.
fn reconfigure(world: &mut World, change: impl FnOnce(&mut LiveConfig)) {
    let (config, Credentials { rest_secrets, users, .. }) = (config(), credentials());
    let mut live = LiveConfig {
        rest_secrets,
        users,
        default_lifetime: config.default_lifetime,
        max_lifetime: config.max_lifetime,
        limits: config.limits,
    };
    change(&mut live);
    world.control(Control::Reconfigure(Box::new(live)));
}
