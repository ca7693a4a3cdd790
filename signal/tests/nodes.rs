//! Rooms whose members have their sockets on different nodes.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::ErrorCode;
use causeway_protocol::message::{ClientMessage, LeaveReason, Politeness, ServerMessage};
use causeway_protocol::rest::{CreateRoom, JoinRoom, RoomFacts};
use causeway_protocol::token::TurnVerifier;
use causeway_service::clock;
use common::{Nodes, code, small};

#[actix_web::test]
async fn peers_on_different_nodes_find_one_another_and_exchange_offer_answer_and_candidates() {
    let nodes = Nodes::start(3);
    let room = nodes.of(0).room(&CreateRoom::default()).await.room;
    let mut alice = nodes.of(0).member(&room, "Alice").await;
    let mut bob = nodes.of(1).member(&room, "Bob").await;
    match alice.next().await {
        ServerMessage::PeerJoined { peer, .. } => {
            assert_eq!((peer.id, peer.you_are), (bob.peer(), Politeness::Impolite));
        }
        other => panic!("{other:?}"),
    }
    let mut carol = nodes.of(2).member(&room, "Carol").await;
    for earlier in [&mut alice, &mut bob] {
        assert!(
            matches!(earlier.next().await, ServerMessage::PeerJoined { peer, .. } if peer.id == carol.peer())
        );
    }
    bob.send(&ClientMessage::Offer { to: carol.peer(), sdp: "v=0\r\n".to_owned() }).await;
    bob.send(&ClientMessage::EndOfCandidates { to: carol.peer() }).await;
    match carol.next().await {
        ServerMessage::Offer { from, sdp, .. } => assert_eq!((from, sdp.as_str()), (bob.peer(), "v=0\r\n")),
        other => panic!("{other:?}"),
    }
    assert!(matches!(carol.next().await, ServerMessage::EndOfCandidates { .. }));
    carol.send(&ClientMessage::App { to: None, data: serde_json::json!({"all": 1}) }).await;
    for other in [&mut alice, &mut bob] {
        assert!(matches!(other.next().await, ServerMessage::App { from, .. } if from == carol.peer()));
    }
    carol.send(&ClientMessage::Leave {}).await;
    let (closed, _) = carol.end().await;
    assert_eq!(closed, 1000);
    for other in [&mut alice, &mut bob] {
        match other.next().await {
            ServerMessage::PeerLeft { reason: LeaveReason::Left, .. } => {}
            message => panic!("{message:?}"),
        }
    }
    nodes.stop().await;
}

#[actix_web::test]
async fn a_room_is_asked_about_and_entered_on_every_node() {
    let nodes = Nodes::start(2);
    let password = Some("open sesame".to_owned());
    let made = nodes.of(0).room(&CreateRoom { password: password.clone(), ..Default::default() }).await;
    let facts: RoomFacts = nodes.of(1).get(&format!("/api/v1/rooms/{}", made.room)).await.unwrap();
    assert_eq!((facts.password_required, facts.peers, facts.expires_at), (true, 0, made.expires_at));
    let wrong = JoinRoom { password: Some("wrong".to_owned()), ..Default::default() };
    assert_eq!(code(nodes.of(1).join(&made.room, &wrong).await), ErrorCode::PasswordWrong);
    assert_eq!(code(nodes.of(1).join(&made.room, &JoinRoom::default()).await), ErrorCode::PasswordRequired);
    let joined = nodes.of(1).join(&made.room, &JoinRoom { password, ..Default::default() }).await.unwrap();
    // The token is good on every node.
    let ServerMessage::Welcome { .. } = nodes.of(0).connect(&joined.token).await.next().await else {
        panic!("no welcome");
    };
    let nowhere: Result<RoomFacts, _> = nodes.of(1).get("/api/v1/rooms/nowhere").await;
    assert_eq!(code(nowhere), ErrorCode::RoomNotFound);
    nodes.stop().await;
}

