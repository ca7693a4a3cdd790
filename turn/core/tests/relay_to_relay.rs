//! Data between two relayed addresses of one process passes without the kernel, under the rules and on the books of both.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::net::SocketAddr;

use causeway_protocol::token::PeerPolicy;
use causeway_stun::attributes::{Data, XorPeerAddress};
use causeway_stun::{Message, Method};
use causeway_turn_core::*;
use common::*;
use proptest::prelude::*;

const NUMBER: u16 = 0x4000;

#[test]
fn data_reaches_the_other_client_at_once_and_names_the_senders_relayed_address() {
    let mut pair = Pair::new();
    let up = channel_data(NUMBER, b"hi");
    let verdict = pair.world.client_sends(pair.alice.address, &up);
    let (to, bytes) = sent_to_client(verdict, &up);
    assert_eq!((to, indication(&bytes)), (pair.bob.address, (pair.at_alice, b"hi".to_vec())));

    let up = pair.bob.send_indication(&pair.at_alice.to_string(), b"ho");
    let verdict = pair.world.client_sends(pair.bob.address, &up);
    assert_eq!(sent_to_client(verdict, &up), (pair.alice.address, channel_data(NUMBER, b"ho")));
    assert_eq!(pair.between(), 2);
}

#[test]
fn both_allocations_count_what_went_from_one_to_the_other() {
    let mut pair = Pair::new();
    pair.alice_sends(b"12345");
    let relayed = pair.world.relay.counters().relayed;
    assert_eq!((relayed.sent, relayed.received), (traffic(1, 5), traffic(1, 5)));
    let [alice, bob] = pair.end();
    assert_eq!((alice.sent, alice.received), (traffic(1, 5), Traffic::default()));
    assert_eq!((bob.sent, bob.received), (Traffic::default(), traffic(1, 5)));
}

#[test]
fn a_receiver_without_a_permission_loses_what_the_sender_has_sent() {
    let mut world = World::new();
    let (mut alice, _) = world.allocated("1.1.1.1:1000");
    let (bob, at_bob) = world.allocated("2.2.2.2:2000");
    assert_eq!(alice.bind(&mut world, NUMBER, &at_bob.to_string()), 0);
    let verdict = world.client_sends(alice.address, &channel_data(NUMBER, b"hi"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoPermission));
    let counters = world.relay.counters();
    assert_eq!((counters.relayed.sent, counters.relayed.received), (traffic(1, 2), Traffic::default()));
    assert_eq!(counters.dropped(DropReason::NoPermission), 1);
    assert_eq!(counters.between(Between::Worker), 1);
    let [alice, bob] = ends(&mut world, [alice, bob]);
    assert_eq!((alice.sent, total(alice)), (traffic(1, 2), 0));
    assert_eq!(bob.lost[Loss::NoPermission.index()], 1);
}

#[test]
fn a_sender_without_a_permission_sends_nothing() {
    let mut world = World::new();
    let (alice, at_alice) = world.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = world.allocated("2.2.2.2:2000");
    assert_eq!(bob.permit(&mut world, &at_alice.to_string()), 0);
    let verdict = world.client_sends(alice.address, &send_indication(&at_bob.to_string(), b"hi", &[]));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoPermission));
    assert_eq!(world.relay.counters().between(Between::Worker), 0);
    let [alice, bob] = ends(&mut world, [alice, bob]);
    assert_eq!((alice.lost[Loss::NoPermission.index()], total(bob)), (1, 0));
}

#[test]
fn what_the_receiver_may_not_take_as_fast_is_its_loss() {
    let mut world = World::new();
    let slow = room_credential(|claims| claims.bps = Some(8_000));
    let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
    let mut bob = Client::with(&slow, "2.2.2.2:2000");
    let at_bob = bob.allocate(&mut world);
    assert_eq!(alice.bind(&mut world, NUMBER, &at_bob.to_string()), 0);
    assert_eq!(bob.permit(&mut world, &at_alice.to_string()), 0);
    let up = channel_data(NUMBER, &[7; 1000]);
    let verdicts: Vec<Verdict> = (0..100).map(|_| world.client_sends(alice.address, &up)).collect();
    assert_eq!(verdicts.last(), Some(&Verdict::Dropped(DropReason::AllocationRate)));
    let passed = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::ToClient { .. })).count() as u64;
    assert!(passed > 0);
    let [alice, bob] = ends(&mut world, [alice, bob]);
    assert_eq!((alice.sent.packets, bob.received.packets), (100, passed));
    assert_eq!(u64::from(bob.lost[Loss::AllocationRate.index()]), 100 - passed);
}

