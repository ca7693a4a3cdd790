//! Mobility, clause by clause of RFC 8016 §3.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::net::SocketAddr;

use causeway_stun::attributes::*;
use causeway_stun::{Encode, Method};
use causeway_turn_core::*;
use common::*;

const ASK: &dyn Encode = &MobilityTicket(&[]);
const OLD: &str = "1.1.1.1:1000";
const NEW: &str = "2.2.2.2:2000";
const NEWER: &str = "3.3.3.3:3000";

#[test]
fn s3_1_2_a_ticket_comes_to_those_who_ask() {
    let mut world = World::new();
    let answer = Client::new(OLD).ask(&mut world, Method::Allocate, &[UDP, ASK]);
    assert!(ticket(&answer).is_some());
    let answer = Client::new(NEW).ask(&mut world, Method::Allocate, &[UDP]);
    assert!(ticket(&answer).is_none());
}

#[test]
fn s3_1_2_an_allocate_request_that_brings_a_ticket_is_a_bad_request() {
    let mut world = World::new();
    let answer = Client::new(OLD).ask(&mut world, Method::Allocate, &[UDP, &MobilityTicket(&[1, 2, 3])]);
    assert_eq!(answer.code(), 400);
}

#[test]
fn s3_1_2_an_operator_can_forbid_mobility() {
    let mut world = World::with(RelayConfig { mobility: Mobility::Forbidden, ..config() });
    assert_eq!(Client::new(OLD).ask(&mut world, Method::Allocate, &[UDP, ASK]).code(), 405);
    let mut client = Client::new(OLD);
    client.allocate(&mut world);
    assert_eq!(client.ask(&mut world, Method::Refresh, &[&MobilityTicket(&[1; 54])]).code(), 405);
}

#[test]
fn s3_2_2_a_refresh_with_the_ticket_moves_the_allocation() {
    let (mut world, mut old, relayed, first) = mobile();
    old.bind(&mut world, 0x4000, PEER);
    let mut new = Client::new(NEW);
    let answer = moved(&mut world, &mut new, &first);
    assert_eq!((answer.code(), answer.lifetime()), (0, 600));
    assert!(ticket(&answer).is_some_and(|next| next != first));

    let verdict = world.peer_sends(relayed, PEER, b"hello");
    assert_eq!(sent_to_client(verdict, b"hello").0, new.address, "peers reach the new 5-tuple at once");
    let data = channel_data(0x4000, b"hello");
    let verdict = world.client_sends(new.address, &data);
    assert_eq!(sent_to_peer(verdict, &data).0, relayed, "channels and relayed address stay");
    assert_eq!(world.relay.counters().allocations, 1);
    assert_eq!(world.end_reasons(), []);
}

#[test]
fn s3_2_2_the_old_5_tuple_works_until_the_new_one_is_heard() {
    let (mut world, mut old, _, first) = mobile();
    old.bind(&mut world, 0x4000, PEER);
    let mut new = Client::new(NEW);
    moved(&mut world, &mut new, &first);
    let data = channel_data(0x4000, b"x");
    assert!(matches!(world.client_sends(old.address, &data), Verdict::ToPeer { .. }));
    assert!(matches!(world.client_sends(new.address, &data), Verdict::ToPeer { .. }));
    assert_eq!(world.client_sends(old.address, &data), Verdict::Dropped(DropReason::NoAllocation));
}

#[test]
fn s3_2_2_a_request_from_the_new_5_tuple_ends_the_old_one_too() {
    let (mut world, mut old, _, first) = mobile();
    let mut new = Client::new(NEW);
    moved(&mut world, &mut new, &first);
    assert_eq!(old.permit(&mut world, PEER), 0);
    assert_eq!(new.permit(&mut world, PEER), 0);
    assert_eq!(old.permit(&mut world, PEER), 437);
}

#[test]
fn s3_2_2_each_move_brings_a_ticket_and_voids_the_one_before() {
    let (mut world, _, _, first) = mobile();
    let second = ticket(&moved(&mut world, &mut Client::new(NEW), &first)).unwrap();
    assert_eq!(moved(&mut world, &mut Client::new(NEWER), &first).code(), 437);
    assert_eq!(moved(&mut world, &mut Client::new(NEWER), &second).code(), 0);
    assert_eq!(moved(&mut world, &mut Client::new("4.4.4.4:4000"), &second).code(), 437);
}

