//! Tokens that apps mint: what they open, and what they do not.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::rest::{CreateRoom, JoinRoom, RoomCreated, RoomFacts};
use causeway_protocol::token::RoomRole;
use causeway_protocol::{ErrorCode, RoomId};
use causeway_service::{Hidden, clock};
use causeway_signal::{ApiKeySettings, ApiKeys, LimitSettings, SignalSettings};
use common::mint::{SECRET, app, claims, signed, token};
use common::{Client, Nodes, TestServer, code, serve, small};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

const OTHER_SECRET: &str = "fedcba9876543210fedcba9876543210";
/// `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`, and its public half.
const P256: (&str, &str) = (
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgIWhN4zZ6Prj5qomI0SzO1/FOMAZOgeOV968ZP2FQ3e2hRANCAARnS//6zmM6\
     gWXF9QqRQkEoKBKfzqsxBM6f3lnxLwsybP6S6t6B61J6lg7aU0TWL/FcJEouIXPeH+UoUFyUY/Ha",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEZ0v/+s5jOoFlxfUKkUJBKCgSn86rMQTOn95Z8S8LMmz+kuregetSepYO2lNE1i/xXCRKLiFz\
     3h/lKFBclGPx2g==",
);

#[actix_web::test]
async fn the_first_token_makes_the_room_and_the_next_one_finds_it() {
    let server = serve(settings());
    let (mut alice, welcome) = enter(&server, &token("app", &json!({"sub": "alice", "name": "Alice"}))).await;
    let ServerMessage::Welcome { snapshot, .. } = welcome else { panic!("{welcome:?}") };
    assert_eq!((snapshot.peer.as_str(), snapshot.role), ("alice", RoomRole::Guest));
    let host = token("app", &json!({"sub": "bob", "grants": {"host": true}}));
    let mut bob = server.socket(&[]).await.unwrap();
    bob.send(&ClientMessage::Hello { version: 1, token: host }).await;
    let ServerMessage::Welcome { snapshot, .. } = bob.next().await else { panic!("no welcome") };
    assert_eq!(snapshot.role, RoomRole::Host);
    let ServerMessage::PeerJoined { peer, .. } = alice.next().await else { panic!("nobody came") };
    assert_eq!(peer.id.as_str(), "bob");
    server.stop().await;
}

#[actix_web::test]
async fn a_token_may_be_changed_for_a_join_token_first() {
    let server = serve(settings());
    let body = JoinRoom { app_token: Some(token("app", &json!({"sub": "alice"}))), ..Default::default() };
    let joined = server.join(&room(), &body).await.unwrap();
    assert_eq!(joined.peer.as_str(), "alice");
    let mut client = server.connect(&joined.token).await;
    assert!(matches!(client.next().await, ServerMessage::Welcome { .. }));
    let elsewhere = server.join(&"elsewhere".parse().unwrap(), &body).await;
    assert_eq!(code(elsewhere), ErrorCode::TokenInvalid);
    server.stop().await;
}

