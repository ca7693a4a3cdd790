//! Every fixture is read and written back unchanged, and every message has one.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use causeway_protocol::bus::BusMessage;
use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::rest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

#[test]
fn client_messages_read_and_write_their_fixtures() {
    check_folder::<ClientMessage>("client");
    check_kinds(
        "client",
        "type",
        &[
            "hello",
            "resume",
            "offer",
            "answer",
            "candidate",
            "end-of-candidates",
            "app",
            "set-state",
            "admit",
            "deny",
            "kick",
            "lock",
            "claim-host",
            "refresh-ice",
            "ping",
            "leave",
        ],
    );
}

#[test]
fn server_messages_read_and_write_their_fixtures() {
    check_folder::<ServerMessage>("server");
    check_kinds(
        "server",
        "type",
        &[
            "welcome",
            "resumed",
            "resync",
            "waiting",
            "peer-joined",
            "peer-left",
            "peer-role",
            "offer",
            "answer",
            "candidate",
            "end-of-candidates",
            "app",
            "state",
            "locked",
            "knock",
            "knock-gone",
            "ice-servers",
            "relay-usage",
            "pong",
            "degraded",
            "recovered",
            "error",
            "closing",
        ],
    );
}

#[test]
fn bus_messages_read_and_write_their_fixtures() {
    check_folder::<BusMessage>("bus");
    check_kinds(
        "bus",
        "kind",
        &["relay-usage", "relay-order", "room-limits", "room-addresses", "room-query", "relay-node"],
    );
}

#[test]
fn rest_bodies_read_and_write_their_fixtures() {
    let fixtures = fixtures("rest");
    check::<rest::CreateRoom>(&fixtures, "create-room");
    check::<rest::CreateRoom>(&fixtures, "create-room-default");
    check::<rest::RoomCreated>(&fixtures, "room-created");
    check::<rest::RoomFacts>(&fixtures, "room-facts");
    check::<rest::CreateInvite>(&fixtures, "create-invite");
    check::<rest::InviteCreated>(&fixtures, "invite-created");
    check::<rest::JoinRoom>(&fixtures, "join-room");
    check::<rest::Joined>(&fixtures, "joined");
    check::<rest::ApiError>(&fixtures, "api-error");
    assert_eq!(fixtures.len(), 9, "a fixture that no test reads");
}

#[test]
fn a_client_message_with_an_unknown_field_is_refused() {
    assert!(serde_json::from_str::<ClientMessage>(r#"{"type":"leave","now":true}"#).is_err());
}

#[test]
fn the_kind_of_a_client_message_is_its_type_in_json() {
    for (name, text) in fixtures("client") {
        let message: ClientMessage = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_value(&message).unwrap()["type"], message.kind(), "{name}");
    }
}

#[test]
fn a_value_of_null_deletes_as_an_absent_one_does() {
    for text in [r#"{"type":"set-state","key":"k","value":null}"#, r#"{"type":"set-state","key":"k"}"#] {
        let message: ClientMessage = serde_json::from_str(text).unwrap();
        assert!(matches!(message, ClientMessage::SetState { value: None, ttl_seconds: None, .. }), "{text}");
    }
}

#[test]
fn an_unknown_type_is_refused() {
    assert!(serde_json::from_str::<ClientMessage>(r#"{"type":"sing"}"#).is_err());
}

#[test]
fn json_nested_beyond_reason_is_refused_and_no_stack_overflows() {
    let text = format!("{{\"type\":\"app\",\"data\":{}{}}}", "[".repeat(30_000), "]".repeat(30_000));
    assert!(serde_json::from_str::<ClientMessage>(&text).is_err());
}

fn fixtures(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

fn check<T: Serialize + DeserializeOwned>(fixtures: &BTreeMap<String, String>, name: &str) {
    let text = &fixtures[name];
    let message: T = serde_json::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let again: Value = serde_json::to_value(&message).unwrap();
    assert_eq!(again, serde_json::from_str::<Value>(text).unwrap(), "{name}");
}

fn check_folder<T: Serialize + DeserializeOwned>(folder: &str) {
    let fixtures = fixtures(folder);
    for name in fixtures.keys() {
        check::<T>(&fixtures, name);
    }
}

fn check_kinds(folder: &str, tag: &str, kinds: &[&str]) {
    let mut seen: Vec<String> = fixtures(folder)
        .values()
        .map(|text| serde_json::from_str::<Value>(text).unwrap()[tag].as_str().unwrap().to_owned())
        .collect();
    seen.sort();
    seen.dedup();
    let mut wanted: Vec<String> = kinds.iter().map(|&kind| kind.to_owned()).collect();
    wanted.sort();
    assert_eq!(seen, wanted, "{folder}: each kind has a fixture, and each fixture a kind");
}
