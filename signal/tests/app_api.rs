//! The server API of apps: making, listing and ending their rooms.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::ErrorCode;
use causeway_protocol::message::ServerMessage;
use causeway_protocol::rest::{ApiError, AppRooms, CreateRoom, JoinRoom, RoomCreated};
use causeway_signal::{ApiKeySettings, ApiKeys, SignalSettings};
use common::mint::{app, token};
use common::{Nodes, TestServer, answer, code, serve, small, within};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const ROOMS: &str = "/api/v1/app/rooms";

#[actix_web::test]
async fn an_app_makes_a_room_of_its_choice_lists_it_and_ends_it() {
    let server = serve(settings());
    let made: RoomCreated =
        post(&server, &admin(), &json!({"room": "standup", "capacity": 2})).await.unwrap();
    assert_eq!((made.room.as_str(), made.capacity), ("standup", 2));
    assert!(made.link.ends_with("/r/standup"), "{}", made.link);
    let _of_people = server.room(&CreateRoom::default()).await;
    assert_eq!(listed(&server, &admin()).await, ["standup"]);
    let mut alice = server.connect(&token("app", &json!({"sub": "alice"}))).await;
    assert!(matches!(alice.next().await, ServerMessage::Welcome { .. }));
    end(&server, &admin(), "standup").await.unwrap();
    assert_eq!(alice.end().await.0, 4410);
    assert!(listed(&server, &admin()).await.is_empty());
    assert_eq!(code(end(&server, &admin(), "standup").await), ErrorCode::RoomNotFound);
    server.stop().await;
}

