//! Members whose connection breaks come back and have missed nothing, or are told; nobody else comes back in their place.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::time::Duration;

use causeway_protocol::message::{ClientMessage, LeaveReason, Pass, Position, ServerMessage};
use causeway_protocol::rest::{CreateRoom, JoinRoom, RoomCreated};
use causeway_protocol::secret::Secret;
use causeway_protocol::token::{ResumeClaims, ResumeTokens, TurnVerifier};
use causeway_protocol::{Epoch, ErrorCode, UnixSeconds};
use causeway_service::clock;
use causeway_signal::{LimitSettings, SignalSettings, TimingSettings};
use common::{Client, TestServer, serve, small, within};
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

#[actix_web::test]
async fn who_comes_back_hears_what_it_missed_once_and_the_others_heard_nothing() {
    let (server, room) = waiting_server().await;
    let (mut alice, _) = enter(&server, &room).await;
    let (bob, mut stay) = enter(&server, &room).await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    cut(bob).await;
    for number in 0..20 {
        alice.send(&ClientMessage::App { to: None, data: number.into() }).await;
    }
    alice.send(&ClientMessage::Offer { to: stay.pass(&server).peer, sdp: "v=0".to_owned() }).await;
    // The room has taken it all when it answers.
    ping(&mut alice, 21).await;

    let (mut bob, message) = stay.resume(&server).await;
    let ServerMessage::Resumed { received: 0, grant, .. } = message else { panic!("{message:?}") };
    let username = grant.ice_servers[1].username.as_deref().unwrap();
    let claims = TurnVerifier::hs256(&server.secret).check(username, clock::now().unix).unwrap();
    assert_eq!(claims.sub, stay.pass(&server).peer);
    for number in 0..20 {
        match bob.next().await {
            ServerMessage::App { data, .. } => assert_eq!(data, number),
            other => panic!("{other:?} instead of {number}"),
        }
    }
    assert!(matches!(bob.next().await, ServerMessage::Offer { .. }));
    // Both go on as if nothing had been.
    bob.send(&ClientMessage::App { to: None, data: "back".into() }).await;
    assert!(matches!(alice.next().await, ServerMessage::App { data, .. } if data == "back"));
    ping(&mut bob, 1).await;
    server.stop().await;
}

#[actix_web::test]
async fn what_a_client_says_again_is_taken_once() {
    let (server, room) = waiting_server().await;
    let (mut alice, _) = enter(&server, &room).await;
    let (mut bob, mut stay) = enter(&server, &room).await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    for number in 0..5 {
        bob.send(&ClientMessage::App { to: None, data: number.into() }).await;
    }
    // Bob does not know how much of it got through.
    cut(bob).await;
    let (mut bob, message) = stay.resume(&server).await;
    let ServerMessage::Resumed { received, .. } = message else { panic!("{message:?}") };
    for number in received..5 {
        bob.send(&ClientMessage::App { to: None, data: number.into() }).await;
    }
    ping(&mut bob, 5).await;
    for number in 0..5 {
        match alice.next().await {
            ServerMessage::App { data, .. } => assert_eq!(data, number),
            other => panic!("{other:?} instead of {number}"),
        }
    }
    ping(&mut alice, 0).await;
    server.stop().await;
}

#[actix_web::test]
async fn who_missed_more_than_is_kept_is_told_how_the_room_stands() {
    let limits = LimitSettings { kept_events: 4, ..Default::default() };
    let (server, room) = server_with(SignalSettings { limits, ..waiting() }).await;
    let (mut alice, _) = enter(&server, &room).await;
    let (bob, mut stay) = enter(&server, &room).await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    cut(bob).await;
    for number in 0..5 {
        alice.send(&ClientMessage::App { to: None, data: number.into() }).await;
    }
    alice
        .send(&ClientMessage::SetState { key: "slide".into(), value: Some(7.into()), ttl_seconds: None })
        .await;
    assert!(matches!(alice.next().await, ServerMessage::State { .. }));
    ping(&mut alice, 6).await;
    let (mut bob, message) = stay.resume(&server).await;
    let ServerMessage::Resync { received: Some(0), snapshot, .. } = message else { panic!("{message:?}") };
    assert_eq!((snapshot.peers.len(), snapshot.state[0].value.clone()), (1, 7.into()));
    // Nothing of what was before comes behind it.
    ping(&mut bob, 0).await;
    server.stop().await;
}

#[actix_web::test]
async fn when_all_rooms_keep_too_much_the_one_that_grows_lets_go_and_nobody_is_left_unaware() {
    let limits = LimitSettings { kept_bytes_total: 1000, ..Default::default() };
    let (server, room) = server_with(SignalSettings { limits, ..waiting() }).await;
    let (mut alice, _) = enter(&server, &room).await;
    let (bob, mut stay) = enter(&server, &room).await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    cut(bob).await;
    alice.send(&ClientMessage::App { to: None, data: "x".repeat(2000).into() }).await;
    ping(&mut alice, 1).await;
    let (_bob, message) = stay.resume(&server).await;
    assert!(matches!(message, ServerMessage::Resync { .. }), "{message:?}");
    server.stop().await;
}