#[test]
fn a_receiver_whose_budget_is_spent_ends_and_the_sender_goes_on() {
    let mut world = World::new();
    let poor = room_credential(|claims| claims.bytes = Some(10));
    let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
    let mut bob = Client::with(&poor, "2.2.2.2:2000");
    let at_bob = bob.allocate(&mut world);
    assert_eq!(alice.bind(&mut world, NUMBER, &at_bob.to_string()), 0);
    assert_eq!(bob.permit(&mut world, &at_alice.to_string()), 0);
    let up = channel_data(NUMBER, b"12345678");
    assert!(matches!(world.client_sends(alice.address, &up), Verdict::ToClient { .. }));
    let spent = Verdict::Dropped(DropReason::BudgetSpent);
    assert_eq!(world.client_sends(alice.address, &up), spent);
    assert_eq!(world.end_reasons(), [EndReason::BudgetSpent]);
    let gone = Verdict::Dropped(DropReason::NotALiveRelay);
    assert_eq!(world.client_sends(alice.address, &up), gone);
    assert_eq!(world.relay.counters().allocations, 1);
}

#[test]
fn an_expired_receiver_gets_nothing_even_if_the_timer_is_late() {
    let mut pair = Pair::new();
    pair.world.pass_without_timers(550);
    pair.refresh_alice();
    pair.world.pass_without_timers(60);
    let verdict = pair.alice_sends(b"x");
    assert_eq!(verdict, Verdict::Dropped(DropReason::AllocationExpired));
    assert_eq!(pair.between(), 1, "it arrived at an address that is not freed yet");
    pair.world.pass(0);
    assert_eq!(pair.alice_sends(b"x"), Verdict::Dropped(DropReason::NotALiveRelay));
    assert_eq!(pair.between(), 1);
}

#[test]
fn an_expired_permission_of_the_receiver_counts_as_it_does_through_a_socket() {
    let mut pair = Pair::new();
    pair.world.pass_without_timers(290);
    pair.refresh_alice();
    pair.world.pass_without_timers(20);
    assert_eq!(pair.alice_sends(b"x"), Verdict::Dropped(DropReason::PermissionExpired));
}

#[test]
fn a_client_may_send_to_its_own_relayed_address() {
    let mut world = World::new();
    let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
    assert_eq!(alice.bind(&mut world, NUMBER, &at_alice.to_string()), 0);
    let up = channel_data(NUMBER, b"echo");
    let verdict = world.client_sends(alice.address, &up);
    assert_eq!(sent_to_client(verdict, &up), (alice.address, up));
    let [alice] = ends(&mut world, [alice]);
    assert_eq!((alice.sent, alice.received), (traffic(1, 4), traffic(1, 4)));
}

#[test]
fn an_allocation_of_both_families_has_both_ways() {
    let mut world = World::new();
    let mut clients = ["1.1.1.1:1000", "2.2.2.2:2000"].map(Client::new);
    let relayed = clients.each_mut().map(|client| client.allocate_both(&mut world).relayed());
    let [alice, bob] = &mut clients;
    for (at_alice, at_bob) in relayed[0].iter().zip(&relayed[1]) {
        assert_eq!(alice.permit(&mut world, &at_bob.to_string()), 0);
        assert_eq!(bob.permit(&mut world, &at_alice.to_string()), 0);
        let up = alice.send_indication(&at_bob.to_string(), b"hi");
        let verdict = world.client_sends(alice.address, &up);
        let (to, bytes) = sent_to_client(verdict, &up);
        assert_eq!((to, indication(&bytes)), (bob.address, (*at_alice, b"hi".to_vec())));
    }
    assert_eq!(world.relay.counters().between(Between::Worker), 2);
}

#[test]
fn clients_over_every_transport_are_reached_framed_as_theirs_wants() {
    for via in [Via::Tcp(SessionId(1)), Via::Tls(SessionId(2)), Via::Dtls(SessionId(3)), Via::Udp] {
        let mut world = World::new();
        let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
        let (mut bob, at_bob) = world.allocated_via("2.2.2.2:2000", via);
        assert_eq!(alice.permit(&mut world, &at_bob.to_string()), 0);
        assert_eq!(bob.bind(&mut world, NUMBER, &at_alice.to_string()), 0);
        // RFC 8656 §14: DF says nothing where no IP is in between.
        let up = send_indication(&at_bob.to_string(), b"hello", &[&causeway_stun::attributes::DontFragment]);
        let verdict = world.client_sends(alice.address, &up);
        let (to, bytes) = sent_to_client(verdict, &up);
        let mut expected = channel_data(NUMBER, b"hello");
        if via.transport().is_stream() {
            expected.extend([0; 3]);
        }
        assert_eq!((to, bytes), (bob.address, expected));
    }
}

