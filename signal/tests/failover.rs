//! Rooms go on when nodes die, sleep, are cut off or leave, and every client knows what it has missed.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::time::Duration;

use causeway_cluster::{Bus, Delivery, Topic};
use causeway_protocol::bus::BusMessage;
use causeway_protocol::rest::CreateRoom;
use causeway_protocol::{ErrorCode, RoomId};
use common::{Client, Nodes, TestServer, within};
use serde_json::{Value, json};

#[actix_web::test]
async fn when_the_owner_dies_another_node_takes_the_room_and_everybody_is_told_how_it_stands() {
    let (mut nodes, room) = nodes_with_a_room(3).await;
    let mut alice = member(nodes.of(1), &room).await;
    let mut bob = member(nodes.of(2), &room).await;
    assert_eq!(alice.next_json().await["type"], "peer-joined");
    nodes.kill(0);
    let (one, other) = (alice.next_json().await, bob.next_json().await);
    for (resync, peer) in [(&one, &bob), (&other, &alice)] {
        assert_eq!(resync["type"], "resync", "{resync}");
        assert_eq!(resync["peers"][0]["id"], peer.name);
        assert!(resync["epoch"].as_u64() > Some(FIRST_EPOCH), "{resync}");
    }
    assert_eq!(one["epoch"], other["epoch"]);
    say(&mut alice, 1).await;
    assert_eq!(said(&bob.next_json().await), 1);
    nodes.stop().await;
}

#[actix_web::test]
async fn a_node_whose_lease_was_interrupted_before_owns_what_it_takes_later() {
    let (mut nodes, room) = nodes_with_a_room(3).await;
    let mut alice = member(nodes.of(1), &room).await;
    let mut bob = member(nodes.of(2), &room).await;
    for node in [1, 2] {
        nodes.hub.partition(&Nodes::name(node));
        nodes.hub.heal(&Nodes::name(node));
    }
    nodes.kill(0);
    for member in [&mut alice, &mut bob] {
        while member.epoch == FIRST_EPOCH {
            member.until("resync").await;
        }
    }
    say(&mut alice, 1).await;
    assert_eq!(said(&bob.until("app").await), 1);
    nodes.stop().await;
}

#[actix_web::test]
async fn what_is_said_while_nobody_owns_the_room_is_said_to_the_next_owner() {
    let (mut nodes, room) = nodes_with_a_room(3).await;
    let mut alice = member(nodes.of(1), &room).await;
    let mut bob = member(nodes.of(2), &room).await;
    assert_eq!(alice.next_json().await["type"], "peer-joined");
    nodes.kill(0);
    for n in 1..=20 {
        say(&mut alice, n).await;
    }
    assert_eq!(bob.next_json().await["type"], "resync");
    let mut heard = Vec::new();
    while heard.last() != Some(&20) {
        heard.push(said(&bob.next_json().await));
    }
    let expected: Vec<u64> = (1..=20).collect();
    assert!(expected.ends_with(&heard), "in order and without a gap or a duplicate: {heard:?}");
    nodes.stop().await;
}

#[actix_web::test]
async fn an_owner_that_slept_past_its_lease_yields_and_nothing_it_held_is_lost() {
    let (nodes, room) = nodes_with_a_room(2).await;
    let mut alice = member(nodes.of(0), &room).await;
    let mut bob = member(nodes.of(1), &room).await;
    assert_eq!(alice.next_json().await["type"], "peer-joined");
    nodes.hub.stall(&Nodes::name(0));
    // The others took the room; the sleeper does not know, and must not act.
    let resync = bob.next_json().await;
    assert_eq!(resync["type"], "resync", "{resync}");
    say(&mut alice, 1).await;
    nodes.hub.heal(&Nodes::name(0));
    let resync = alice.until("resync").await;
    assert!(resync["epoch"].as_u64() > Some(FIRST_EPOCH), "{resync}");
    assert_eq!(said(&bob.until("app").await), 1);
    say(&mut bob, 2).await;
    assert_eq!(said(&alice.until("app").await), 2);
    nodes.stop().await;
}

#[actix_web::test]
async fn a_node_that_was_cut_off_announces_its_sockets_and_they_are_told_what_may_be_lost() {
    let (nodes, room) = nodes_with_a_room(2).await;
    let mut alice = member(nodes.of(0), &room).await;
    let mut bob = member(nodes.of(1), &room).await;
    assert_eq!(alice.next_json().await["type"], "peer-joined");
    nodes.hub.partition(&Nodes::name(1));
    assert_eq!(bob.until("degraded").await["type"], "degraded");
    say(&mut bob, 1).await;
    say(&mut alice, 2).await;
    nodes.hub.heal(&Nodes::name(1));
    // What she said is gone: she is told so, and what the room has of it.
    let resync = bob.until("resync").await;
    assert_eq!(resync["received"], 1, "{resync}");
    say(&mut alice, 3).await;
    let mut last = bob.until("app").await;
    while said(&last) != 3 {
        last = bob.until("app").await;
    }
    nodes.stop().await;
}