#[actix_web::test]
async fn a_position_of_another_time_is_answered_with_how_the_room_stands() {
    let (server, room) = waiting_server().await;
    for position in [
        Position { epoch: Epoch(77), seq: 1 },
        Position { epoch: Epoch(0), seq: 0 },
        Position { epoch: Epoch(u64::MAX), seq: u64::MAX },
    ] {
        let (bob, mut stay) = enter(&server, &room).await;
        cut(bob).await;
        stay.position = position;
        let (_bob, message) = stay.resume(&server).await;
        assert!(matches!(message, ServerMessage::Resync { .. }), "{message:?}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_half_open_socket_gives_way_to_the_one_that_resumes() {
    let (server, room) = waiting_server().await;
    let (mut alice, _) = enter(&server, &room).await;
    let (mut older, mut stay) = enter(&server, &room).await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    let (mut newer, message) = stay.resume(&server).await;
    assert!(matches!(message, ServerMessage::Resumed { .. }), "{message:?}");
    let (code, messages) = older.end().await;
    assert_eq!(code, 4411, "{messages:?}");
    newer.send(&ClientMessage::App { to: None, data: 1.into() }).await;
    assert!(matches!(alice.next().await, ServerMessage::App { .. }));
    // The older socket's end is nobody's any more.
    drop(older);
    ping(&mut newer, 1).await;
    ping(&mut alice, 0).await;
    server.stop().await;
}

#[actix_web::test]
async fn who_does_not_come_back_in_time_has_left_and_joins_again() {
    let timing = TimingSettings { resume_seconds: 1, ..Default::default() };
    let (server, room) = server_with(SignalSettings { timing, ..small() }).await;
    let (mut alice, _) = enter(&server, &room).await;
    let (bob, mut stay) = enter(&server, &room).await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    cut(bob).await;
    match alice.next().await {
        ServerMessage::PeerLeft { peer, reason: LeaveReason::Disconnected, .. } => {
            assert_eq!(peer, stay.pass(&server).peer);
        }
        other => panic!("{other:?}"),
    }
    check_refused(&server, &mut stay, ErrorCode::ResumeRefused).await;
    server.stop().await;
}

#[actix_web::test]
async fn who_closes_cleanly_or_leaves_is_gone_at_once_and_cannot_resume() {
    let (server, room) = waiting_server().await;
    let (mut alice, _) = enter(&server, &room).await;
    for says_so in [true, false] {
        let (mut bob, mut stay) = enter(&server, &room).await;
        assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
        if says_so {
            bob.send(&ClientMessage::Leave {}).await;
        } else {
            within(bob.socket.close(None)).await.unwrap();
        }
        let left = alice.next().await;
        let expected = if says_so { LeaveReason::Left } else { LeaveReason::Disconnected };
        assert!(matches!(left, ServerMessage::PeerLeft { reason, .. } if reason == expected), "{left:?}");
        check_refused(&server, &mut stay, ErrorCode::ResumeRefused).await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn who_gives_up_a_connection_with_a_code_of_its_own_comes_back() {
    let (server, room) = waiting_server().await;
    let (mut alice, _) = enter(&server, &room).await;
    let (mut bob, mut stay) = enter(&server, &room).await;
    assert!(matches!(alice.next().await, ServerMessage::PeerJoined { .. }));
    let close = CloseFrame { code: 4000.into(), reason: "silent".into() };
    within(bob.socket.close(Some(close))).await.unwrap();
    let (_bob, message) = stay.resume(&server).await;
    assert!(matches!(message, ServerMessage::Resumed { .. }), "{message:?}");
    ping(&mut alice, 0).await;
    server.stop().await;
}

#[actix_web::test]
async fn forged_expired_foreign_and_replayed_tokens_are_refused() {
    let (server, room) = waiting_server().await;
    let other_room = server.room(&CreateRoom::default()).await;
    let (bob, mut stay) = enter(&server, &room).await;
    cut(bob).await;
    let good = stay.clone();
    let claims = |pass: Pass| ResumeClaims {
        aud: ResumeTokens::AUDIENCE.to_owned(),
        room: room.room.clone(),
        exp: room.expires_at,
        pass,
    };
    let ours = ResumeTokens::new(&server.secret);
    let theirs = ResumeTokens::new(&Secret::from_bytes([8; 32]));
    let pass = stay.pass(&server);
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    for (token, expected) in [
        (theirs.sign(&claims(pass.clone())), ErrorCode::TokenInvalid),
        ("garbage".to_owned(), ErrorCode::TokenInvalid),
        (joined.token, ErrorCode::TokenInvalid),
        (ours.sign(&ResumeClaims { exp: UnixSeconds(1), ..claims(pass.clone()) }), ErrorCode::TokenExpired),
        (
            ours.sign(&ResumeClaims { room: other_room.room, ..claims(pass.clone()) }),
            ErrorCode::ResumeRefused,
        ),
        (
            ours.sign(&claims(Pass { series: "guess".parse().unwrap(), ..pass.clone() })),
            ErrorCode::ResumeRefused,
        ),
        (ours.sign(&claims(Pass { peer: "guess".parse().unwrap(), ..pass })), ErrorCode::ResumeRefused),
    ] {
        stay.token = token;
        check_refused(&server, &mut stay, expected).await;
    }
    // The token works until the next one has been shown to be in the client's hands.
    let mut again = good.clone();
    let (broke_at_once, message) = again.resume(&server).await;
    assert!(matches!(message, ServerMessage::Resumed { .. }), "{message:?}");
    cut(broke_at_once).await;
    let mut again = good.clone();
    let (mut bob, message) = again.resume(&server).await;
    assert!(matches!(message, ServerMessage::Resumed { .. }), "{message:?}");
    ping(&mut bob, 0).await;
    check_refused(&server, &mut good.clone(), ErrorCode::ResumeRefused).await;
    ping(&mut bob, 0).await;
    server.stop().await;
}

#[actix_web::test]
async fn a_token_for_a_room_that_is_over_or_never_was_is_answered_with_its_end() {
    let (server, room) = waiting_server().await;
    let (bob, mut stay) = enter(&server, &room).await;
    cut(bob).await;
    stay.token = ResumeTokens::new(&server.secret).sign(&ResumeClaims {
        aud: ResumeTokens::AUDIENCE.to_owned(),
        room: "n0where00000".parse().unwrap(),
        exp: room.expires_at,
        pass: stay.pass(&server),
    });
    let mut client = server.socket(&[]).await.unwrap();
    client.send(&stay.message()).await;
    assert_eq!(client.end().await.0, 4404);
    server.stop().await;
}

#[actix_web::test]
async fn json_that_is_no_message_is_counted_too() {
    let (server, room) = waiting_server().await;
    let (mut bob, _) = enter(&server, &room).await;
    bob.send_json(serde_json::json!({"type": "sing"})).await;
    assert!(matches!(bob.next().await, ServerMessage::Error { code: ErrorCode::BadMessage, .. }));
    ping(&mut bob, 1).await;
    server.stop().await;
}

/// What a client keeps for coming back.
#[derive(Clone)]
struct Stay {
    token: String,
    position: Position,
}

impl Stay {
    fn message(&self) -> ClientMessage {
        let Position { epoch, seq } = self.position;
        ClientMessage::Resume { version: 1, token: self.token.clone(), epoch, seq }
    }

    /// Opens a socket and resumes; the server's first message.
    async fn resume(&mut self, server: &TestServer) -> (Client, ServerMessage) {
        let mut client = server.socket(&[]).await.unwrap();
        client.send(&self.message()).await;
        let message = client.next().await;
        if let ServerMessage::Resumed { grant, .. } | ServerMessage::Resync { grant, .. } = &message {
            self.token = grant.resume_token.clone();
        }
        (client, message)
    }

    fn pass(&self, server: &TestServer) -> Pass {
        ResumeTokens::new(&server.secret).check(&self.token, clock::now().unix).unwrap().pass
    }
}

/// Members are waited for longer than any test takes.
fn waiting() -> SignalSettings {
    let timing = TimingSettings { resume_seconds: 600, ..TimingSettings::default() };
    SignalSettings { timing, ..small() }
}

async fn waiting_server() -> (TestServer, RoomCreated) {
    server_with(waiting()).await
}

async fn server_with(settings: SignalSettings) -> (TestServer, RoomCreated) {
    let server = serve(settings);
    let room = server.room(&CreateRoom::default()).await;
    (server, room)
}

async fn enter(server: &TestServer, room: &RoomCreated) -> (Client, Stay) {
    let joined = server.join(&room.room, &JoinRoom::default()).await.unwrap();
    let mut client = server.connect(&joined.token).await;
    let message = client.next().await;
    let ServerMessage::Welcome { snapshot, grant, .. } = message else { panic!("{message:?}") };
    let position = Position { epoch: snapshot.epoch, seq: snapshot.seq };
    (client, Stay { token: grant.resume_token, position })
}

/// Ends the TCP connection as a dead network does: without a WebSocket's goodbye.
async fn cut(client: Client) {
    let MaybeTlsStream::Plain(stream) = client.socket.get_ref() else { panic!("no TLS here") };
    // The kernel sends a reset, and nothing that still waits.
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
}

/// Nothing waits before the answer, and the room has taken this many messages.
async fn ping(client: &mut Client, expected: u64) {
    client.send(&ClientMessage::Ping { nonce: 5 }).await;
    match client.next().await {
        ServerMessage::Pong { nonce: 5, received } => assert_eq!(received, expected),
        other => panic!("{other:?} instead of a pong"),
    }
}

async fn check_refused(server: &TestServer, stay: &mut Stay, expected: ErrorCode) {
    let (mut client, message) = stay.resume(server).await;
    assert!(
        matches!(message, ServerMessage::Error { code, .. } if code == expected),
        "{message:?} {expected:?}"
    );
    let (code, _) = client.end().await;
    assert_eq!(code, 4412);
}