#[test]
fn a_client_that_is_away_loses_what_comes() {
    let config = RelayConfig { mobility: Mobility::Allowed, ..config() };
    let mut world = World::with(config);
    let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
    let mut bob = Client::via("2.2.2.2:2000", Via::Tcp(SessionId(1)));
    let ticket = causeway_stun::attributes::MobilityTicket(b"");
    let at_bob = bob.ask(&mut world, Method::Allocate, &[UDP, &ticket]).relayed()[0];
    assert_eq!(alice.bind(&mut world, NUMBER, &at_bob.to_string()), 0);
    assert_eq!(bob.permit(&mut world, &at_alice.to_string()), 0);
    world.relay.on_session_closed(bob.address);
    let verdict = world.client_sends(alice.address, &channel_data(NUMBER, b"x"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::ClientAway));
}

#[test]
fn a_rooms_clients_reach_each_other_and_no_other_rooms() {
    let mut world = World::new();
    let credential = |room: &str| {
        room_credential(|claims| {
            (claims.room, claims.peers) = (room.parse().unwrap(), PeerPolicy::Room);
            claims.jti = room.parse().unwrap();
        })
    };
    let mut clients = [("kitchen", "1.1.1.1:1"), ("kitchen", "1.1.1.2:1"), ("garden", "1.1.1.3:1")]
        .map(|(room, source)| Client::with(&credential(room), source));
    let [alice, bob, carol] = clients.each_mut().map(|client| client.allocate(&mut world));
    let kitchen = RoomPeers {
        room: "kitchen".parse().unwrap(),
        relayed: vec![alice, bob],
        observed: vec!["1.1.1.3".parse().unwrap()],
    };
    world.control(Control::RoomPeers(kitchen));
    let garden = RoomPeers { room: "garden".parse().unwrap(), relayed: vec![alice, carol], observed: vec![] };
    world.control(Control::RoomPeers(garden));
    let [at_alice, at_bob, at_carol] = [alice, bob, carol].map(|address| address.to_string());
    let [alice, bob, carol] = &mut clients;
    for (client, peer) in [(&mut *alice, &at_bob), (&mut *bob, &at_alice), (&mut *carol, &at_alice)] {
        assert_eq!(client.permit(&mut world, peer), 0);
    }
    let verdict = world.client_sends(alice.address, &send_indication(&at_bob, b"x", &[]));
    assert!(matches!(verdict, Verdict::ToClient { to, .. } if to == bob.address));
    let verdict = world.client_sends(alice.address, &send_indication(&at_carol, b"x", &[]));
    assert_eq!(verdict, Verdict::Dropped(DropReason::OutsideRoom), "the sender may not");
    let verdict = world.client_sends(carol.address, &send_indication(&at_alice, b"x", &[]));
    assert_eq!(verdict, Verdict::Dropped(DropReason::OutsideRoom), "the receiver may not");
    assert_eq!(world.relay.counters().between(Between::Worker), 2);
}

#[test]
fn what_no_datagram_can_carry_is_left_to_the_kernel_to_refuse() {
    let mut world = World::new();
    let (mut alice, _) = world.allocated_via("1.1.1.1:1000", Via::Tcp(SessionId(1)));
    let (_, at_bob) = world.allocated("2.2.2.2:2000");
    assert_eq!(alice.bind(&mut world, NUMBER, &at_bob.to_string()), 0);
    let verdict = world.client_sends(alice.address, &channel_data(NUMBER, &[7; 65_508]));
    assert!(matches!(verdict, Verdict::ToPeer { .. }));
    let verdict = world.client_sends(alice.address, &channel_data(NUMBER, &[7; 65_507]));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoPermission));
}

