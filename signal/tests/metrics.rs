//! The metrics move when what they count happens. One test, because a process has one recorder.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::ErrorCode;
use causeway_protocol::message::{ClientMessage, ServerMessage};
use causeway_protocol::rest::{CreateRoom, JoinRoom};
use causeway_signal::SignalSettings;
use common::{code, serve, small};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

#[actix_web::test]
async fn every_metric_moves_when_what_it_counts_happens() {
    let metrics = PrometheusBuilder::new().install_recorder().unwrap();
    let server = serve(SignalSettings { max_rooms: 1, ..small() });
    let room = server.room(&CreateRoom::default()).await;
    check(&metrics, "causeway_signal_rooms", 1);
    check(&metrics, "causeway_signal_room_created_total", 1);

    let nowhere = "nowhere".parse().unwrap();
    assert_eq!(code(server.join(&nowhere, &JoinRoom::default()).await), ErrorCode::RoomNotFound);
    check(&metrics, r#"causeway_signal_refused_total{code="room-not-found"}"#, 1);

    let mut alice = server.member(&room.room, "Alice").await;
    check(&metrics, "causeway_signal_sessions", 1);
    check(&metrics, r#"causeway_signal_greeted_total{how="welcome"}"#, 1);
    alice.send(&ClientMessage::Offer { to: "nobody".parse().unwrap(), sdp: String::new() }).await;
    assert!(matches!(alice.next().await, ServerMessage::Error { code: ErrorCode::PeerNotFound, .. }));
    check(&metrics, r#"causeway_signal_messages_total{type="offer"}"#, 1);
    check(&metrics, r#"causeway_signal_refused_total{code="peer-not-found"}"#, 1);

    alice.send(&ClientMessage::Leave {}).await;
    assert_eq!(alice.end().await.0, 1000);
    server.stop().await;
    check(&metrics, r#"causeway_signal_closed_total{code="left"}"#, 1);
    check(&metrics, "causeway_signal_sessions", 0);
}

fn check(metrics: &PrometheusHandle, name: &str, value: u64) {
    let rendered = metrics.render();
    let line = format!("{name} {value}");
    assert!(rendered.lines().any(|found| found == line), "{line} is not in\n{rendered}");
}