#[actix_web::test]
async fn each_node_tells_its_own_sockets_ice_servers_with_a_good_credential() {
    let nodes = Nodes::start(2);
    let room = nodes.of(0).room(&CreateRoom::default()).await.room;
    let joined = nodes.of(1).join(&room, &JoinRoom::default()).await.unwrap();
    let mut alice = nodes.of(1).connect(&joined.token).await;
    let welcome = serde_json::to_value(alice.next().await).unwrap();
    alice.send(&ClientMessage::RefreshIce {}).await;
    let refreshed = serde_json::to_value(alice.next().await).unwrap();
    for message in [welcome, refreshed] {
        let server = &message["iceServers"][1];
        assert_eq!(server["urls"][0], "turn:127.0.0.1:3478?transport=udp");
        let username = server["username"].as_str().unwrap();
        let verifier = TurnVerifier::hs256(&nodes.of(0).secret);
        let claims = verifier.check(username, clock::now().unix).unwrap();
        assert_eq!((claims.room, claims.sub), (room.clone(), joined.peer.clone()));
    }
    nodes.stop().await;
}

#[actix_web::test]
async fn an_invite_opens_once_whichever_node_it_is_shown_to() {
    let nodes = Nodes::start(2);
    let made = nodes.of(0).room(&CreateRoom { invite_only: true, ..Default::default() }).await;
    let invite = nodes.of(1).invite(&made).await;
    let shown = JoinRoom { invite: Some(invite), ..Default::default() };
    nodes.of(1).join(&made.room, &shown).await.unwrap();
    for node in [0, 1] {
        assert_eq!(code(nodes.of(node).join(&made.room, &shown).await), ErrorCode::InviteInvalid);
    }
    nodes.stop().await;
}

#[actix_web::test]
async fn a_room_that_ends_ends_on_every_node() {
    let nodes = Nodes::start(2);
    let room = nodes.of(0).room(&CreateRoom { ttl_seconds: Some(2), ..Default::default() }).await.room;
    let mut alice = nodes.of(1).member(&room, "Alice").await;
    let (closed, _) = alice.end().await;
    assert_eq!(closed, 4410);
    // Its members may hear of the end a moment before its actors are gone.
    let refused = loop {
        let facts: Result<RoomFacts, _> = nodes.of(1).get(&format!("/api/v1/rooms/{room}")).await;
        let refused = code(facts);
        if refused != ErrorCode::Unavailable {
            break refused;
        }
    };
    assert_eq!(refused, ErrorCode::RoomNotFound);
    nodes.stop().await;
}

#[actix_web::test]
async fn a_room_without_members_outlives_its_owner_with_password_and_used_invites() {
    let mut nodes = Nodes::start(2);
    let password = Some("open sesame".to_owned());
    let made = nodes.of(0).room(&CreateRoom { password, ..Default::default() }).await;
    let invite = nodes.of(0).invite(&made).await;
    let shown = JoinRoom { invite: Some(invite), ..Default::default() };
    nodes.of(0).join(&made.room, &shown).await.unwrap();
    nodes.kill(0);
    let facts: RoomFacts = nodes.of(1).get(&format!("/api/v1/rooms/{}", made.room)).await.unwrap();
    assert_eq!((facts.password_required, facts.expires_at), (true, made.expires_at));
    assert_eq!(code(nodes.of(1).join(&made.room, &shown).await), ErrorCode::InviteInvalid);
    let host = JoinRoom { host_token: Some(made.host_token), ..Default::default() };
    nodes.of(1).join(&made.room, &host).await.unwrap();
    nodes.stop().await;
}

#[actix_web::test]
async fn members_of_a_node_that_dies_leave_the_rooms_of_others() {
    let mut nodes = Nodes::with(2, &small());
    let room = nodes.of(0).room(&CreateRoom::default()).await.room;
    let mut alice = nodes.of(0).member(&room, "Alice").await;
    let bob = nodes.of(1).member(&room, "Bob").await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    nodes.kill(1);
    match alice.next().await {
        ServerMessage::PeerLeft { peer, reason: LeaveReason::Disconnected, .. } => {
            assert_eq!(peer, bob.peer());
        }
        other => panic!("{other:?}"),
    }
    nodes.stop().await;
}