#[test]
fn on_another_worker_the_data_waits_for_the_relay_that_has_the_address() {
    let mut first = World::new();
    let mut second = first.sibling(worker(1), 2);
    let (mut alice, at_alice) = first.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = second.allocated("2.2.2.2:2000");
    assert_eq!(alice.bind(&mut first, NUMBER, &at_bob.to_string()), 0);
    assert_eq!(bob.permit(&mut second, &at_alice.to_string()), 0);
    let up = channel_data(NUMBER, b"hi");
    let verdict = first.client_sends(alice.address, &up);
    let (to, from, data) = sent_to_relay(verdict, &up);
    assert_eq!((to.worker().number(), to.address().socket(), from.socket()), (1, at_bob, at_alice));
    assert_eq!(first.relay.counters().relayed.sent, traffic(1, 2));
    let verdict = second.relay_sends(to, from, &data);
    let (client, bytes) = sent_to_client(verdict, &data);
    assert_eq!((client, indication(&bytes)), (bob.address, (at_alice, b"hi".to_vec())));
    assert_eq!(second.relay.counters().relayed.received, traffic(1, 2));
    assert_eq!(second.relay.counters().between(Between::OtherWorker), 1);
    assert_eq!(first.relay.counters().between(Between::OtherWorker), 0, "it is counted where it arrives");
}

#[test]
fn what_was_on_its_way_to_an_allocation_that_ended_reaches_nobody() {
    let mut config = worker(1);
    config.relay_ports = 50_000..=50_000;
    let mut first = World::new();
    let mut second = first.sibling(config, 2);
    let (mut alice, at_alice) = first.allocated("1.1.1.1:1000");
    let (mut bob, at_bob) = second.allocated("2.2.2.2:2000");
    assert_eq!(alice.bind(&mut first, NUMBER, &at_bob.to_string()), 0);
    let up = channel_data(NUMBER, b"hi");
    let verdict = first.client_sends(alice.address, &up);
    let (to, from, data) = sent_to_relay(verdict, &up);
    let nobody = Verdict::Dropped(DropReason::UnknownRelayPort);
    bob.refresh(&mut second, 0);
    assert_eq!(second.relay_sends(to, from, &data), nobody);
    // The same address in the same slot, and somebody who would take it.
    let (mut carol, at_carol) = second.allocated("3.3.3.3:3000");
    assert_eq!((at_carol, carol.permit(&mut second, &at_alice.to_string())), (at_bob, 0));
    assert_eq!(second.relay_sends(to, from, &data), nobody);
    assert_eq!(second.relay.counters().between(Between::OtherWorker), 0);
    let verdict = first.client_sends(alice.address, &up);
    let (to, from, data) = sent_to_relay(verdict, &up);
    assert_eq!(sent_to_client(second.relay_sends(to, from, &data), &data).0, carol.address);
}

#[test]
fn no_worker_takes_what_is_for_another() {
    let mut first = World::new();
    let mut second = first.sibling(worker(1), 2);
    let (mut alice, _) = first.allocated("1.1.1.1:1000");
    let (_, at_bob) = second.allocated("2.2.2.2:2000");
    assert_eq!(alice.bind(&mut first, NUMBER, &at_bob.to_string()), 0);
    let up = channel_data(NUMBER, b"hi");
    let verdict = first.client_sends(alice.address, &up);
    let (to, from, data) = sent_to_relay(verdict, &up);
    assert_eq!(first.relay_sends(to, from, &data), Verdict::Dropped(DropReason::UnknownRelayPort));
    assert_eq!(first.relay.counters().between(Between::OtherWorker), 0);
}

#[test]
fn a_port_that_is_only_reserved_is_nobodys() {
    let mut world = World::new();
    let (mut alice, _) = world.allocated("1.1.1.1:1000");
    let mut bob = Client::new("2.2.2.2:2000");
    let even = causeway_stun::attributes::EvenPort { reserve_next: true };
    let at_bob = bob.ask(&mut world, Method::Allocate, &[UDP, &even]).relayed()[0];
    let next = SocketAddr::new(at_bob.ip(), at_bob.port() + 1);
    assert_eq!(alice.permit(&mut world, &next.to_string()), 0);
    let verdict = world.client_sends(alice.address, &send_indication(&next.to_string(), b"x", &[]));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NotALiveRelay));
}

/// What one of two clients does next.
#[derive(Clone, Copy, Debug)]
enum Step {
    Allocate,
    Refresh { seconds: u32 },
    Permit,
    Bind { number: u16 },
    SendTo { length: usize },
    SendOn { number: u16, length: usize },
    Pass { seconds: u64, timers: bool },
}

/// How data gets from the one's relayed address to the other's.
#[derive(Clone, Copy, Debug)]
enum How {
    /// One worker has both.
    Worker,
    /// Each has a worker.
    OtherWorker,
    /// Through sockets, as if the node knew nothing of the other's address.
    Kernel,
}

