//! What people try who mean no good: each costs them more than it costs others.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::rest::{CreateRoom, JoinRoom};
use causeway_protocol::{ErrorCode, PeerId};
use causeway_signal::{LimitSettings, SignalSettings};
use common::{Client, serve, small, within};
use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

const LONGEST: usize = 64 * 1024;

#[actix_web::test]
async fn messages_to_guessed_peers_reach_nobody_and_end_in_silence() {
    let limits = LimitSettings { message_burst: 50, messages_per_second: 1, ..Default::default() };
    let server = serve(SignalSettings { limits, ..small() });
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let mut mallory = server.member(&room.room, "Mallory").await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    for _ in 0..60 {
        let to = PeerId::random(&mut rand::rng());
        flood(&mut mallory, &ClientMessage::EndOfCandidates { to }).await;
    }
    let (closed, heard) = mallory.end().await;
    assert_eq!(closed, 4429);
    let not_there = |message: &ServerMessage| {
        matches!(message, ServerMessage::Error { code: ErrorCode::PeerNotFound, .. })
    };
    assert!(heard.iter().filter(|message| not_there(message)).count() >= 40, "{heard:?}");
    alice.send(&ClientMessage::Ping { nonce: 1 }).await;
    let next = loop {
        match alice.next().await {
            ServerMessage::PeerLeft { .. } => {}
            other => break other,
        }
    };
    assert!(matches!(next, ServerMessage::Pong { .. }), "{next:?}");
    server.stop().await;
}

/// Within 64 KiB: nesting that would overflow a stack, numbers that no float holds, as many values as fit.
#[actix_web::test]
async fn json_bombs_are_taken_or_refused_and_never_felt() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    for (bomb, refused) in [
        (nested("[", "]", 30_000), Some(4400)),
        (nested(r#"{"a":"#, "}", 8_000), Some(4400)),
        (app(&format!("1{}", "0".repeat(60_000))), Some(4400)),
        (app("1e999999999"), Some(4400)),
        (app(&"-".repeat(60_000)), Some(4400)),
        (app(&format!("\"{}\"", "\\u0000".repeat(10_000))), None),
        (app(&format!("[{}0]", "0,".repeat(30_000))), None),
        (app(&format!("[{}{{}}]", "{},".repeat(20_000))), None),
        (nested("[", "]", 100), None),
        (format!(r#"{{"type":"app","data":{{{}"z":0}}}}"#, r#""a":0,"#.repeat(9_000)), None),
    ] {
        assert!(bomb.len() <= LONGEST, "{}", bomb.len());
        let mut mallory = server.member(&room.room, "Mallory").await;
        mallory.send_raw(Message::text(bomb.clone())).await;
        match refused {
            Some(number) => {
                let (closed, heard) = mallory.end().await;
                assert_eq!(closed, number, "{bomb:.40}");
                assert!(
                    matches!(heard[0], ServerMessage::Error { code: ErrorCode::BadJson, .. }),
                    "{heard:?}"
                );
            }
            None => {
                mallory.send(&ClientMessage::Ping { nonce: 1 }).await;
                assert!(matches!(mallory.next().await, ServerMessage::Pong { .. }), "{bomb:.40}");
            }
        }
        alive(&mut alice).await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_message_of_64_kib_passes_and_a_byte_more_does_not() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let mut mallory = server.member(&room.room, "Mallory").await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    let filled = |len: usize| {
        let empty = json!({"type": "app", "data": ""}).to_string();
        empty.replace(r#""""#, &format!("\"{}\"", "x".repeat(len - empty.len())))
    };
    mallory.send_raw(Message::text(filled(LONGEST))).await;
    let ServerMessage::App { data, .. } = alice.next().await else { panic!("no message") };
    assert!(data.as_str().unwrap().len() > LONGEST - 100);
    mallory.send_raw(Message::text(filled(LONGEST + 1))).await;
    assert_eq!(mallory.end().await.0, 1009);
    server.stop().await;
}

#[actix_web::test]
async fn a_peer_that_comes_back_again_and_again_has_no_new_burst() {
    let limits = LimitSettings { message_burst: 30, messages_per_second: 1, ..Default::default() };
    let server = serve(SignalSettings { limits, ..small() });
    let room = server.room(&CreateRoom::default()).await;
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut said = 0;
    // The token opens for a minute; each connection displaces the one before.
    for _ in 0..3 {
        let mut mallory = server.connect(&joined.token).await;
        assert!(matches!(mallory.next().await, ServerMessage::Welcome { .. }));
        for _ in 0..20 {
            flood(&mut mallory, &ClientMessage::Ping { nonce: 1 }).await;
        }
        for _ in 0..20 {
            match mallory.next().await {
                ServerMessage::Pong { .. } => said += 1,
                ServerMessage::Closing { code, .. } => {
                    assert_eq!(code, 4429);
                    break;
                }
                other => panic!("{other:?}"),
            }
        }
    }
    // Three bursts would be sixty, and each second brings one more.
    assert!((30..55).contains(&said), "{said}");
    server.stop().await;
}

/// Says something to a server that may have closed already.
async fn flood(client: &mut Client, message: &ClientMessage) {
    let text = serde_json::to_string(message).unwrap();
    let _closed_meanwhile = within(client.socket.send(Message::text(text))).await;
}

async fn alive(client: &mut Client) {
    client.send(&ClientMessage::Ping { nonce: 9 }).await;
    loop {
        match client.next().await {
            ServerMessage::Pong { nonce: 9, .. } => return,
            ServerMessage::PeerJoined { .. } | ServerMessage::PeerLeft { .. } | ServerMessage::App { .. } => {
            }
            other => panic!("{other:?}"),
        }
    }
}

fn app(data: &str) -> String {
    format!(r#"{{"type":"app","data":{data}}}"#)
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    app(&format!("{}0{}", open.repeat(depth), close.repeat(depth)))
}
