//! Rooms end, servers drain, relays report.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_cluster::{Bus, Delivery, Topic};
use causeway_protocol::ErrorCode;
use causeway_protocol::bus::{BusMessage, RelayFacts, RelayOrder, RelayUsage, Revocation};
use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::rest::{CreateRoom, JoinRoom, RoomFacts};
use causeway_signal::SignalSettings;
use common::{PATIENCE, RELAY_PORT, code, serve, small, within};

#[actix_web::test]
async fn a_room_ends_at_its_time_with_everybody_in_it_and_the_relays_are_told() {
    let server = serve(SignalSettings { max_rooms: 1, ..small() });
    let mut orders = server.bus.subscribe(Topic::RelayOrders);
    let room = server.room(&CreateRoom { ttl_seconds: Some(1), ..Default::default() }).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let (number, messages) = alice.end().await;
    assert_eq!(number, 4410);
    assert!(
        matches!(messages[..], [ServerMessage::Closing { code: 4410, reconnect: false, .. }]),
        "{messages:?}"
    );
    let revoke = Revocation::Room { room: room.room.clone() };
    let revoked = RelayOrder { revoke, until: room.expires_at };
    assert_eq!(within(orders.next()).await, Some(Delivery::Message(BusMessage::RelayOrder(revoked))));
    // Its members may hear of the end a moment before its actor is gone.
    let refused = loop {
        let refused = code(server.join(&room.room, &JoinRoom::default()).await);
        if refused != ErrorCode::Unavailable {
            break refused;
        }
    };
    assert_eq!(refused, ErrorCode::RoomNotFound);
    // Its place is free again.
    server.room(&CreateRoom::default()).await;
    server.stop().await;
}

#[actix_web::test]
async fn an_empty_room_keeps_its_link() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    alice.send(&ClientMessage::Leave {}).await;
    assert_eq!(alice.end().await.0, 1000);
    let facts: RoomFacts = server.get(&format!("/api/v1/rooms/{}", room.room)).await.unwrap();
    assert_eq!((facts.peers, facts.expires_at), (0, room.expires_at));
    server.member(&room.room, "Alice").await;
    server.stop().await;
}

#[actix_web::test]
async fn draining_tells_everybody_to_come_back_and_lets_nothing_begin() {
    let server = serve(small());
    let mut orders = server.bus.subscribe(Topic::RelayOrders);
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let mut at_the_door = server.socket(&[]).await.unwrap();
    let address = server.address;
    let drained = actix_web::rt::spawn(server.running.drain(PATIENCE));
    let (number, messages) = alice.end().await;
    assert_eq!(number, 4503);
    assert!(
        matches!(messages[..], [ServerMessage::Closing { code: 4503, reconnect: true, .. }]),
        "{messages:?}"
    );
    assert_eq!(at_the_door.end().await.0, 4503);
    drop((alice, at_the_door));
    within(drained).await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    drop(server.bus);
    // The bus is gone and nothing was revoked on it: relayed traffic outlives a restart of signaling.
    assert_eq!(within(orders.next()).await, None);
}

#[actix_web::test]
async fn a_client_that_answers_nothing_does_not_hold_up_the_drain() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut stubborn = common::RawSocket::connect(&server, &joined.token, 64 * 1024).await;
    within(server.running.drain(PATIENCE)).await;
    assert_eq!(stubborn.close_code().await, 4503);
}

#[actix_web::test]
async fn what_a_relay_counts_reaches_the_members_of_the_room() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let usage = RelayUsage {
        node: "relay1".parse().unwrap(),
        room: room.room.clone(),
        peer: alice.peer(),
        allocations: 2,
        sent_bytes: 1000,
        received_bytes: 2000,
        facts: RelayFacts::default(),
    };
    let elsewhere = RelayUsage { room: "nowhere".parse().unwrap(), ..usage.clone() };
    for usage in [elsewhere, usage.clone()] {
        server.bus.publish(BusMessage::RelayUsage(usage)).unwrap();
    }
    match alice.next().await {
        ServerMessage::RelayUsage { peer, node, allocations: 2, sent_bytes: 1000, received_bytes: 2000 } => {
            assert_eq!((peer, node), (usage.peer.clone(), usage.node.clone()));
        }
        other => panic!("{other:?}"),
    }
    // What comes within the same second is told by the room's timer, the latest only.
    for sent_bytes in [1001, 1002] {
        let usage = RelayUsage { sent_bytes, ..usage.clone() };
        server.bus.publish(BusMessage::RelayUsage(usage)).unwrap();
    }
    let later = alice.next().await;
    assert!(matches!(later, ServerMessage::RelayUsage { sent_bytes: 1002, .. }), "{later:?}");
    server.stop().await;
}

#[actix_web::test]
async fn fresh_ice_servers_come_on_request() {
    let settings = SignalSettings {
        ice_urls: vec![format!("turn:relay.example:{RELAY_PORT}")],
        credential_ttl_seconds: 600,
        ..small()
    };
    let server = serve(settings);
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    alice.send(&ClientMessage::RefreshIce {}).await;
    let servers = match alice.next().await {
        ServerMessage::IceServers { ice_servers, .. } => ice_servers,
        other => panic!("{other:?}"),
    };
    assert_eq!(servers.len(), 1);
    assert_eq!(servers[0].urls, [format!("turn:relay.example:{RELAY_PORT}")]);
    assert!(servers[0].username.is_some() && servers[0].credential.is_some());
    alice.send(&ClientMessage::RefreshIce {}).await;
    match alice.next().await {
        ServerMessage::Error { code: ErrorCode::RateLimited, refused, .. } => {
            assert_eq!(refused.as_deref(), Some("refresh-ice"));
        }
        other => panic!("{other:?}"),
    }
    server.stop().await;
}