/// The two clients, with a world for each worker.
struct Stage {
    how: How,
    worlds: Vec<World>,
    clients: [Client; 2],
    relayed: [SocketAddr; 2],
}

impl Stage {
    fn new(how: How) -> Self {
        let config = |number| {
            let mut config = worker(number);
            config.limits.allocation_bytes_per_second = 2_000;
            config
        };
        let first = World::with(config(0));
        let worlds = match how {
            How::Worker => vec![first],
            How::OtherWorker | How::Kernel => {
                let second = first.sibling(config(1), 2);
                vec![first, second]
            }
        };
        let limited = room_credential(|claims| claims.bytes = Some(5_000));
        let clients = [Client::new("1.1.1.1:1000"), Client::with(&limited, "2.2.2.2:2000")];
        let nowhere = "51.0.0.1:9".parse().unwrap();
        Self { how, worlds, clients, relayed: [nowhere; 2] }
    }

    /// What the client sees of it, with the relayed addresses by the number of their client.
    fn play(&mut self, who: usize, step: Step) -> String {
        let other = self.relayed[1 - who].to_string();
        let last = self.worlds.len() - 1;
        let (world, client) = (&mut self.worlds[who.min(last)], &mut self.clients[who]);
        if !matches!(step, Step::Pass { .. } | Step::SendTo { .. } | Step::SendOn { .. }) {
            client.learn_nonce_again(world);
        }
        match step {
            Step::Allocate => {
                let answer = client.ask(world, Method::Allocate, &[UDP]);
                if answer.code() == 0 {
                    self.relayed[who] = answer.relayed()[0];
                }
                answer.code().to_string()
            }
            Step::Refresh { seconds } => client.refresh(world, seconds).code().to_string(),
            Step::Permit => client.permit(world, &other).to_string(),
            Step::Bind { number } => client.bind(world, number, &other).to_string(),
            Step::SendTo { length } => self.send(who, &send_indication(&other, &vec![7; length], &[])),
            Step::SendOn { number, length } => self.send(who, &channel_data(number, &vec![7; length])),
            Step::Pass { seconds, timers } => {
                for world in &mut self.worlds {
                    match timers {
                        true => world.pass(seconds),
                        false => world.pass_without_timers(seconds),
                    }
                }
                String::new()
            }
        }
    }

    fn send(&mut self, who: usize, datagram: &[u8]) -> String {
        let last = self.worlds.len() - 1;
        let address = self.clients[who].address;
        let verdict = self.worlds[who.min(last)].client_sends(address, datagram);
        let (verdict, data) = match (verdict, self.how) {
            (Verdict::ToRelay { to, from, payload }, How::OtherWorker) => {
                let data = payload.of(datagram).to_vec();
                (self.worlds[(1 - who).min(last)].relay_sends(to, from, &data), data)
            }
            (Verdict::ToRelay { to, from, payload }, How::Kernel) => {
                let data = payload.of(datagram).to_vec();
                let (to, from) = (to.address().socket(), from.socket().to_string());
                (self.worlds[(1 - who).min(last)].peer_sends(to, &from, &data), data)
            }
            (verdict, _) => (verdict, datagram.to_vec()),
        };
        match verdict {
            Verdict::ToClient { .. } => {
                let (to, bytes) = sent_to_client(verdict, &data);
                match Message::decode(&bytes) {
                    Ok(_) => {
                        let (from, data) = indication(&bytes);
                        let from = self.relayed.iter().position(|relayed| *relayed == from);
                        format!("{to:?} hears {} bytes from {from:?}", data.len())
                    }
                    Err(_) => format!("{to:?} hears {:?} and {} bytes", &bytes[..4], bytes.len()),
                }
            }
            verdict => format!("{verdict:?}"),
        }
    }

    /// Everything that was counted, wherever.
    fn counted(&self) -> (Usage, Vec<u64>, Vec<Vec<Usage>>) {
        let mut relayed = Usage::default();
        let mut dropped = vec![0; DropReason::ALL.len()];
        for counters in self.worlds.iter().map(|world| world.relay.counters()) {
            for (sum, part) in [
                (&mut relayed.sent, counters.relayed.sent),
                (&mut relayed.received, counters.relayed.received),
            ] {
                sum.packets += part.packets;
                sum.bytes += part.bytes;
            }
            for (sum, part) in dropped.iter_mut().zip(&counters.dropped) {
                *sum += part;
            }
        }
        let events = || self.worlds.iter().flat_map(|world| &world.events);
        let ended = |limited| {
            let usage = events().filter_map(move |event| match event {
                Event::AllocationEnded { subject, usage, .. } => {
                    (matches!(subject, Subject::RoomPeer { .. }) == limited).then_some(*usage)
                }
                _ => None,
            });
            usage.collect()
        };
        (relayed, dropped, vec![ended(false), ended(true)])
    }
}

