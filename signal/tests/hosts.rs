//! Hosts over real sockets: lobby, lock, kick and ban, and who becomes host.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_cluster::{Bus, Delivery, Topic};
use causeway_protocol::ErrorCode;
use causeway_protocol::bus::{BusMessage, Revocation};
use causeway_protocol::message::{ClientMessage, LeaveReason, ServerMessage};
use causeway_protocol::rest::{CreateRoom, JoinRoom, Joined, RoomCreated, RoomFacts};
use causeway_protocol::token::RoomRole;
use common::{Client, TestServer, code, serve, small, within};

#[actix_web::test]
async fn a_guest_knocks_and_comes_in_when_a_host_says_so() {
    let server = serve(small());
    let room = server.room(&CreateRoom { lobby: true, ..Default::default() }).await;
    let facts: RoomFacts = server.get(&format!("/api/v1/rooms/{}", room.room)).await.unwrap();
    assert!(facts.lobby && !facts.locked);
    // The guest is there before any host.
    let (mut guest, joined) = knock(&server, &room).await;
    let mut host = host(&server, &room).await;
    let ServerMessage::Welcome { snapshot, .. } = host.next().await else { panic!("no welcome") };
    assert_eq!((snapshot.waiting.len(), snapshot.waiting[0].id.clone()), (1, joined.peer.clone()));
    host.send(&ClientMessage::Admit { peer: joined.peer.clone() }).await;
    let ServerMessage::Welcome { snapshot, .. } = guest.next().await else { panic!("no welcome") };
    assert_eq!((snapshot.role, snapshot.peers.len()), (RoomRole::Guest, 1));
    assert!(matches!(host.next().await, ServerMessage::KnockGone { .. }));
    assert!(matches!(host.next().await, ServerMessage::PeerJoined { .. }));

    let (mut other, joined) = knock(&server, &room).await;
    assert!(matches!(host.next().await, ServerMessage::Knock { peer, .. } if peer.id == joined.peer));
    host.send(&ClientMessage::Deny { peer: joined.peer }).await;
    check_sent_away(&mut other, ErrorCode::EntryDenied).await;
    // The same token does not knock twice.
    check_sent_away(&mut server.connect(&joined.token).await, ErrorCode::Kicked).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_locked_room_refuses_newcomers_over_http_and_with_tokens_from_before() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let early = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut host = host(&server, &room).await;
    assert!(matches!(host.next().await, ServerMessage::Welcome { .. }));
    host.send(&ClientMessage::Lock { locked: true }).await;
    assert!(matches!(host.next().await, ServerMessage::Locked { locked: true, .. }));
    assert_eq!(code(server.join(&room.room, &JoinRoom::default()).await), ErrorCode::RoomLocked);
    let mut late = server.connect(&early.token).await;
    let (number, messages) = late.end().await;
    assert_eq!(number, 4423);
    assert!(matches!(messages[0], ServerMessage::Error { code: ErrorCode::RoomLocked, .. }), "{messages:?}");
    let facts: RoomFacts = server.get(&format!("/api/v1/rooms/{}", room.room)).await.unwrap();
    assert!(facts.locked);
    host.send(&ClientMessage::Lock { locked: false }).await;
    assert!(matches!(host.next().await, ServerMessage::Locked { locked: false, .. }));
    server.member(&room.room, "Bob").await;
    server.stop().await;
}

/// Found in a peer (livekit #4344, #2804): who was kicked came back with the token that it still had.
#[actix_web::test]
async fn a_kick_ends_everything_that_the_peer_had_of_the_room() {
    let server = serve(small());
    let mut orders = server.bus.subscribe(Topic::RelayOrders);
    let room = server.room(&CreateRoom::default()).await;
    let mut host = host(&server, &room).await;
    assert!(matches!(host.next().await, ServerMessage::Welcome { .. }));
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut guest = server.connect(&joined.token).await;
    let ServerMessage::Welcome { snapshot, grant, .. } = guest.next().await else { panic!("no welcome") };
    assert!(matches!(host.next().await, ServerMessage::PeerJoined { .. }));
    let reason = Some("Too loud.".to_owned());
    host.send(&ClientMessage::Kick { peer: joined.peer.clone(), ban: false, reason }).await;
    match host.next().await {
        ServerMessage::PeerLeft { peer, reason: LeaveReason::Kicked, .. } => assert_eq!(peer, joined.peer),
        other => panic!("{other:?}"),
    }
    match guest.next().await {
        ServerMessage::Error { code: ErrorCode::Kicked, message, .. } => assert_eq!(message, "Too loud."),
        other => panic!("{other:?}"),
    }
    assert_eq!(guest.end().await.0, 4403);
    let Some(Delivery::Message(BusMessage::RelayOrder(order))) = within(orders.next()).await else {
        panic!("no order")
    };
    assert_eq!(order.revoke, Revocation::Peer { room: room.room.clone(), peer: joined.peer.clone() });
    assert!(order.until >= grant.ice_expires_at);
    check_sent_away(&mut server.connect(&joined.token).await, ErrorCode::Kicked).await;
    let mut back = server.socket(&[]).await.unwrap();
    let (epoch, seq) = (snapshot.epoch, snapshot.seq);
    back.send(&ClientMessage::Resume { version: 1, token: grant.resume_token, epoch, seq }).await;
    check_sent_away(&mut back, ErrorCode::Kicked).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_guest_becomes_host_with_the_host_token_and_with_no_other() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let other = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let mut bob = server.member(&room.room, "Bob").await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    bob.send(&ClientMessage::Lock { locked: true }).await;
    check_refused(&mut bob, ErrorCode::NotAllowed).await;
    for (token, expected) in
        [("garbage".to_owned(), ErrorCode::TokenInvalid), (other.host_token, ErrorCode::NotAllowed)]
    {
        bob.send(&ClientMessage::ClaimHost { token }).await;
        check_refused(&mut bob, expected).await;
    }
    // What follows at once is already said by a host.
    bob.send(&ClientMessage::ClaimHost { token: room.host_token }).await;
    bob.send(&ClientMessage::Lock { locked: true }).await;
    for client in [&mut bob, &mut alice] {
        assert!(matches!(client.next().await, ServerMessage::PeerRole { role: RoomRole::Host, .. }));
        assert!(matches!(client.next().await, ServerMessage::Locked { locked: true, .. }));
    }
    server.stop().await;
}

async fn host(server: &TestServer, room: &RoomCreated) -> Client {
    let body = JoinRoom { host_token: Some(room.host_token.clone()), ..Default::default() };
    let joined = server.join(&room.room, &body).await.unwrap();
    server.connect(&joined.token).await
}

/// A guest who is told to wait.
async fn knock(server: &TestServer, room: &RoomCreated) -> (Client, Joined) {
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut guest = server.connect(&joined.token).await;
    let waits = guest.next().await;
    assert!(matches!(waits, ServerMessage::Waiting {}), "{waits:?}");
    (guest, joined)
}

async fn check_refused(client: &mut Client, expected: ErrorCode) {
    let refused = client.next().await;
    assert!(matches!(refused, ServerMessage::Error { code, .. } if code == expected), "{refused:?}");
}

async fn check_sent_away(client: &mut Client, why: ErrorCode) {
    let (number, messages) = client.end().await;
    assert_eq!(number, 4403, "{messages:?}");
    assert!(matches!(messages[0], ServerMessage::Error { code, .. } if code == why), "{messages:?}");
}
