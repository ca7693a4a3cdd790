//! Tests of the board, with time by hand.

use std::time::Duration;

use super::*;

const START: Moment = Moment::from_origin(Duration::from_secs(1000));

#[test]
fn a_worker_is_told_of_a_room_that_it_has_an_allocation_in() {
    let mut board = board();
    board.on_told(START, told("other", "bob", &["60.0.0.1:5"], &["8.8.8.8"]));
    assert_eq!(board.take_changed(), []);
    create(&mut board, 1, 7, "alice");
    check(&mut board, &[1], &["51.0.0.1:7", "60.0.0.1:5"], &["1.1.1.1", "8.8.8.8"]);
    assert_eq!(board.take_changed(), []);
    create(&mut board, 2, 8, "carol");
    check(&mut board, &[1, 2], &["51.0.0.1:7", "51.0.0.1:8", "60.0.0.1:5"], &["1.1.1.1", "8.8.8.8"]);
}

#[test]
fn the_first_allocation_asks_who_is_in_the_room_and_every_one_is_told_to_all() {
    let mut board = board();
    create(&mut board, 1, 7, "alice");
    let query = BusMessage::RoomQuery(RoomQuery { room: room() });
    assert_eq!(board.take_outgoing(), [query, own("alice", &["51.0.0.1:7"], &["1.1.1.1"])]);
    create(&mut board, 1, 8, "alice");
    let both = own("alice", &["51.0.0.1:7", "51.0.0.1:8"], &["1.1.1.1"]);
    assert_eq!(board.take_outgoing(), std::slice::from_ref(&both));
    board.on_asked(&room());
    assert_eq!(board.take_outgoing(), [both]);
}

#[test]
fn what_ends_is_withdrawn_at_once() {
    let mut board = board();
    create(&mut board, 1, 7, "alice");
    create(&mut board, 1, 8, "bob");
    board.take_outgoing();
    board.take_changed();
    board.on_ended(START, key(1, 7));
    assert_eq!(board.take_outgoing(), [own("alice", &[], &[])]);
    check(&mut board, &[1], &["51.0.0.1:8"], &["1.1.1.1"]);
    board.on_worker_gone(START, 1);
    assert!(board.rooms.is_empty() && board.owners.is_empty() && board.own.is_empty());
}

#[test]
fn new_names_take_the_place_of_the_old_ones() {
    let mut board = board();
    create(&mut board, 1, 7, "alice");
    board.take_outgoing();
    board.take_changed();
    board.on_renamed(START, key(1, 7), vec!["52.0.0.1:7".parse().unwrap()]);
    assert_eq!(board.take_outgoing(), [own("alice", &["52.0.0.1:7"], &["1.1.1.1"])]);
    check(&mut board, &[1], &["52.0.0.1:7"], &["1.1.1.1"]);
}

#[test]
fn what_others_say_counts_for_ninety_seconds_unless_they_say_it_again() {
    let mut board = board();
    create(&mut board, 1, 7, "alice");
    board.on_told(START, told("other", "bob", &["60.0.0.1:5"], &[]));
    board.take_changed();
    board.on_tick(after(89), BusState::Up);
    assert_eq!(board.take_changed(), []);
    board.on_told(after(89), told("other", "bob", &["60.0.0.1:5"], &[]));
    board.on_tick(after(178), BusState::Up);
    assert_eq!(board.take_changed(), []);
    board.on_tick(after(179), BusState::Up);
    check(&mut board, &[1], &["51.0.0.1:7"], &["1.1.1.1"]);
    assert_eq!(board.told, 0);
}

#[test]
fn while_the_bus_is_gone_nobody_is_forgotten_for_being_silent() {
    let mut board = board();
    create(&mut board, 1, 7, "alice");
    board.on_told(START, told("other", "bob", &["60.0.0.1:5"], &[]));
    board.take_changed();
    for seconds in 0..1000 {
        board.on_tick(after(seconds), BusState::Gone);
    }
    assert_eq!(board.take_changed(), []);
    board.on_tick(after(2000), BusState::Up);
    check(&mut board, &[1], &["51.0.0.1:7"], &["1.1.1.1"]);
}

#[test]
fn what_is_known_here_is_said_again_every_thirty_seconds() {
    let mut board = board();
    create(&mut board, 1, 7, "alice");
    board.take_outgoing();
    board.on_tick(after(29), BusState::Up);
    assert_eq!(board.take_outgoing(), []);
    board.on_tick(after(30), BusState::Up);
    assert_eq!(board.take_outgoing(), [own("alice", &["51.0.0.1:7"], &["1.1.1.1"])]);
}

