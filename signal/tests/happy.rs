//! Two peers find one another: room, join, WebSocket, offer, answer, candidates, goodbye.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::message::{
    ClientMessage, EntryGrant, LeaveReason, Politeness, ServerMessage, Snapshot,
};
use causeway_protocol::rest::{CreateRoom, RoomFacts};
use causeway_protocol::token::{RoomRole, TurnVerifier};
use causeway_signal::SignalSettings;
use common::{serve, small, within};

#[actix_web::test]
async fn two_peers_find_one_another_and_exchange_offer_answer_and_candidates() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    assert_eq!(room.link, server.url(&format!("/r/{}", room.room)));

    let mut alice = server.member(&room.room, "Alice").await;
    assert_eq!(alice.protocol.as_deref(), Some("causeway.v1"));
    let mut bob = server.member(&room.room, " Bob ").await;
    match alice.next().await {
        ServerMessage::PeerJoined { seq: 2, peer } => {
            assert_eq!((peer.id, peer.name.as_deref()), (bob.peer(), Some("Bob")));
            assert_eq!((peer.role, peer.you_are), (RoomRole::Guest, Politeness::Impolite));
        }
        other => panic!("{other:?}"),
    }
    let facts: RoomFacts = server.get(&format!("/api/v1/rooms/{}", room.room)).await.unwrap();
    assert_eq!((facts.peers, facts.password_required, facts.invite_required), (2, false, false));

    bob.send(&ClientMessage::Offer { to: alice.peer(), sdp: "v=0\r\n".to_owned() }).await;
    match alice.next().await {
        ServerMessage::Offer { from, sdp, .. } => assert_eq!((from, sdp.as_str()), (bob.peer(), "v=0\r\n")),
        other => panic!("{other:?}"),
    }
    alice.send(&ClientMessage::Answer { to: bob.peer(), sdp: "v=1\r\n".to_owned() }).await;
    alice.send(&ClientMessage::EndOfCandidates { to: bob.peer() }).await;
    assert!(matches!(bob.next().await, ServerMessage::Answer { from, .. } if from == alice.peer()));
    assert!(matches!(bob.next().await, ServerMessage::EndOfCandidates { from, .. } if from == alice.peer()));

    bob.send(&ClientMessage::Leave {}).await;
    let (code, last) = bob.end().await;
    assert_eq!(code, 1000);
    assert!(matches!(last[..], [ServerMessage::Closing { code: 1000, reconnect: false, .. }]), "{last:?}");
    match alice.next().await {
        ServerMessage::PeerLeft { seq: 6, peer, reason: LeaveReason::Left } => assert_eq!(peer, bob.peer()),
        other => panic!("{other:?}"),
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_welcome_carries_a_credential_that_the_relay_accepts() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let joined = server.join(&room.room, &Default::default()).await.unwrap();
    let mut alice = server.connect(&joined.token).await;
    let ServerMessage::Welcome { snapshot, grant, .. } = alice.next().await else { panic!("no welcome") };
    let Snapshot { peer, expires_at, .. } = *snapshot;
    let EntryGrant { ice_servers, ice_expires_at, .. } = grant;
    assert_eq!((peer.clone(), expires_at), (joined.peer, room.expires_at));
    assert_eq!(ice_servers[0].urls, ["stun:127.0.0.1:3478"]);
    assert_eq!(ice_servers[1].urls, ["turn:127.0.0.1:3478?transport=udp"]);
    let username = ice_servers[1].username.as_deref().unwrap();
    let verifier = TurnVerifier::hs256(&server.secret);
    let claims = verifier.check(username, causeway_service::clock::now().unix).unwrap();
    assert_eq!((claims.room, claims.sub, claims.exp), (room.room, peer, ice_expires_at));
    assert_eq!(ice_servers[1].credential, Some(verifier.password(username)));
    server.stop().await;
}

#[actix_web::test]
async fn behind_a_public_url_links_and_relay_carry_its_name() {
    let public_url = Some("https://causeway.example".to_owned());
    let server = serve(SignalSettings { public_url, ..small() });
    let room = server.room(&CreateRoom::default()).await;
    assert_eq!(room.link, format!("https://causeway.example/r/{}", room.room));
    let joined = server.join(&room.room, &Default::default()).await.unwrap();
    let ServerMessage::Welcome { grant, .. } = server.connect(&joined.token).await.next().await else {
        panic!("no welcome");
    };
    assert_eq!(grant.ice_servers[1].urls, ["turn:causeway.example:3478?transport=udp"]);
    server.stop().await;
}

#[actix_web::test]
async fn the_web_demos_page_is_served_with_its_confinement() {
    let server = serve(small());
    let response = within(awc::Client::default().get(server.url("/r/k1tchen00000")).send()).await.unwrap();
    // A page, or a sentence on how to build it: both confined.
    assert!(matches!(response.status().as_u16(), 200 | 503), "{}", response.status());
    let policy = response.headers().get("content-security-policy").unwrap().to_str().unwrap();
    assert!(policy.contains(&format!("ws://{}", server.address)), "{policy}");
    server.stop().await;
}
