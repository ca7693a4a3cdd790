//! Who may come in: passwords, invites, host tokens, join tokens.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::rest::{
    ApiError, CreateInvite, CreateRoom, InviteCreated, JoinRoom, RoomCreated, RoomFacts,
};
use causeway_protocol::secret::Secret;
use causeway_protocol::token::{Grants, JoinClaims, JoinTokens, RoomRole};
use causeway_protocol::{ErrorCode, UnixSeconds};
use causeway_service::clock;
use causeway_signal::{LimitSettings, SignalSettings};
use common::{TestServer, answer, code, serve, small, within};

#[actix_web::test]
async fn a_password_opens_its_room_and_no_other_password_does() {
    let server = serve(small());
    let room = server.room(&with_password()).await;
    let facts: RoomFacts = server.get(&format!("/api/v1/rooms/{}", room.room)).await.unwrap();
    assert!(facts.password_required && !facts.invite_required);
    assert_eq!(code(server.join(&room.room, &JoinRoom::default()).await), ErrorCode::PasswordRequired);
    assert_eq!(code(server.join(&room.room, &password("open barley")).await), ErrorCode::PasswordWrong);
    assert_eq!(code(server.join(&room.room, &password(&"x".repeat(5000))).await), ErrorCode::PasswordWrong);
    assert_eq!(server.join(&room.room, &password("open sesame")).await.unwrap().role, RoomRole::Guest);
    server.stop().await;
}

#[actix_web::test]
async fn passwords_are_not_tried_without_end() {
    for limits in [
        LimitSettings { passwords_per_minute: 2, ..Default::default() },
        LimitSettings { room_passwords_per_minute: 2, ..Default::default() },
    ] {
        let server = serve(SignalSettings { limits, ..small() });
        let room = server.room(&with_password()).await;
        for _ in 0..2 {
            assert_eq!(code(server.join(&room.room, &password("guess")).await), ErrorCode::PasswordWrong);
        }
        assert_eq!(code(server.join(&room.room, &password("open sesame")).await), ErrorCode::RateLimited);
        server.stop().await;
    }
}

#[actix_web::test]
async fn an_invite_opens_once_and_instead_of_the_password() {
    let server = serve(small());
    let room = server.room(&CreateRoom { invite_only: true, ..with_password() }).await;
    let refused = server.join(&room.room, &password("open sesame")).await;
    assert_eq!(code(refused), ErrorCode::InviteInvalid);
    let invite = server_invite(&server, &room, &room.host_token, None).await.unwrap();
    assert_eq!(invite.expires_at, room.expires_at);
    let body = JoinRoom { invite: Some(invite.invite.clone()), ..Default::default() };
    assert_eq!(server.join(&room.room, &body).await.unwrap().role, RoomRole::Guest);
    assert_eq!(code(server.join(&room.room, &body).await), ErrorCode::InviteInvalid);
    server.stop().await;
}

#[actix_web::test]
async fn of_many_who_show_the_same_invite_at_once_one_passes() {
    let server = serve(SignalSettings { http_threads: 4, ..small() });
    let room = server.room(&CreateRoom { invite_only: true, ..Default::default() }).await;
    let invite = server_invite(&server, &room, &room.host_token, None).await.unwrap().invite;
    let body = JoinRoom { invite: Some(invite), ..Default::default() };
    let all = (0..8).map(|_| server.join(&room.room, &body));
    let passed = futures_util::future::join_all(all).await.into_iter().filter(Result::is_ok).count();
    assert_eq!(passed, 1);
    server.stop().await;
}

#[actix_web::test]
async fn an_invite_for_another_room_or_from_nowhere_opens_nothing() {
    let server = serve(small());
    let room = server.room(&CreateRoom { invite_only: true, ..Default::default() }).await;
    let other = server.room(&CreateRoom::default()).await;
    let foreign = server_invite(&server, &other, &other.host_token, Some(600)).await.unwrap().invite;
    for invite in [foreign, room.host_token.clone(), "garbage".to_owned()] {
        let body = JoinRoom { invite: Some(invite), ..Default::default() };
        assert_eq!(code(server.join(&room.room, &body).await), ErrorCode::InviteInvalid);
    }
    server.stop().await;
}

#[actix_web::test]
async fn only_the_rooms_own_host_token_makes_hosts_and_invites() {
    let server = serve(small());
    let room = server.room(&with_password()).await;
    let other = server.room(&CreateRoom::default()).await;
    let host = JoinRoom { host_token: Some(room.host_token.clone()), ..Default::default() };
    assert_eq!(server.join(&room.room, &host).await.unwrap().role, RoomRole::Host);
    assert_eq!(code(server.join(&other.room, &host).await), ErrorCode::NotAllowed);
    let forged = JoinRoom { host_token: Some("garbage".to_owned()), ..Default::default() };
    assert_eq!(code(server.join(&room.room, &forged).await), ErrorCode::TokenInvalid);
    assert_eq!(code(server_invite(&server, &room, &other.host_token, None).await), ErrorCode::NotAllowed);
    let guest = server.join(&room.room, &password("open sesame")).await.unwrap();
    assert_eq!(code(server_invite(&server, &room, &guest.token, None).await), ErrorCode::TokenInvalid);
    let path = format!("/api/v1/rooms/{}/invites", room.room);
    let without = server.post::<InviteCreated>(&path, &CreateInvite::default()).await;
    assert_eq!(code(without), ErrorCode::TokenInvalid);
    server.stop().await;
}