#[test]
fn an_address_that_another_allocation_got_is_its_former_owners_no_more() {
    let mut board = board();
    create(&mut board, 1, 7, "alice");
    board.on_told(START, told("other", "bob", &["60.0.0.1:5"], &["8.8.8.8"]));
    board.take_changed();
    let elsewhere =
        RoomAddresses { room: "attic".parse().unwrap(), ..told("other", "eve", &["60.0.0.1:5"], &[]) };
    board.on_told(START, elsewhere);
    check(&mut board, &[1], &["51.0.0.1:7"], &["1.1.1.1", "8.8.8.8"]);
    // The withdrawal of the first comes late, and concerns nothing of the second.
    board.on_told(START, told("other", "bob", &[], &[]));
    assert_eq!(board.owners.len(), 2);
}

#[test]
fn what_comes_back_from_the_bus_to_its_sender_changes_nothing() {
    let mut board = board();
    create(&mut board, 1, 7, "alice");
    board.take_changed();
    let echo = RoomAddresses { node: "here".parse().unwrap(), ..told("here", "alice", &[], &[]) };
    board.on_told(START, echo);
    assert_eq!(board.take_changed(), []);
    let signal = RoomAddresses { origin: AddressOrigin::Signal, ..told("here", "alice", &[], &["9.9.9.9"]) };
    board.on_told(START, signal);
    check(&mut board, &[1], &["51.0.0.1:7"], &["1.1.1.1", "9.9.9.9"]);
}

#[test]
fn after_a_gap_every_room_with_an_allocation_is_asked_for_again() {
    let mut board = board();
    create(&mut board, 1, 7, "alice");
    board.take_outgoing();
    board.on_gap();
    board.on_tick(after(1), BusState::Up);
    assert_eq!(board.take_outgoing(), [BusMessage::RoomQuery(RoomQuery { room: room() })]);
}

#[test]
fn what_others_tell_is_bounded() {
    let mut board = board();
    let many: Vec<String> = (0..100).map(|port| format!("60.0.0.1:{port}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    board.on_told(START, told("other", "bob", &many, &[]));
    assert_eq!(board.owners.len(), MAX_ADDRESSES);
    for peer in 0..MAX_TOLD + 10 {
        board.on_told(START, told("other", &format!("p{peer}"), &[], &["8.8.8.8"]));
    }
    assert_eq!(board.told, MAX_TOLD);
}

fn board() -> RoomBoard {
    RoomBoard::new("here".parse().unwrap())
}

fn create(board: &mut RoomBoard, worker: usize, allocation: u64, peer: &str) {
    let pair = Pair { room: room(), peer: peer.parse().unwrap() };
    let relayed = vec![format!("51.0.0.1:{allocation}").parse().unwrap()];
    board.on_created(START, key(worker, allocation), pair, relayed, "1.1.1.1".parse().unwrap());
}

fn check(board: &mut RoomBoard, workers: &[usize], relayed: &[&str], observed: &[&str]) {
    let changed = board.take_changed();
    let [(peers, told)] = changed.as_slice() else { panic!("{changed:?}") };
    let mut told = told.clone();
    told.sort_unstable();
    assert_eq!(told, workers);
    let mut known: Vec<String> = peers.relayed.iter().map(ToString::to_string).collect();
    known.sort();
    assert_eq!(known, relayed);
    let known: Vec<String> = peers.observed.iter().map(ToString::to_string).collect();
    assert_eq!(known, observed);
}

fn told(node: &str, peer: &str, relayed: &[&str], observed: &[&str]) -> RoomAddresses {
    RoomAddresses {
        node: node.parse().unwrap(),
        origin: AddressOrigin::Relay,
        room: room(),
        peer: peer.parse().unwrap(),
        relayed: relayed.iter().map(|address| address.parse().unwrap()).collect(),
        observed: observed.iter().map(|ip| ip.parse().unwrap()).collect(),
    }
}

fn own(peer: &str, relayed: &[&str], observed: &[&str]) -> BusMessage {
    BusMessage::RoomAddresses(told("here", peer, relayed, observed))
}

fn room() -> RoomId {
    "kitchen".parse().unwrap()
}

const fn key(worker: usize, allocation: u64) -> AllocationKey {
    AllocationKey { worker, allocation }
}

const fn after(seconds: u64) -> Moment {
    START.plus(Duration::from_secs(seconds))
}