#[test]
fn s3_2_2_a_lost_answer_is_sent_again() {
    let (mut world, _, _, first) = mobile();
    let mut new = Client::new(NEW);
    new.learn_nonce(&mut world);
    let request = new.request(Method::Refresh, &[&MobilityTicket(&first)]);
    let answer = new.exchange(&mut world, &request).unwrap();
    assert_eq!(answer.code(), 0);
    assert_eq!(new.exchange(&mut world, &request), Some(answer));
}

#[test]
fn s3_2_2_a_ticket_from_the_same_5_tuple_refreshes_and_brings_the_next() {
    let (mut world, mut old, _, first) = mobile();
    let answer = moved(&mut world, &mut old, &first);
    assert_eq!(answer.code(), 0);
    assert_ne!(ticket(&answer).unwrap(), first);
}

#[test]
fn s3_2_2_a_forged_unknown_or_expired_ticket_is_a_mismatch() {
    let (mut world, mut old, _, first) = mobile();
    let mut forged = first.clone();
    forged[20] ^= 1;
    for wrong in [&forged[..], &first[1..], &[0; 54], &[]] {
        assert_eq!(moved(&mut world, &mut Client::new(NEW), wrong).code(), 437);
    }
    assert_eq!(old.refresh(&mut world, 0).code(), 0);
    assert_eq!(moved(&mut world, &mut Client::new(NEW), &first).code(), 437, "the allocation has ended");
    old.allocate(&mut world);
    assert_eq!(moved(&mut world, &mut Client::new(NEW), &first).code(), 437, "another one in its place");
}

#[test]
fn s3_2_2_an_expired_allocation_does_not_move_even_if_the_timer_is_late() {
    let (mut world, _, _, first) = mobile();
    world.pass_without_timers(600);
    assert_eq!(moved(&mut world, &mut Client::new(NEW), &first).code(), 437);
}

#[test]
fn s3_2_2_another_user_cannot_use_the_ticket() {
    let (mut world, _, _, first) = mobile();
    assert_eq!(moved(&mut world, &mut Client::of("bob", "hush", NEW), &first).code(), 437);
    let mut stranger = Client::new(NEW);
    let request = stranger.bare_request(Method::Refresh, &[&MobilityTicket(&first)]);
    assert_eq!(stranger.exchange(&mut world, &request).unwrap().code(), 401);
    assert_eq!(moved(&mut world, &mut Client::new(NEW), &first).code(), 0, "its own user can");
}

#[test]
fn s3_2_2_a_5_tuple_that_has_an_allocation_takes_no_other() {
    let (mut world, _, _, first) = mobile();
    let (mut other, _) = world.allocated(NEW);
    assert_eq!(moved(&mut world, &mut other, &first).code(), 437);
}

#[test]
fn s3_2_2_a_ticket_of_another_worker_is_a_mismatch() {
    let (_, _, _, first) = mobile();
    let mut other = World::with(RelayConfig { worker: WorkerNumber::new(1).unwrap(), ..config() });
    other.allocated(OLD);
    assert_eq!(moved(&mut other, &mut Client::new(NEW), &first).code(), 437);
}

#[test]
fn a_refresh_without_a_ticket_leaves_the_ticket_good() {
    let (mut world, mut old, _, first) = mobile();
    for _ in 0..5 {
        world.pass(500);
        old.learn_nonce(&mut world);
        assert_eq!(old.refresh(&mut world, 600).code(), 0);
    }
    assert_eq!(moved(&mut world, &mut Client::new(NEW), &first).code(), 0);
}

#[test]
fn an_allocation_moves_between_transports_and_keeps_its_framing() {
    let (mut world, mut old, relayed, first) = mobile();
    old.bind(&mut world, 0x4000, PEER);
    let mut new = Client::via(NEW, Via::Tls(SessionId(3)));
    assert_eq!(moved(&mut world, &mut new, &first).code(), 0);
    let verdict = world.peer_sends(relayed, PEER, b"hello");
    assert_eq!(sent_to_client(verdict, b"hello"), (new.address, b"\x40\x00\x00\x05hello\0\0\0".to_vec()));
}

