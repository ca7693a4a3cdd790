//! Who used how much: reported once a second for rooms, at the end for all, and held to a budget.

mod common;

use causeway_stun::Method;
use causeway_turn_core::*;
use common::*;

#[test]
fn the_usage_of_a_rooms_allocation_is_reported_once_a_second_while_it_changes() {
    let mut world = World::new();
    let mut client = Client::with(&room_credential(|_| ()), "1.1.1.1:1000");
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, PEER);
    world.events.clear();
    for _ in 0..10 {
        world.peer_sends(relayed, PEER, b"12345");
    }
    assert!(world.events.is_empty());
    let due = world.relay.poll_timeout().unwrap();
    assert_eq!(due, world.now.moment.plus(std::time::Duration::from_secs(1)));
    world.pass(1);
    let received = Traffic { packets: 10, bytes: 50 };
    assert!(matches!(
        &world.events[..],
        [Event::Usage { room, peer, usage, .. }]
            if room.as_str() == "kitchen" && peer.as_str() == "peer1"
                && *usage == Usage { received, ..Usage::default() }
    ));
    world.pass(10);
    assert_eq!(world.events.len(), 1, "what does not change is not reported");
    world.peer_sends(relayed, PEER, b"12345");
    world.pass(1);
    assert_eq!(world.events.len(), 2);
}

#[test]
fn the_usage_of_other_users_is_reported_at_the_end_only() {
    let mut world = World::new();
    let (mut client, relayed) = world.allocated("1.1.1.1:1000");
    client.permit(&mut world, PEER);
    world.peer_sends(relayed, PEER, b"12345");
    world.pass(5);
    client.refresh(&mut world, 0);
    assert!(matches!(
        &world.events[..],
        [
            Event::AllocationCreated { subject: Subject::Static(name), .. },
            Event::AllocationEnded { usage, .. }
        ] if &**name == "alice" && usage.received == Traffic { packets: 1, bytes: 5 }
    ));
}

#[test]
fn an_allocation_that_ends_before_its_report_has_its_last_word_at_the_end() {
    let mut world = World::new();
    let mut client = Client::with(&room_credential(|_| ()), "1.1.1.1:1000");
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, PEER);
    world.peer_sends(relayed, PEER, b"12345");
    client.refresh(&mut world, 0);
    // Another client gets the same place in the table and is not reported for it.
    let mut other = Client::with(&room_credential(|claims| claims.sub = "p2".parse().unwrap()), "1.1.1.1:2");
    other.allocate(&mut world);
    world.pass(2);
    let reported = world.events.iter().filter(|event| matches!(event, Event::Usage { .. })).count();
    assert_eq!(reported, 0);
}

#[test]
fn what_an_allocation_lost_is_told_by_kind_even_if_nothing_passed() {
    let mut world = World::new();
    let credential = room_credential(|claims| claims.bps = Some(0));
    let mut client = Client::with(&credential, "1.1.1.1:1000");
    let relayed = client.allocate(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    world.events.clear();
    world.client_sends(client.address, &channel_data(0x4000, b"too fast"));
    world.client_sends(client.address, &channel_data(0x4001, b"no channel"));
    world.peer_sends(relayed, "9.9.9.9:9", b"no permission");
    world.pass(1);
    let [Event::Usage { usage, .. }] = &world.events[..] else { panic!("{:?}", world.events) };
    let mut lost = [0; Loss::ALL.len()];
    for loss in [Loss::AllocationRate, Loss::NoChannel, Loss::NoPermission] {
        lost[loss.index()] = 1;
    }
    assert_eq!(*usage, Usage { lost, ..Usage::default() });
}

#[test]
fn a_byte_budget_ends_the_allocation_that_exceeds_it() {
    let mut world = World::new();
    let credential = room_credential(|claims| claims.bytes = Some(10));
    let mut client = Client::with(&credential, "1.1.1.1:1000");
    let relayed = client.allocate(&mut world);
    client.bind(&mut world, 0x4000, PEER);
    assert!(matches!(world.peer_sends(relayed, PEER, b"12345"), Verdict::ToClient { .. }));
    let up = channel_data(0x4000, b"12345");
    assert!(matches!(world.client_sends(client.address, &up), Verdict::ToPeer { .. }));
    let spent = Verdict::Dropped(DropReason::BudgetSpent);
    assert_eq!(world.client_sends(client.address, &channel_data(0x4000, b"1")), spent);
    assert_eq!(world.end_reasons(), [EndReason::BudgetSpent]);
    assert_eq!(world.unbound, [relayed]);
    // A new allocation does not begin a new budget.
    assert_eq!(client.ask(&mut world, Method::Allocate, &[UDP]).code(), 486);
}

#[test]
fn a_refused_allocate_does_not_hold_a_budget_open() {
    // As many budgets are remembered as two allocations may have; spent and held ones are not forgotten.
    let mut config = config();
    config.limits.allocations = 2;
    config.relay_ports = 50_000..=50_001;

    // No port can be bound.
    let mut world = World::with(config.clone());
    world.taken = vec![50_000, 50_001];
    for number in 0..4 {
        assert_eq!(short_lived(number).ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
    }
    world.taken.clear();
    world.pass(10);
    short_lived_until(9, 60).allocate(&mut world);

    // No port is left to try.
    config.relay_ports = 50_000..=50_000;
    let mut world = World::with(config);
    let (mut holder, _) = world.allocated("1.1.1.1:1000");
    for number in 0..4 {
        assert_eq!(short_lived(number).ask(&mut world, Method::Allocate, &[UDP]).code(), 508);
    }
    holder.refresh(&mut world, 0);
    world.pass(10);
    short_lived_until(9, 60).allocate(&mut world);
}

#[test]
fn the_speed_that_a_credential_allows_is_reported_to_who_shapes() {
    let mut world = World::new();
    let credential = room_credential(|claims| claims.bps = Some(125_000));
    Client::with(&credential, "1.1.1.1:1000").allocate(&mut world);
    assert!(matches!(&world.events[..], [Event::AllocationCreated { bytes_per_second: Some(125_000), .. }]));
}

/// A client with a budget and a credential for ten seconds.
fn short_lived(number: u16) -> Client {
    short_lived_until(number, 10)
}

fn short_lived_until(number: u16, seconds: u64) -> Client {
    let credential = room_credential(|claims| {
        claims.bytes = Some(10);
        claims.exp = UNIX.plus(seconds);
        claims.jti = format!("token{number}").parse().expect("an id");
    });
    Client::with(&credential, &format!("1.1.1.1:{}", 2000 + number))
}
