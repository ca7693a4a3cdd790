//! Every way in which the server ends a WebSocket, and what the others hear of it.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::message::{ClientMessage, LeaveReason, ServerMessage};
use causeway_protocol::rest::{CreateRoom, JoinRoom};
use causeway_protocol::{ErrorCode, PeerId};
use causeway_signal::{LimitSettings, SignalSettings, TimingSettings};
use common::{Client, RawSocket, TestServer, serve, small, within};
use futures_util::StreamExt;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

#[actix_web::test]
async fn text_that_is_not_json_ends_the_connection() {
    check_end(Message::text("{"), 4400, Some(ErrorCode::BadJson)).await;
    check_end(Message::text("[".repeat(60_000)), 4400, Some(ErrorCode::BadJson)).await;
}

#[actix_web::test]
async fn a_binary_frame_ends_the_connection() {
    check_end(Message::binary(vec![1, 2, 3]), 4400, None).await;
}

#[actix_web::test]
async fn a_message_above_the_limit_ends_the_connection() {
    check_end(Message::text("x".repeat(65_537)), 1009, None).await;
    check_end(Message::text("x".repeat(1_000_000)), 1009, None).await;
}

#[actix_web::test]
async fn fragments_above_the_limit_end_the_connection() {
    let (server, mut alice, mut bob) = pair(small()).await;
    for opcode in [OpCode::Data(Data::Text), OpCode::Data(Data::Continue), OpCode::Data(Data::Continue)] {
        bob.send_raw(Message::Frame(Frame::message(vec![b'x'; 30_000], opcode, false))).await;
    }
    assert_eq!(bob.end().await.0, 1009);
    check_left(&mut alice, &bob, LeaveReason::Refused).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_frame_that_announces_too_much_is_refused_before_it_is_sent() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut raw = RawSocket::connect(&server, &joined.token, 64 * 1024).await;
    // A masked text frame of a terabyte, of which not one byte follows.
    raw.send(&[0x81, 0xff, 0, 0, 1, 0, 0, 0, 0, 0]).await;
    assert_eq!(raw.close_code().await, 1009);
    server.stop().await;
}

/// Found by its running time: the codec failed on the same bytes again and again until the linger was over.
#[actix_web::test]
async fn bytes_that_are_no_frame_end_the_connection_at_once() {
    let timing = TimingSettings { linger_ms: 600_000, ..Default::default() };
    let server = serve(SignalSettings { timing, ..small() });
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    for (bytes, what) in [
        (&[0x81, 0x02, b'{', b'}'][..], "not masked (RFC 6455 §5.1)"),
        (&[0xc1, 0x81, 0, 0, 0, 0, b'x'], "a reserved bit (RFC 6455 §5.2)"),
        (&[0x83, 0x81, 0, 0, 0, 0, b'x'], "a reserved opcode (RFC 6455 §5.2)"),
        (&[0x81, 0x81, 0, 0, 0, 0, 0xff], "not UTF-8 (RFC 6455 §8.1)"),
        (&[0x80, 0x81, 0, 0, 0, 0, b'x'], "the end of no message (RFC 6455 §5.4)"),
        (&[0x88, 0x81, 0, 0, 0, 0, 0x03], "half a close code (RFC 6455 §5.5.1)"),
    ] {
        let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
        let mut raw = RawSocket::connect(&server, &joined.token, 64 * 1024).await;
        assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }), "{what}");
        raw.send(bytes).await;
        assert_eq!(raw.close_code().await, 4400, "{what}");
        check_peer_left(&mut alice, &joined.peer, LeaveReason::Refused).await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn random_bytes_end_their_connection_and_trouble_nobody_else() {
    let server = serve(SignalSettings { max_capacity: 64, default_capacity: 64, ..small() });
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = rand::rngs::StdRng::seed_from_u64(seed);
    for _ in 0..100 {
        let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
        let mut raw = RawSocket::connect(&server, &joined.token, 64 * 1024).await;
        let bytes: Vec<u8> = (0..random.random_range(1..400)).map(|_| random.random()).collect();
        raw.send(&bytes).await;
        assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
        drop(raw);
        assert!(matches!(alice.next().await, ServerMessage::PeerLeft { .. }));
    }
    alice.send(&ClientMessage::Ping { nonce: 1 }).await;
    assert!(matches!(alice.next().await, ServerMessage::Pong { nonce: 1, .. }));
    server.stop().await;
}

