//! A client that never reads is gone, connection and memory, while the others notice nothing but its leaving.
//!
//! Found on paper: the HTTP server keeps such a connection for ever, because it still has something to write.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::message::{LeaveReason, ServerMessage};
use causeway_protocol::rest::{CreateRoom, JoinRoom};
use causeway_signal::{LimitSettings, SignalSettings, TimingSettings};
use common::{RawSocket, serve, small, within};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

#[actix_web::test]
async fn a_client_that_never_reads_is_closed_and_its_connection_is_reset() {
    let limits = LimitSettings {
        messages_per_second: 1_000_000,
        message_burst: 1_000_000,
        bytes_per_second: 1_000_000_000,
        byte_burst: 1_000_000_000,
        ..Default::default()
    };
    // Short, so that the test is; the writing limit is what ends a reader that is slow but not flooded.
    let timing = TimingSettings { write_ms: 2000, linger_ms: 500, resume_seconds: 0, ..Default::default() };
    let server = serve(SignalSettings { limits, timing, ..small() });
    let room = server.room(&CreateRoom::default()).await;
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let silent = RawSocket::connect(&server, &joined.token, 4096).await;
    let alice = server.member(&room.room, "Alice").await;

    let (mut say, mut hear) = alice.socket.split();
    let flood = json!({"type": "app", "data": "x".repeat(60_000)}).to_string();
    let flooding = async {
        loop {
            say.send(Message::text(flood.clone())).await.unwrap();
        }
    };
    let left = async {
        loop {
            match within(hear.next()).await {
                Some(Ok(Message::Text(text))) => match serde_json::from_str(&text).unwrap() {
                    ServerMessage::PeerLeft { peer, reason, .. } => return (peer, reason),
                    other => panic!("{other:?}"),
                },
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    };
    let (peer, reason) = tokio::select! {
        left = left => left,
        () = flooding => unreachable!("the flood has no end"),
    };
    assert_eq!((peer, reason), (joined.peer, LeaveReason::Stalled));
    assert_eq!(silent.reset().await, std::io::ErrorKind::ConnectionReset);
    server.stop().await;
}