#[test]
fn an_allocation_with_a_ticket_outlives_its_session_and_is_found_again() {
    let mut world = World::new();
    let mut old = Client::via(OLD, Via::Tcp(SessionId(1)));
    let answer = old.ask(&mut world, Method::Allocate, &[UDP, ASK]);
    let (relayed, first) = (answer.relayed()[0], ticket(&answer).unwrap());
    old.permit(&mut world, PEER);
    close(&mut world, &old);
    assert_eq!(world.end_reasons(), []);
    assert_eq!(world.peer_sends(relayed, PEER, b"x"), Verdict::Dropped(DropReason::ClientAway));

    // The session's number is given to somebody else meanwhile.
    let (stranger, _) = world.allocated_via(OLD, Via::Tcp(SessionId(1)));
    let mut new = Client::via(NEW, Via::Tcp(SessionId(2)));
    assert_eq!(moved(&mut world, &mut new, &first).code(), 0);
    assert_eq!(sent_to_client(world.peer_sends(relayed, PEER, b"x"), b"x").0, new.address);
    close(&mut world, &stranger);
    assert_eq!(world.end_reasons(), [EndReason::Disconnected]);
    assert_eq!(world.relay.counters().allocations, 1);
}

#[test]
fn an_allocation_whose_client_does_not_come_back_expires() {
    let mut world = World::new();
    let mut old = Client::via(OLD, Via::Tcp(SessionId(1)));
    old.ask(&mut world, Method::Allocate, &[UDP, ASK]);
    close(&mut world, &old);
    let (other, _) = world.allocated_via(OLD, Via::Tcp(SessionId(1)));
    world.pass(590);
    assert_eq!(world.relay.counters().allocations, 2);
    world.pass(11);
    assert_eq!(world.end_reasons(), [EndReason::Expired, EndReason::Expired]);
    let verdict = world.client_sends(other.address, &channel_data(0x4000, b"x"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoAllocation));
}

#[test]
fn a_new_session_that_ends_unheard_gives_the_old_one_back() {
    let mut world = World::new();
    let mut old = Client::via(OLD, Via::Tcp(SessionId(1)));
    let answer = old.ask(&mut world, Method::Allocate, &[UDP, ASK]);
    old.permit(&mut world, PEER);
    let mut new = Client::via(NEW, Via::Tcp(SessionId(2)));
    moved(&mut world, &mut new, &ticket(&answer).unwrap());
    close(&mut world, &new);
    assert_eq!(sent_to_client(world.peer_sends(answer.relayed()[0], PEER, b"x"), b"x").0, old.address);
}

#[test]
fn a_tcp_allocation_moves_with_its_connections_but_not_to_datagrams() {
    let mut world = World::new();
    let mut old = Client::via(OLD, Via::Tcp(SessionId(1)));
    let answer = old.ask(&mut world, Method::Allocate, &[&RequestedTransport::TCP, ASK]);
    let first = ticket(&answer).unwrap();
    old.permit(&mut world, PEER);
    let port = world.port(answer.relayed()[0]);
    world.relay.on_peer_accepted(world.now, port, peer(PEER)).unwrap();
    world.perform();
    world.replies.clear();
    assert_eq!(moved(&mut world, &mut Client::new(NEW), &first).code(), 405);
    close(&mut world, &old);
    assert_eq!(world.relay.counters().connections, 1);
    let refused = world.relay.on_peer_accepted(world.now, port, peer("8.8.8.8:1"));
    assert_eq!(refused, Err(DropReason::ClientAway), "nobody is there to be told");
    assert_eq!(moved(&mut world, &mut Client::via(NEW, Via::Tcp(SessionId(2))), &first).code(), 0);
}

#[test]
fn a_move_is_reported() {
    let (mut world, _, _, first) = mobile();
    let new = Client::new(NEW).address;
    moved(&mut world, &mut Client::new(NEW), &first);
    let moves = world
        .events
        .iter()
        .filter(|event| matches!(event, Event::AllocationMoved { client, .. } if *client == new));
    assert_eq!(moves.count(), 1);
}

fn mobile() -> (World, Client, SocketAddr, Vec<u8>) {
    let mut world = World::new();
    let mut client = Client::new(OLD);
    let answer = client.ask(&mut world, Method::Allocate, &[UDP, ASK]);
    assert_eq!(answer.code(), 0);
    let (relayed, ticket) = (answer.relayed()[0], ticket(&answer).unwrap());
    (world, client, relayed, ticket)
}

fn moved(world: &mut World, client: &mut Client, ticket: &[u8]) -> Answer {
    client.ask(world, Method::Refresh, &[&MobilityTicket(ticket)])
}

fn ticket(answer: &Answer) -> Option<Vec<u8>> {
    answer.message().get::<MobilityTicket<'_>>().unwrap().map(|ticket| ticket.0.to_vec())
}

fn close(world: &mut World, client: &Client) {
    world.relay.on_session_closed(client.address);
    world.perform();
}
