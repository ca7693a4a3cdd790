//! Settings that change while the relay runs.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use causeway_service::Hidden;
use causeway_turn::{LimitSettings, TurnSettings, UserEntry};
use common::client::Client;
use common::relay::{TestRelay, settings};
use common::until;

#[test]
fn every_worker_takes_new_users_and_forgets_the_old_ones() {
    let relay = TestRelay::start(&TurnSettings { workers: 3, ..settings() });
    let mut old: Vec<_> = (0..8).map(|_| relay.client()).collect();
    for client in &mut old {
        client.allocate();
    }
    let users = vec![UserEntry::new("bob:new")];
    reconfigure(&relay, &TurnSettings { users, workers: 3, ..settings() });
    until(|| relay.running().allocations() == 0);
    for client in &mut old {
        assert_eq!(client.refresh(600).error(), Some(401));
    }
    for _ in 0..8 {
        Client::new(relay.v4(), "bob", "new").allocate();
    }
}

#[test]
fn what_does_not_change_goes_on() {
    let relay = TestRelay::start(&settings());
    let mut client = relay.client();
    client.allocate();
    let rest_secrets = vec![Hidden::new("north")];
    reconfigure(&relay, &TurnSettings { rest_secrets, max_lifetime_seconds: 900, ..settings() });
    until(|| client.refresh(3600).expect_success().lifetime() == 900);
    assert_eq!(relay.running().allocations(), 1);
}

#[test]
fn settings_that_are_refused_change_nothing() {
    let relay = TestRelay::start(&settings());
    let limits = LimitSettings { allocations: 0, ..LimitSettings::default() };
    let bad = TurnSettings { users: vec![UserEntry::new("nocolon")], limits, ..settings() };
    let problems = now(relay.running().reconfigure(&bad)).unwrap_err();
    assert_eq!(
        problems.iter().map(|problem| problem.key).collect::<Vec<_>>(),
        ["users", "limits.allocations"]
    );
    relay.client().allocate();
}

fn reconfigure(relay: &TestRelay, settings: &TurnSettings) {
    now(relay.running().reconfigure(settings)).unwrap();
}

/// The outcome of a future that waits for nothing while the workers' queues have room.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it has to wait"),
    }
}