#[actix_web::test]
async fn a_full_room_is_told_before_the_socket_and_at_the_socket() {
    let server = serve(small());
    let room = server.room(&CreateRoom { capacity: Some(1), ..Default::default() }).await;
    let late = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let _first = server.member(&room.room, "Alice").await;
    assert_eq!(code(server.join(&room.room, &JoinRoom::default()).await), ErrorCode::RoomFull);
    let (number, _) = server.connect(&late.token).await.end().await;
    assert_eq!(number, 4413);
    server.stop().await;
}

#[actix_web::test]
async fn a_token_that_is_forged_expired_or_of_another_kind_is_told_over_the_socket() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let now = clock::now().unix;
    let forged = JoinTokens::new(&Secret::from_bytes([8; 32])).sign(&claims(&room, now.plus(60)));
    let expired = JoinTokens::new(&server.secret).sign(&claims(&room, UnixSeconds(now.0 - 1)));
    for (token, expected) in [
        (forged, ErrorCode::TokenInvalid),
        (room.host_token.clone(), ErrorCode::TokenInvalid),
        ("a.b.c".to_owned(), ErrorCode::TokenInvalid),
        (expired, ErrorCode::TokenExpired),
    ] {
        let (number, messages) = server.connect(&token).await.end().await;
        assert_eq!(number, 4401);
        let [ServerMessage::Error { code, .. }, ServerMessage::Closing { code: 4401, reconnect: false, .. }] =
            &messages[..]
        else {
            panic!("{messages:?}");
        };
        assert_eq!(*code, expected);
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_genuine_token_for_a_room_that_is_gone_finds_nothing() {
    let server = serve(small());
    let mut room = server.room(&CreateRoom::default()).await;
    room.room = "nowhere".parse().unwrap();
    let token = JoinTokens::new(&server.secret).sign(&claims(&room, clock::now().unix.plus(60)));
    let (number, messages) = server.connect(&token).await.end().await;
    assert_eq!(number, 4404);
    assert!(
        matches!(messages[0], ServerMessage::Error { code: ErrorCode::RoomNotFound, .. }),
        "{messages:?}"
    );
    server.stop().await;
}

#[actix_web::test]
async fn the_token_may_come_in_a_hello_instead() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut client = server.socket(&[]).await.unwrap();
    assert_eq!(client.protocol, None);
    client.send(&ClientMessage::Hello { version: 1, token: joined.token }).await;
    assert!(matches!(client.next().await, ServerMessage::Welcome { .. }));
    server.stop().await;
}

#[actix_web::test]
async fn a_peer_cannot_be_guessed_into_anothers_place() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    // A join names no peer: the server draws it. Whoever signs with another key names one in vain.
    let as_alice = JoinClaims { sub: alice.peer(), ..claims(&room, clock::now().unix.plus(60)) };
    let forged = JoinTokens::new(&Secret::from_bytes([8; 32])).sign(&as_alice);
    assert_eq!(server.connect(&forged).await.end().await.0, 4401);
    alice.send(&ClientMessage::Ping { nonce: 3 }).await;
    assert!(matches!(alice.next().await, ServerMessage::Pong { nonce: 3, .. }));
    server.stop().await;
}

fn with_password() -> CreateRoom {
    CreateRoom { password: Some("open sesame".to_owned()), ..Default::default() }
}

fn password(text: &str) -> JoinRoom {
    JoinRoom { password: Some(text.to_owned()), ..Default::default() }
}

fn claims(room: &RoomCreated, exp: UnixSeconds) -> JoinClaims {
    JoinClaims {
        aud: JoinTokens::AUDIENCE.to_owned(),
        sub: "mallory".parse().unwrap(),
        room: room.room.clone(),
        role: RoomRole::Guest,
        name: None,
        grants: Grants::default(),
        exp,
        jti: "t".parse().unwrap(),
    }
}

async fn server_invite(
    server: &TestServer,
    room: &RoomCreated,
    token: &str,
    ttl_seconds: Option<u64>,
) -> Result<InviteCreated, ApiError> {
    let url = server.url(&format!("/api/v1/rooms/{}/invites", room.room));
    let request = awc::Client::default().post(url).bearer_auth(token);
    answer(within(request.send_json(&CreateInvite { ttl_seconds })).await.unwrap()).await
}