#[actix_web::test]
async fn a_burst_arrives_whole_and_in_order() {
    const BURST: u64 = 3000;
    let limits = LimitSettings { message_burst: 10_000, ..Default::default() };
    let (server, mut alice, mut bob) = pair(SignalSettings { limits, http_threads: 2, ..small() }).await;
    let sending = async {
        for number in 0..BURST {
            bob.send(&ClientMessage::App { to: None, data: number.into() }).await;
        }
    };
    let hearing = async {
        for number in 0..BURST {
            match alice.next().await {
                ServerMessage::App { data, .. } => assert_eq!(data, number),
                other => panic!("{other:?} instead of {number}"),
            }
        }
    };
    tokio::join!(sending, hearing);
    server.stop().await;
}

#[actix_web::test]
async fn the_largest_message_passes_whole_or_in_fragments() {
    let (server, mut alice, mut bob) = pair(small()).await;
    let text = json!({"type": "app", "data": ""}).to_string();
    let filled = text.replace("\"\"", &format!("\"{}\"", "x".repeat(65_536 - text.len())));
    assert_eq!(filled.len(), 65_536);
    bob.send_raw(Message::text(filled.clone())).await;
    let (first, second) = filled.as_bytes().split_at(1000);
    let start = Frame::message(first.to_vec(), OpCode::Data(Data::Text), false);
    bob.send_raw(Message::Frame(start)).await;
    bob.send_raw(Message::Ping(b"between".to_vec().into())).await;
    let end = Frame::message(second.to_vec(), OpCode::Data(Data::Continue), true);
    bob.send_raw(Message::Frame(end)).await;
    for _ in 0..2 {
        match alice.next().await {
            ServerMessage::App { from, data, .. } => {
                assert_eq!((from, data.as_str().unwrap().len()), (bob.peer(), 65_536 - text.len()));
            }
            other => panic!("{other:?}"),
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn json_that_is_no_message_is_refused_and_the_connection_stays() {
    let (server, _alice, mut bob) = pair(small()).await;
    for (message, kind) in [
        (json!({"type": "sing"}), Some("sing")),
        (json!({"type": "offer", "to": "a b", "sdp": ""}), Some("offer")),
        (json!({"type": "leave", "now": true}), Some("leave")),
        (json!([1, 2]), None),
    ] {
        bob.send_json(message.clone()).await;
        match bob.next().await {
            ServerMessage::Error { code: ErrorCode::BadMessage, refused, .. } => {
                assert_eq!(refused.as_deref(), kind, "{message}");
            }
            other => panic!("{other:?}"),
        }
    }
    bob.send(&ClientMessage::Offer { to: "nobody".parse().unwrap(), sdp: String::new() }).await;
    let answer = bob.next().await;
    assert!(matches!(answer, ServerMessage::Error { code: ErrorCode::PeerNotFound, .. }), "{answer:?}");
    server.stop().await;
}

#[actix_web::test]
async fn before_the_hello_nothing_else_is_listened_to() {
    let server = serve(small());
    for message in [json!({"type": "ping", "nonce": 1}), json!({"type": "sing"}), json!(7)] {
        let mut client = server.socket(&[]).await.unwrap();
        client.send_json(message.clone()).await;
        let (number, messages) = client.end().await;
        assert_eq!(number, 4400, "{message}");
        assert!(
            matches!(messages[0], ServerMessage::Error { code: ErrorCode::BadMessage, .. }),
            "{messages:?}"
        );
    }
    server.stop().await;
}

#[actix_web::test]
async fn another_protocol_version_is_refused_by_name() {
    let server = serve(small());
    let mut client = server.socket(&[]).await.unwrap();
    client.send(&ClientMessage::Hello { version: 2, token: "t".to_owned() }).await;
    let (number, messages) = client.end().await;
    assert_eq!(number, 4400);
    let first = &messages[0];
    assert!(matches!(first, ServerMessage::Error { code: ErrorCode::VersionUnsupported, .. }), "{first:?}");
    server.stop().await;
}

#[actix_web::test]
async fn who_never_says_hello_is_not_waited_for() {
    let timing = TimingSettings { hello_ms: 50, ..Default::default() };
    let server = serve(SignalSettings { timing, ..small() });
    let (number, messages) = server.socket(&[]).await.unwrap().end().await;
    assert_eq!(number, 4408);
    assert!(
        matches!(messages[..], [ServerMessage::Closing { code: 4408, reconnect: true, .. }]),
        "{messages:?}"
    );
    server.stop().await;
}

#[actix_web::test]
async fn who_gives_no_sign_of_life_is_given_up_and_who_answers_pings_is_not() {
    let timing = TimingSettings { ping_ms: 50, silence_ms: 500, resume_seconds: 0, ..Default::default() };
    let server = serve(SignalSettings { timing, ..small() });
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut silent = RawSocket::connect(&server, &joined.token, 64 * 1024).await;
    let (code, ()) = tokio::join!(silent.close_code(), async {
        assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
        check_peer_left(&mut alice, &joined.peer, LeaveReason::TimedOut).await;
    });
    assert_eq!(code, 4408);
    // Reading answers the pings: after more of them than the silence lasts, the connection still stands.
    let mut pings = 0;
    while pings < 12 {
        match within(alice.socket.next()).await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            other => panic!("{other:?}"),
        }
    }
    alice.send(&ClientMessage::Ping { nonce: 9 }).await;
    assert!(matches!(alice.next().await, ServerMessage::Pong { nonce: 9, .. }));
    server.stop().await;
}

#[actix_web::test]
async fn a_peer_that_connects_again_displaces_its_older_connection() {
    let server = serve(small());
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut older = server.connect(&joined.token).await;
    assert!(matches!(older.next().await, ServerMessage::Welcome { .. }));
    let mut newer = server.connect(&joined.token).await;
    assert!(matches!(newer.next().await, ServerMessage::Welcome { snapshot, .. } if snapshot.seq == 4));
    assert_eq!(older.end().await.0, 4409);
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { seq: 2, .. }));
    assert!(matches!(
        alice.next().await,
        ServerMessage::PeerLeft { seq: 3, reason: LeaveReason::Displaced, .. }
    ));
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { seq: 4, .. }));
    alice.send(&ClientMessage::App { to: Some(joined.peer), data: 1.into() }).await;
    assert!(matches!(newer.next().await, ServerMessage::App { .. }));
    server.stop().await;
}