#[actix_web::test]
async fn a_node_that_was_shown_a_later_owners_token_is_the_owner_no_more_even_if_it_can_ask_nobody() {
    let (nodes, room) = nodes_with_a_room(2).await;
    let alice = member(nodes.of(0), &room).await;
    let mut bob = member(nodes.of(0), &room).await;
    nodes.hub.partition(&Nodes::name(0));
    let mut alice = alice.cut().resume(nodes.of(1)).await;
    let resync = alice.until("resync").await;
    assert!(resync["epoch"].as_u64() > Some(FIRST_EPOCH), "{resync}");
    // Back at the first owner, which knows nothing of the second: what it could tell her is of the past.
    let mut alice = alice.cut().resume(nodes.of(0)).await;
    assert_eq!(bob.until("degraded").await["type"], "degraded");
    say(&mut bob, 1).await;
    nodes.hub.heal(&Nodes::name(0));
    let greeted = alice.until_one_of(&["resumed", "resync"]).await;
    assert_eq!(greeted["epoch"], resync["epoch"], "{greeted}");
    assert_eq!(bob.until("resync").await["epoch"], resync["epoch"]);
    assert_eq!(said(&alice.until("app").await), 1);
    nodes.stop().await;
}

#[actix_web::test]
async fn an_owner_that_slept_past_its_lease_greets_nobody_before_it_has_asked_whose_the_room_is() {
    let (nodes, room) = nodes_with_a_room(2).await;
    let alice = member(nodes.of(0), &room).await;
    let bob = member(nodes.of(0), &room).await;
    let bob_name = bob.name.clone();
    nodes.hub.stall(&Nodes::name(0));
    let mut alice = alice.cut().resume(nodes.of(1)).await;
    let later = alice.until("resync").await["epoch"].clone();
    assert!(later.as_u64() > Some(FIRST_EPOCH), "{later}");
    let bob = bob.cut();
    let mut told = nodes.of(0).bus.subscribe(Topic::RoomAddresses);
    let mut bob = bob.resume(nodes.of(0)).await;
    // Relays hear where he is when the room's actor has heard that he is back, and would have greeted him.
    while !is_here(&within(told.next()).await.unwrap(), &bob_name) {}
    nodes.hub.heal(&Nodes::name(0));
    let greeted = bob.until_one_of(&["resumed", "resync"]).await;
    assert_eq!(greeted["epoch"], later, "{greeted}");
    say(&mut bob, 1).await;
    assert_eq!(said(&alice.until("app").await), 1);
    nodes.stop().await;
}

#[actix_web::test]
async fn a_node_that_leaves_hands_its_rooms_over_and_nobody_misses_anything() {
    let (mut nodes, room) = nodes_with_a_room(3).await;
    let mut alice = member(nodes.of(0), &room).await;
    let mut bob = member(nodes.of(1), &room).await;
    assert_eq!(alice.next_json().await["type"], "peer-joined");
    let leaving = nodes.leave(0, Duration::from_secs(4));
    for n in 1..=50 {
        say(&mut bob, n).await;
        assert_eq!(said(&alice.next_json().await), n);
    }
    let closing = alice.until("closing").await;
    assert_eq!(
        (closing["code"].as_u64(), closing["reconnect"].as_bool()),
        (Some(4503), Some(true)),
        "{closing}"
    );
    let mut heard = alice.heard.clone();
    say(&mut bob, 51).await;
    let mut alice = alice.resume(nodes.of(2)).await;
    let resumed = alice.next_json().await;
    assert_eq!(resumed["type"], "resumed", "{resumed}");
    say(&mut bob, 52).await;
    while heard.last() != Some(&52) {
        heard.push(said(&alice.until("app").await));
    }
    assert_eq!(heard, (1..=52).collect::<Vec<_>>());
    assert!(!bob.types.contains(&"resync".to_owned()), "{:?}", bob.types);
    leaving.await.unwrap();
    nodes.stop().await;
}

#[actix_web::test]
async fn a_socket_that_broke_goes_on_at_any_node() {
    let (nodes, room) = nodes_with_a_room(3).await;
    let mut alice = member(nodes.of(1), &room).await;
    let mut bob = member(nodes.of(2), &room).await;
    assert_eq!(alice.next_json().await["type"], "peer-joined");
    let lost = alice.cut();
    say(&mut bob, 1).await;
    let mut alice = lost.resume(nodes.of(2)).await;
    assert_eq!(alice.next_json().await["type"], "resumed");
    assert_eq!(said(&alice.next_json().await), 1);
    say(&mut alice, 2).await;
    assert_eq!(said(&bob.next_json().await), 2);
    nodes.stop().await;
}