#[actix_web::test]
async fn a_room_is_gone_from_the_moment_its_members_hear_of_it_and_its_name_is_free() {
    let server = serve(settings());
    for _ in 0..20 {
        let _made: RoomCreated = post(&server, &admin(), &json!({"room": "standup"})).await.unwrap();
        let mut alice = server.connect(&token("app", &json!({"sub": "alice"}))).await;
        assert!(matches!(alice.next().await, ServerMessage::Welcome { .. }));
        let heard = async {
            assert!(matches!(alice.next().await, ServerMessage::Closing { .. }));
            assert_eq!(code(facts(&server, "standup").await), ErrorCode::RoomNotFound);
        };
        let admin = admin();
        let (ended, ()) = tokio::join!(end(&server, &admin, "standup"), heard);
        ended.unwrap();
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_room_that_ended_while_its_node_was_cut_off_does_not_come_back() {
    let nodes = Nodes::with(2, &settings());
    let _made: RoomCreated = post(nodes.of(0), &admin(), &json!({"room": "standup"})).await.unwrap();
    nodes.hub.partition(&Nodes::name(0));
    end(nodes.of(0), &admin(), "standup").await.unwrap();
    assert_eq!(code(facts(nodes.of(0), "standup").await), ErrorCode::RoomNotFound);
    nodes.hub.heal(&Nodes::name(0));
    assert_eq!(code(facts(nodes.of(0), "standup").await), ErrorCode::RoomNotFound);
    // Its name is free when what was kept of it is gone.
    while let Err(refused) = post::<RoomCreated>(nodes.of(0), &admin(), &json!({"room": "standup"})).await {
        assert_eq!(refused.code, ErrorCode::RoomTaken);
    }
    nodes.stop().await;
}

#[actix_web::test]
async fn a_name_that_is_taken_is_refused_whoever_has_it() {
    let server = serve(settings());
    let _made: RoomCreated = post(&server, &admin(), &json!({"room": "standup"})).await.unwrap();
    for key in ["app", "other"] {
        let again = post::<RoomCreated>(&server, &admin_of(key), &json!({"room": "standup"})).await;
        assert_eq!(code(again), ErrorCode::RoomTaken, "{key}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn the_rooms_of_others_are_not_there() {
    let server = serve(settings());
    let people = server.room(&CreateRoom::default()).await;
    let _made: RoomCreated = post(&server, &admin_of("other"), &json!({"room": "theirs"})).await.unwrap();
    for room in [people.room.as_str(), "theirs", "nowhere", "a%20b"] {
        assert_eq!(code(end(&server, &admin(), room).await), ErrorCode::RoomNotFound, "{room}");
    }
    assert!(listed(&server, &admin()).await.is_empty());
    server.stop().await;
}

#[actix_web::test]
async fn the_api_takes_the_grant_admin_and_a_token_for_one_room_reaches_that_one() {
    let server = serve(settings());
    for (bearer, expected) in [
        (token("app", &json!({})), ErrorCode::NotAllowed),
        (token("app", &json!({"grants": {"host": true}})), ErrorCode::NotAllowed),
        (token("nobody", &json!({"grants": {"admin": true}})), ErrorCode::TokenInvalid),
        ("app.0123456789abcdef0123456789abcdef".to_owned(), ErrorCode::TokenInvalid),
        (String::new(), ErrorCode::TokenInvalid),
    ] {
        assert_eq!(code(post::<RoomCreated>(&server, &bearer, &json!({})).await), expected, "{bearer}");
    }
    let one = token("app", &json!({"grants": {"admin": true}}));
    let made: RoomCreated = post(&server, &one, &json!({})).await.unwrap();
    assert_eq!(made.room.as_str(), "standup", "the room that the token is for");
    let other = post::<RoomCreated>(&server, &one, &json!({"room": "other"})).await;
    assert_eq!(code(other), ErrorCode::TokenInvalid);
    let _other: RoomCreated = post(&server, &admin(), &json!({"room": "other"})).await.unwrap();
    assert_eq!(code(end(&server, &one, "other").await), ErrorCode::TokenInvalid);
    assert_eq!(listed(&server, &one).await, ["standup"]);
    assert_eq!(listed(&server, &admin()).await, ["other", "standup"]);
    server.stop().await;
}

#[actix_web::test]
async fn a_peer_that_is_sent_away_may_come_back_with_another_token_and_one_that_is_banned_may_not() {
    let server = serve(settings());
    let first = token("app", &json!({"sub": "alice", "name": "first"}));
    let mut alice = server.connect(&first).await;
    assert!(matches!(alice.next().await, ServerMessage::Welcome { .. }));
    kick(&server, "standup", &json!({"peer": "alice", "reason": "Mind your language."})).await.unwrap();
    let (closed, heard) = alice.end().await;
    assert_eq!(closed, 4403);
    assert!(
        matches!(&heard[0], ServerMessage::Error { code: ErrorCode::Kicked, message, .. } if message == "Mind your language."),
        "{heard:?}"
    );
    let (closed, _) = server.connect(&first).await.end().await;
    assert_eq!(closed, 4403, "the token ended with the session");
    let mut again = server.connect(&token("app", &json!({"sub": "alice", "name": "second"}))).await;
    assert!(matches!(again.next().await, ServerMessage::Welcome { .. }));
    kick(&server, "standup", &json!({"peer": "alice", "ban": true})).await.unwrap();
    assert_eq!(again.end().await.0, 4403);
    let (closed, _) =
        server.connect(&token("app", &json!({"sub": "alice", "name": "third"}))).await.end().await;
    assert_eq!(closed, 4403);
    server.stop().await;
}

#[actix_web::test]
async fn who_is_not_there_can_be_kept_out_but_not_sent_away() {
    let server = serve(settings());
    let _made: RoomCreated = post(&server, &admin(), &json!({"room": "standup"})).await.unwrap();
    assert_eq!(code(kick(&server, "standup", &json!({"peer": "bob"})).await), ErrorCode::PeerNotFound);
    kick(&server, "standup", &json!({"peer": "bob", "ban": true})).await.unwrap();
    kick(&server, "standup", &json!({"peer": "bob", "ban": true})).await.unwrap();
    let (closed, _) = server.connect(&token("app", &json!({"sub": "bob"}))).await.end().await;
    assert_eq!(closed, 4403);
    let reason = "x".repeat(5000);
    for (room, body, expected) in [
        ("standup", json!({"peer": "bob", "ban": true, "reason": reason}), ErrorCode::BadMessage),
        ("standup", json!({"peer": "a b"}), ErrorCode::BadMessage),
        ("standup", json!({}), ErrorCode::BadMessage),
        ("nowhere", json!({"peer": "bob"}), ErrorCode::RoomNotFound),
    ] {
        assert_eq!(code(kick(&server, room, &body).await), expected, "{room} {body:.40}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn any_node_takes_orders_for_a_room_wherever_it_lives() {
    let nodes = Nodes::with(2, &settings());
    let _made: RoomCreated = post(nodes.of(0), &admin(), &json!({"room": "standup"})).await.unwrap();
    let again = post::<RoomCreated>(nodes.of(1), &admin(), &json!({"room": "standup"})).await;
    assert_eq!(code(again), ErrorCode::RoomTaken);
    let mut alice = nodes.of(0).connect(&token("app", &json!({"sub": "alice"}))).await;
    assert!(matches!(alice.next().await, ServerMessage::Welcome { .. }));
    let mut bob = nodes.of(1).connect(&token("app", &json!({"sub": "bob"}))).await;
    assert!(matches!(bob.next().await, ServerMessage::Welcome { .. }));
    kick(nodes.of(1), "standup", &json!({"peer": "alice"})).await.unwrap();
    assert_eq!(alice.end().await.0, 4403);
    assert_eq!(code(kick(nodes.of(1), "standup", &json!({"peer": "alice"})).await), ErrorCode::PeerNotFound);
    let theirs = admin_of("other");
    assert_eq!(code(end(nodes.of(1), &theirs, "standup").await), ErrorCode::RoomNotFound);
    end(nodes.of(1), &admin(), "standup").await.unwrap();
    assert!(matches!(bob.end().await.0, 4410));
    assert!(listed(nodes.of(0), &admin()).await.is_empty());
    nodes.stop().await;
}

#[actix_web::test]
async fn people_come_by_the_link_only_if_the_app_says_so() {
    let server = serve(settings());
    for (body, expected) in [
        (json!({"room": "closed"}), Err(ErrorCode::InviteInvalid)),
        (json!({"room": "open", "openToLink": true}), Ok(())),
        (json!({"room": "password", "password": "open sesame"}), Err(ErrorCode::PasswordRequired)),
    ] {
        let made: RoomCreated = post(&server, &admin(), &body).await.unwrap();
        let joined = server.join(&made.room, &JoinRoom::default()).await;
        assert_eq!(joined.map(|_| ()).map_err(|refused| refused.code), expected, "{body}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_room_is_within_the_bounds_of_its_key() {
    let server = serve(settings());
    let bounded = admin_of("bounded");
    let made: RoomCreated = post(&server, &bounded, &json!({"room": "small"})).await.unwrap();
    assert_eq!(made.capacity, 2);
    for body in
        [json!({"capacity": 3}), json!({"capacity": 0}), json!({"ttlSeconds": 61}), json!({"password": ""})]
    {
        assert_eq!(
            code(post::<RoomCreated>(&server, &bounded, &body).await),
            ErrorCode::BadMessage,
            "{body}"
        );
    }
    assert_eq!(
        code(post::<RoomCreated>(&server, &admin_of("guest"), &json!({})).await),
        ErrorCode::NotAllowed
    );
    server.stop().await;
}

fn settings() -> SignalSettings {
    let bounded = ApiKeySettings { max_peers: Some(2), ttl_seconds: Some(60), ..app() };
    let guest = ApiKeySettings { may_create_rooms: false, ..app() };
    let keys = [("app", app()), ("other", app()), ("bounded", bounded), ("guest", guest)];
    SignalSettings { api_keys: ApiKeys::from(keys.map(|(id, key)| (id.parse().unwrap(), key))), ..small() }
}

fn admin() -> String {
    admin_of("app")
}

fn admin_of(key: &str) -> String {
    token(key, &json!({"room": null, "grants": {"admin": true}}))
}

async fn post<T: DeserializeOwned>(server: &TestServer, token: &str, body: &Value) -> Result<T, ApiError> {
    let request = awc::Client::default().post(server.url(ROOMS)).bearer_auth(token);
    answer(within(request.send_json(body)).await.unwrap()).await
}

async fn listed(server: &TestServer, token: &str) -> Vec<String> {
    let request = awc::Client::default().get(server.url(ROOMS)).bearer_auth(token);
    let all: AppRooms = answer(within(request.send()).await.unwrap()).await.unwrap();
    all.rooms.iter().map(|facts| facts.room.to_string()).collect()
}

async fn kick(server: &TestServer, room: &str, body: &Value) -> Result<(), ApiError> {
    let url = server.url(&format!("{ROOMS}/{room}/kick"));
    let response =
        within(awc::Client::default().post(url).bearer_auth(admin()).send_json(body)).await.unwrap();
    if response.status() == 204 {
        return Ok(());
    }
    answer::<Value, _>(response).await.map(|_| ())
}

async fn facts(server: &TestServer, room: &str) -> Result<Value, ApiError> {
    server.get(&format!("/api/v1/rooms/{room}")).await
}

async fn end(server: &TestServer, token: &str, room: &str) -> Result<(), ApiError> {
    let request = awc::Client::default().delete(server.url(&format!("{ROOMS}/{room}"))).bearer_auth(token);
    let response = within(request.send()).await.unwrap();
    if response.status() == 204 {
        return Ok(());
    }
    answer::<Value, _>(response).await.map(|_| ())
}
