//! What a join token grants holds in the room and in the relay credential.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::ErrorCode;
use causeway_protocol::message::{ClientMessage, IceServer, ServerMessage};
use causeway_protocol::rest::{CreateRoom, RoomCreated};
use causeway_protocol::token::{
    Grant, GrantSet, Grants, JoinClaims, JoinTokens, RelayBudget, RoomRole, TurnClaims, TurnVerifier,
};
use causeway_service::clock;
use common::{TestServer, serve, small};

#[actix_web::test]
async fn who_may_only_listen_hears_and_is_refused_by_name() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let mut speaker = server.member(&room.room, "Alice").await;
    let grants = Grants { can: GrantSet::of(&[Grant::Join]), relay: RelayBudget::default() };
    let mut listener = server.connect(&token(&server, &room, grants)).await;
    assert!(matches!(listener.next().await, ServerMessage::Welcome { .. }));
    listener.send(&ClientMessage::App { to: None, data: "hello".into() }).await;
    let refused = listener.next().await;
    assert!(
        matches!(&refused, ServerMessage::Error { code: ErrorCode::NotAllowed, refused: Some(kind), .. } if kind == "app"),
        "{refused:?}"
    );
    speaker.send(&ClientMessage::App { to: None, data: "hello".into() }).await;
    assert!(matches!(listener.next().await, ServerMessage::App { .. }));
    server.stop().await;
}

#[actix_web::test]
async fn the_relay_budget_is_in_every_credential_and_is_one_for_all_of_them() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let relay = RelayBudget { bytes: Some(1_000_000), bps: Some(50_000) };
    let mut client = server.connect(&token(&server, &room, Grants { relay, ..Grants::default() })).await;
    let ServerMessage::Welcome { grant, .. } = client.next().await else { panic!("no welcome") };
    client.send(&ClientMessage::RefreshIce {}).await;
    let ServerMessage::IceServers { ice_servers: fresh, .. } = client.next().await else {
        panic!("no servers")
    };
    let (first, second) = (credential(&server, &grant.ice_servers), credential(&server, &fresh));
    assert_eq!((first.bytes, first.bps), (relay.bytes, relay.bps));
    assert_eq!((second.bytes, second.bps), (relay.bytes, relay.bps));
    assert_eq!(first.jti, second.jti);
    server.stop().await;
}

fn token(server: &TestServer, room: &RoomCreated, grants: Grants) -> String {
    JoinTokens::new(&server.secret).sign(&JoinClaims {
        aud: JoinTokens::AUDIENCE.to_owned(),
        sub: "bob".parse().unwrap(),
        room: room.room.clone(),
        role: RoomRole::Guest,
        name: None,
        grants,
        exp: clock::now().unix.plus(60),
        jti: "t".parse().unwrap(),
    })
}

fn credential(server: &TestServer, servers: &[IceServer]) -> TurnClaims {
    let username = servers.iter().find_map(|server| server.username.as_deref()).unwrap();
    TurnVerifier::hs256(&server.secret).check(username, clock::now().unix).unwrap()
}