fn step() -> impl Strategy<Value = Step> {
    let number = || NUMBER..NUMBER + 2;
    let length = || prop::sample::select(vec![0usize, 1, 100, 1200]);
    prop_oneof![
        3 => Just(Step::Allocate),
        1 => prop::sample::select(vec![0u32, 600]).prop_map(|seconds| Step::Refresh { seconds }),
        4 => Just(Step::Permit),
        4 => number().prop_map(|number| Step::Bind { number }),
        6 => length().prop_map(|length| Step::SendTo { length }),
        6 => (number(), length()).prop_map(|(number, length)| Step::SendOn { number, length }),
        2 => (prop::sample::select(vec![0u64, 1, 299, 301, 599]), any::<bool>())
            .prop_map(|(seconds, timers)| Step::Pass { seconds, timers }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nobody_can_tell_which_way_the_data_went(steps in prop::collection::vec((0usize..2, step()), 1..60)) {
        let mut stages = [How::Kernel, How::Worker, How::OtherWorker].map(Stage::new);
        for (number, (who, step)) in steps.iter().enumerate() {
            let [kernel, worker, other] = stages.each_mut().map(|stage| stage.play(*who, *step));
            prop_assert_eq!(&kernel, &worker, "step {}: {:?}", number, step);
            prop_assert_eq!(&kernel, &other, "step {}: {:?}", number, step);
        }
        for stage in &mut stages {
            for world in &mut stage.worlds {
                world.pass(4_000);
            }
        }
        let [kernel, worker, other] = stages.each_ref().map(Stage::counted);
        prop_assert_eq!(&kernel, &worker);
        prop_assert_eq!(&kernel, &other);
    }
}

fn worker(number: u16) -> RelayConfig {
    RelayConfig { worker: WorkerNumber::new(number).unwrap(), ..config() }
}

/// Two clients of one relay. Alice has a channel to Bob, Bob a permission for Alice.
struct Pair {
    world: World,
    alice: Client,
    bob: Client,
    at_alice: SocketAddr,
    at_bob: SocketAddr,
}

impl Pair {
    fn new() -> Self {
        let mut world = World::new();
        let (mut alice, at_alice) = world.allocated("1.1.1.1:1000");
        let (mut bob, at_bob) = world.allocated("2.2.2.2:2000");
        assert_eq!(alice.bind(&mut world, NUMBER, &at_bob.to_string()), 0);
        assert_eq!(bob.permit(&mut world, &at_alice.to_string()), 0);
        Self { world, alice, bob, at_alice, at_bob }
    }

    fn alice_sends(&mut self, data: &[u8]) -> Verdict {
        self.world.client_sends(self.alice.address, &channel_data(NUMBER, data))
    }

    /// Alice stays, with all that she needs to send.
    fn refresh_alice(&mut self) {
        assert_eq!(self.alice.refresh(&mut self.world, 600).code(), 0);
        assert_eq!(self.alice.bind(&mut self.world, NUMBER, &self.at_bob.to_string()), 0);
    }

    fn between(&self) -> u64 {
        self.world.relay.counters().between(Between::Worker)
    }

    fn end(mut self) -> [Usage; 2] {
        ends(&mut self.world, [self.alice, self.bob])
    }
}

/// What each client's allocation has counted in its life, which ends with this.
fn ends<const N: usize>(world: &mut World, clients: [Client; N]) -> [Usage; N] {
    clients.map(|mut client| {
        client.refresh(world, 0);
        match world.events.iter().rev().find(|event| matches!(event, Event::AllocationEnded { .. })) {
            Some(Event::AllocationEnded { usage, .. }) => *usage,
            other => panic!("{other:?}"),
        }
    })
}

fn total(usage: Usage) -> u32 {
    usage.lost.iter().sum()
}

const fn traffic(packets: u64, bytes: u64) -> Traffic {
    Traffic { packets, bytes }
}

/// Whom a Data indication is from, and what it says.
fn indication(bytes: &[u8]) -> (SocketAddr, Vec<u8>) {
    let message = Message::decode(bytes).unwrap();
    let XorPeerAddress(from) = message.get().unwrap().unwrap();
    let Data(data) = message.get().unwrap().unwrap();
    (from, data.to_vec())
}