/// A kick revokes what a token was changed for until that expires. If the app's token lived longer, it would open again.
#[actix_web::test]
async fn what_a_token_is_changed_for_expires_with_it_unless_it_is_used_up() {
    let server = serve(settings());
    let now = clock::now().unix.0;
    for (change, expected) in [
        (json!({"sub": "alice", "exp": now + 600}), now + 600 + 30),
        (json!({"sub": "bob", "exp": now + 600, "jti": "once"}), now + 60),
    ] {
        let body = JoinRoom { app_token: Some(token("app", &change)), ..Default::default() };
        let joined = server.join(&room(), &body).await.unwrap();
        assert!(joined.expires_at.0.abs_diff(expected) <= 5, "{change}: {joined:?}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_locked_room_is_told_as_that() {
    let server = serve(settings());
    let (mut host, _) =
        enter(&server, &token("app", &json!({"sub": "host", "grants": {"host": true}}))).await;
    host.send(&ClientMessage::Lock { locked: true }).await;
    assert!(matches!(host.next().await, ServerMessage::Locked { locked: true, .. }));
    check_refused(&server, &token("app", &json!({"sub": "bob"})), 4423, ErrorCode::RoomLocked).await;
    server.stop().await;
}

#[actix_web::test]
async fn whom_a_token_does_not_name_the_server_names() {
    let server = serve(settings());
    let (_one, first) = enter(&server, &token("app", &json!({}))).await;
    let (_two, second) = enter(&server, &token("app", &json!({}))).await;
    let peer = |welcome| match welcome {
        ServerMessage::Welcome { snapshot, .. } => snapshot.peer,
        other => panic!("{other:?}"),
    };
    assert_ne!(peer(first), peer(second));
    server.stop().await;
}

#[actix_web::test]
async fn a_key_pair_of_the_app_works_and_its_public_half_is_no_secret() {
    let server = serve(settings());
    let key = EncodingKey::from_ec_der(&STANDARD.decode(P256.0).unwrap());
    let (_client, welcome) = enter(&server, &signed("pair", Algorithm::ES256, &key, &json!({}))).await;
    assert!(matches!(welcome, ServerMessage::Welcome { .. }), "{welcome:?}");
    let public = EncodingKey::from_secret(P256.1.as_bytes());
    check_refused(
        &server,
        &signed("pair", Algorithm::HS256, &public, &json!({})),
        4401,
        ErrorCode::TokenInvalid,
    )
    .await;
    server.stop().await;
}

/// Forged, expired, for another room, used twice, and all the others.
#[actix_web::test]
async fn what_opens_nothing() {
    let server = serve(settings());
    let _alice = enter(&server, &token("app", &json!({"sub": "alice"}))).await;
    let people = server.room(&CreateRoom::default()).await;
    let now = clock::now().unix.0;
    let other = EncodingKey::from_secret(OTHER_SECRET.as_bytes());
    let used = token("app", &json!({"sub": "carol", "jti": "only once"}));
    let _carol = enter(&server, &used).await;
    let (invalid, denied) = (ErrorCode::TokenInvalid, ErrorCode::NotAllowed);
    for (what, token, number, expected) in [
        (
            "another key's signature",
            signed("app", Algorithm::HS256, &other, &json!({"sub": "alice"})),
            4401,
            invalid,
        ),
        ("no such key", token("nobody", &json!({})), 4401, invalid),
        ("no signature", unsigned(&json!({"alg": "none", "kid": "app"})), 4401, invalid),
        (
            "no signature and the key's algorithm",
            unsigned(&json!({"alg": "HS256", "kid": "app"})),
            4401,
            invalid,
        ),
        ("expired", token("app", &json!({"exp": now - 31})), 4401, ErrorCode::TokenExpired),
        ("for ever", token("app", &json!({"exp": now + 1_000_000})), 4401, invalid),
        ("no expiry", token("app", &json!({"exp": null})), 4401, invalid),
        ("not yet", token("app", &json!({"nbf": now + 300})), 4401, invalid),
        ("for somebody else", token("app", &json!({"aud": "other"})), 4401, invalid),
        ("no room", token("app", &json!({"room": null})), 4401, invalid),
        ("a room of people", token("app", &json!({"room": people.room})), 4401, denied),
        ("a room of another app", signed("other", Algorithm::HS256, &other, &json!({})), 4401, denied),
        ("used", used, 4401, invalid),
        ("no join", token("app", &json!({"grants": {"join": false}})), 4401, denied),
        (
            "more than the key may give",
            signed("other", Algorithm::HS256, &other, &json!({"grants": {"kick": true}})),
            4401,
            denied,
        ),
        ("a name that is none", token("app", &json!({"name": "line\nbreak"})), 4401, ErrorCode::BadMessage),
        (
            "a key that makes no rooms",
            signed("guest", Algorithm::HS256, &other, &json!({"room": "new"})),
            4401,
            denied,
        ),
    ] {
        let (closed, told) = refused(&server, &token).await;
        assert_eq!((closed, told), (number, expected), "{what}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_token_without_a_name_of_its_own_opens_until_it_expires_and_displaces_itself() {
    let server = serve(settings());
    let token = token("app", &json!({"sub": "alice"}));
    let (mut first, _) = enter(&server, &token).await;
    let _second = enter(&server, &token).await;
    assert_eq!(first.end().await.0, 4409);
    server.stop().await;
}

#[actix_web::test]
async fn first_tokens_on_two_nodes_at_once_make_one_room_and_a_used_one_is_used_everywhere() {
    let nodes = Nodes::with(2, &settings());
    let (one, two) = (token("app", &json!({"sub": "one"})), token("app", &json!({"sub": "two"})));
    let ((mut first, _), (mut second, _)) =
        futures_util::future::join(enter(nodes.of(0), &one), enter(nodes.of(1), &two)).await;
    first.send(&ClientMessage::App { to: Some("two".parse().unwrap()), data: "hello".into() }).await;
    let heard = loop {
        match second.next().await {
            ServerMessage::PeerJoined { .. } => {}
            other => break other,
        }
    };
    assert!(matches!(heard, ServerMessage::App { .. }), "{heard:?}");
    let once = token("app", &json!({"sub": "three", "jti": "once"}));
    let (_third, welcome) = enter(nodes.of(1), &once).await;
    assert!(matches!(welcome, ServerMessage::Welcome { .. }), "{welcome:?}");
    for node in [0, 1] {
        check_refused(nodes.of(node), &once, 4401, ErrorCode::TokenInvalid).await;
    }
    nodes.stop().await;
}

#[actix_web::test]
async fn what_may_be_done_a_minute_may_be_done_on_all_nodes_together() {
    let limits = LimitSettings { rooms_per_minute: 2, passwords_per_minute: 3, ..Default::default() };
    let nodes = Nodes::with(2, &SignalSettings { limits, ..settings() });
    let password = Some("open sesame".to_owned());
    let room = nodes.of(0).room(&CreateRoom { password, ..Default::default() }).await;
    nodes.of(1).room(&CreateRoom::default()).await;
    for node in [0, 1] {
        let refused =
            nodes.of(node).post::<RoomCreated>("/api/v1/rooms", &CreateRoom::default()).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::RateLimited, "node {node}");
        assert!(
            refused.retry_after_seconds.is_some_and(|seconds| (1..=60).contains(&seconds)),
            "{refused:?}"
        );
    }
    let guess = JoinRoom { password: Some("guess".to_owned()), ..Default::default() };
    for node in [0, 1, 0] {
        assert_eq!(
            code(nodes.of(node).join(&room.room, &guess).await),
            ErrorCode::PasswordWrong,
            "node {node}"
        );
    }
    for node in [0, 1] {
        assert_eq!(
            code(nodes.of(node).join(&room.room, &guess).await),
            ErrorCode::RateLimited,
            "node {node}"
        );
    }
    nodes.stop().await;
}

#[actix_web::test]
async fn the_link_alone_does_not_open_a_room_that_a_token_made() {
    let server = serve(settings());
    let _alice = enter(&server, &token("app", &json!({}))).await;
    assert_eq!(code(server.join(&room(), &JoinRoom::default()).await), ErrorCode::InviteInvalid);
    server.stop().await;
}

#[actix_web::test]
async fn rooms_of_a_key_are_as_large_as_it_may_make_them() {
    let server = serve(settings());
    let _one = enter(&server, &token("app", &json!({"sub": "one"}))).await;
    let facts: RoomFacts = server.get("/api/v1/rooms/standup").await.unwrap();
    assert_eq!(facts.capacity, 3);
    let _two = enter(&server, &token("app", &json!({"sub": "two"}))).await;
    let _three = enter(&server, &token("app", &json!({"sub": "three"}))).await;
    check_refused(&server, &token("app", &json!({"sub": "four"})), 4413, ErrorCode::RoomFull).await;
    // Who is inside comes back.
    let (_again, welcome) = enter(&server, &token("app", &json!({"sub": "two"}))).await;
    assert!(matches!(welcome, ServerMessage::Welcome { .. }), "{welcome:?}");
    server.stop().await;
}

#[actix_web::test]
async fn a_key_that_is_used_too_often_is_told_when_to_come_back() {
    let mut settings = settings();
    let app = settings.api_keys.get_mut(&"app".parse().unwrap()).unwrap();
    (app.rooms_per_minute, app.max_rooms) = (2, 1);
    let server = serve(settings);
    let _one = enter(&server, &token("app", &json!({"room": "one"}))).await;
    check_refused(&server, &token("app", &json!({"room": "two"})), 4500, ErrorCode::Unavailable).await;
    let body = JoinRoom { app_token: Some(token("app", &json!({"room": "three"}))), ..Default::default() };
    let refused = server.join(&"three".parse().unwrap(), &body).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::RateLimited);
    assert!(refused.retry_after_seconds.is_some_and(|seconds| (1..=60).contains(&seconds)), "{refused:?}");
    server.stop().await;
}

#[actix_web::test]
async fn keys_change_while_the_server_runs() {
    let server = serve(settings());
    let (mut alice, _) = enter(&server, &token("app", &json!({"sub": "alice"}))).await;
    let mut changed = settings();
    changed.api_keys.remove(&"app".parse().unwrap());
    server.running.reconfigure(&changed);
    check_refused(&server, &token("app", &json!({"sub": "bob"})), 4401, ErrorCode::TokenInvalid).await;
    alice.send(&ClientMessage::Ping { nonce: 1 }).await;
    assert!(matches!(alice.next().await, ServerMessage::Pong { .. }), "who is inside stays");
    server.running.reconfigure(&settings());
    assert!(matches!(
        enter(&server, &token("app", &json!({"sub": "bob"}))).await.1,
        ServerMessage::Welcome { .. }
    ));
    server.stop().await;
}

#[actix_web::test]
async fn the_documented_example_mints_a_token_that_opens() {
    let document = std::fs::read_to_string("../docs/protocol.md").unwrap();
    let (_, example) = document.split_once("```js\n// mint.mjs").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("mint.mjs");
    std::fs::write(&script, format!("//{}", example.split("```").next().unwrap())).unwrap();
    let node =
        std::process::Command::new("node").arg(&script).args(["app", SECRET, "standup", "alice"]).output();
    let node = node.expect("Node is needed for the examples in the documents");
    assert!(node.status.success(), "{}", String::from_utf8_lossy(&node.stderr));
    let server = serve(settings());
    let (_alice, welcome) = enter(&server, String::from_utf8(node.stdout).unwrap().trim()).await;
    let ServerMessage::Welcome { snapshot, .. } = welcome else { panic!("{welcome:?}") };
    assert_eq!((snapshot.peer.as_str(), snapshot.role), ("alice", RoomRole::Host));
    server.stop().await;
}

fn settings() -> SignalSettings {
    let secret = |text: &str| Some(Hidden::new(text));
    let app = ApiKeySettings { max_peers: Some(3), ..app() };
    let pair = ApiKeySettings { public_key: Some(P256.1.to_owned()), ..Default::default() };
    let other = ApiKeySettings {
        secret: secret(OTHER_SECRET),
        allowed_grants: causeway_protocol::token::GrantSet::PEER.into(),
        ..Default::default()
    };
    let guest = ApiKeySettings { may_create_rooms: false, ..other.clone() };
    let keys = [("app", app), ("pair", pair), ("other", other), ("guest", guest)];
    let api_keys = ApiKeys::from(keys.map(|(id, key)| (id.parse().unwrap(), key)));
    SignalSettings { api_keys, ..small() }
}

fn room() -> RoomId {
    "standup".parse().unwrap()
}

fn unsigned(header: &Value) -> String {
    let part = |json: &Value| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.", part(header), part(&claims(&json!({}))))
}

async fn enter(server: &TestServer, token: &str) -> (Client, ServerMessage) {
    let mut client = server.connect(token).await;
    let first = client.next().await;
    (client, first)
}

async fn refused(server: &TestServer, token: &str) -> (u16, ErrorCode) {
    let (number, messages) = server.connect(token).await.end().await;
    match messages.first() {
        Some(ServerMessage::Error { code, .. }) => (number, *code),
        other => panic!("{other:?}, then {number}"),
    }
}

async fn check_refused(server: &TestServer, token: &str, number: u16, code: ErrorCode) {
    assert_eq!(refused(server, token).await, (number, code));
}