#[actix_web::test]
async fn who_sends_too_much_is_closed() {
    for limits in [
        LimitSettings { messages_per_second: 1, message_burst: 10, ..Default::default() },
        LimitSettings { bytes_per_second: 1024, byte_burst: 64 * 1024, ..Default::default() },
    ] {
        let (server, mut alice, mut bob) = pair(SignalSettings { limits, ..small() }).await;
        for _ in 0..11 {
            bob.send_json(json!({"type": "app", "data": "x".repeat(10_000)})).await;
        }
        assert_eq!(bob.end().await.0, 4429);
        loop {
            match alice.next().await {
                ServerMessage::App { .. } => {}
                ServerMessage::PeerLeft { reason: LeaveReason::Refused, .. } => break,
                other => panic!("{other:?}"),
            }
        }
        server.stop().await;
    }
}

#[actix_web::test]
async fn a_connection_that_breaks_off_is_noticed_at_once() {
    let (server, mut alice, bob) = pair(small()).await;
    let peer = bob.peer();
    drop(bob);
    check_peer_left(&mut alice, &peer, LeaveReason::Disconnected).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_client_that_closes_gets_its_close_back() {
    let (server, mut alice, mut bob) = pair(small()).await;
    within(bob.socket.close(None)).await.unwrap();
    loop {
        match within(bob.socket.next()).await {
            Some(Ok(Message::Close(_))) => break,
            Some(Ok(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    check_left(&mut alice, &bob, LeaveReason::Disconnected).await;
    server.stop().await;
}

async fn pair(settings: SignalSettings) -> (TestServer, Client, Client) {
    let server = serve(settings);
    let room = server.room(&CreateRoom::default()).await;
    let mut alice = server.member(&room.room, "Alice").await;
    let bob = server.member(&room.room, "Bob").await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    (server, alice, bob)
}

/// Bob sends this and is closed with the code; Alice hears that he was refused.
async fn check_end(message: Message, number: u16, told: Option<ErrorCode>) {
    let (server, mut alice, mut bob) = pair(small()).await;
    bob.send_raw(message).await;
    let (code, messages) = bob.end().await;
    assert_eq!(code, number);
    let mut messages = messages.iter();
    if let Some(told) = told {
        let first = messages.next();
        assert!(matches!(first, Some(ServerMessage::Error { code, .. }) if *code == told), "{first:?}");
    }
    let last = messages.next();
    assert!(matches!(last, Some(ServerMessage::Closing { code, .. }) if *code == number), "{last:?}");
    check_left(&mut alice, &bob, LeaveReason::Refused).await;
    server.stop().await;
}

async fn check_left(alice: &mut Client, bob: &Client, reason: LeaveReason) {
    check_peer_left(alice, &bob.peer(), reason).await;
}

async fn check_peer_left(alice: &mut Client, bob: &PeerId, expected: LeaveReason) {
    match alice.next().await {
        ServerMessage::PeerLeft { peer, reason, .. } => assert_eq!((&peer, reason), (bob, expected)),
        other => panic!("{other:?}"),
    }
}