#[actix_web::test]
async fn a_room_that_was_made_while_its_node_was_cut_off_is_everybodys_afterwards() {
    let nodes = Nodes::start(2);
    nodes.hub.partition(&Nodes::name(0));
    let room = nodes.of(0).room(&CreateRoom::default()).await.room;
    let mut alice = member(nodes.of(0), &room).await;
    nodes.hub.heal(&Nodes::name(0));
    let mut bob = loop {
        // The node says when it has told the others; until then they do not know the room.
        match nodes.of(1).join(&room, &Default::default()).await {
            Ok(joined) => break Member::enter(nodes.of(1), &joined.token).await,
            Err(error) => assert_eq!(error.code, ErrorCode::RoomNotFound),
        }
    };
    assert_eq!(alice.until("peer-joined").await["peer"]["id"], bob.name);
    say(&mut bob, 1).await;
    assert_eq!(said(&alice.until("app").await), 1);
    nodes.stop().await;
}

/// Whether relays are told that the peer of this name is at one of our servers.
fn is_here(delivery: &Delivery, name: &Value) -> bool {
    match delivery {
        Delivery::Message(BusMessage::RoomAddresses(addresses)) => {
            name == addresses.peer.as_str() && !addresses.observed.is_empty()
        }
        other => panic!("{other:?}"),
    }
}

/// What the memory cluster gives the first owner of a room.
const FIRST_EPOCH: u64 = 1;

/// Nodes, and a room that node 0 owns.
async fn nodes_with_a_room(count: usize) -> (Nodes, RoomId) {
    let nodes = Nodes::start(count);
    let room = nodes.of(0).room(&CreateRoom::default()).await.room;
    (nodes, room)
}

async fn say(member: &mut Member, n: u64) {
    member.client.send_json(json!({"type": "app", "data": n})).await;
}

#[track_caller]
fn said(message: &Value) -> u64 {
    assert_eq!(message["type"], "app", "{message}");
    message["data"].as_u64().unwrap()
}

/// Somebody in a room, with what a client remembers.
struct Member {
    client: Client,
    name: Value,
    token: String,
    epoch: u64,
    seq: u64,
    heard: Vec<u64>,
    types: Vec<String>,
}

async fn member(server: &TestServer, room: &RoomId) -> Member {
    let joined = server.join(room, &Default::default()).await.unwrap();
    Member::enter(server, &joined.token).await
}

impl Member {
    async fn enter(server: &TestServer, token: &str) -> Self {
        let mut client = server.connect(token).await;
        let welcome = client.next_json().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        let (name, token) = (welcome["peer"].clone(), String::new());
        let mut member = Self { client, name, token, epoch: 0, seq: 0, heard: Vec::new(), types: Vec::new() };
        member.note(&welcome);
        member
    }

    async fn next_json(&mut self) -> Value {
        let message = self.client.next_json().await;
        self.note(&message);
        message
    }

    fn note(&mut self, message: &Value) {
        self.types.push(message["type"].as_str().unwrap().to_owned());
        if let Some(token) = message["resumeToken"].as_str() {
            self.token = token.to_owned();
        }
        match message["type"].as_str() {
            // The events up to there follow.
            Some("resumed") => self.epoch = message["epoch"].as_u64().unwrap(),
            _ => {
                self.epoch = message["epoch"].as_u64().unwrap_or(self.epoch);
                self.seq = message["seq"].as_u64().unwrap_or(self.seq);
            }
        }
        if message["type"] == "app" {
            self.heard.push(message["data"].as_u64().unwrap());
        }
    }

    async fn until(&mut self, kind: &str) -> Value {
        self.until_one_of(&[kind]).await
    }

    async fn until_one_of(&mut self, kinds: &[&str]) -> Value {
        loop {
            let message = self.next_json().await;
            if kinds.iter().any(|kind| message["type"] == *kind) {
                return message;
            }
        }
    }

    /// The socket is gone without a word.
    fn cut(self) -> Lost {
        Lost { token: self.token, epoch: self.epoch, seq: self.seq, name: self.name }
    }

    async fn resume(self, server: &TestServer) -> Self {
        let lost =
            Lost { token: self.token.clone(), epoch: self.epoch, seq: self.seq, name: self.name.clone() };
        lost.resume(server).await
    }
}

/// What a client remembers whose socket is gone.
struct Lost {
    token: String,
    epoch: u64,
    seq: u64,
    name: Value,
}

impl Lost {
    async fn resume(self, server: &TestServer) -> Member {
        let mut client = server.socket(&[("sec-websocket-protocol", "causeway.v1")]).await.unwrap();
        let Self { token, epoch, seq, name } = self;
        client
            .send_json(json!({"type": "resume", "version": 1, "token": token, "epoch": epoch, "seq": seq}))
            .await;
        Member { client, name, token, epoch, seq, heard: Vec::new(), types: Vec::new() }
    }
}
