//! Every HTTP request that is refused is told why, with a stable code.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_protocol::ErrorCode;
use causeway_protocol::rest::{ApiError, CreateRoom, JoinRoom, RoomCreated, RoomFacts};
use causeway_signal::{LimitSettings, SignalSettings, TimingSettings};
use common::{TestServer, answer, code, serve, small, within};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[actix_web::test]
async fn bodies_that_are_not_what_they_should_be() {
    let server = serve(small());
    check_body(&server, "application/json", "{", ErrorCode::BadJson).await;
    check_body(&server, "application/json", "", ErrorCode::BadJson).await;
    check_body(&server, "application/json", r#"{"colour":"red"}"#, ErrorCode::BadMessage).await;
    check_body(&server, "application/json", r#"{"capacity":"two"}"#, ErrorCode::BadMessage).await;
    check_body(&server, "application/json", "7", ErrorCode::BadMessage).await;
    check_body(&server, "text/plain", "{}", ErrorCode::UnsupportedMediaType).await;
    check_body(&server, "application/json", &" ".repeat(20_000), ErrorCode::TooLarge).await;
    server.stop().await;
}

#[actix_web::test]
async fn values_that_are_out_of_range() {
    let server = serve(small());
    for body in [
        json!({"capacity": 0}),
        json!({"capacity": 65}),
        json!({"capacity": -1}),
        json!({"capacity": 70_000}),
        json!({"ttlSeconds": 0}),
        json!({"ttlSeconds": 8 * 24 * 3600}),
        json!({"password": ""}),
        json!({"password": "x".repeat(257)}),
    ] {
        let refused = server.post::<RoomCreated>("/api/v1/rooms", &body).await;
        assert_eq!(code(refused), ErrorCode::BadMessage, "{body}");
    }
    let room = server.room(&CreateRoom::default()).await;
    for name in ["x".repeat(65), "line\nbreak".to_owned()] {
        let refused = server.join(&room.room, &JoinRoom { name: Some(name), ..Default::default() }).await;
        assert_eq!(code(refused), ErrorCode::BadMessage);
    }
    let invites = format!("/api/v1/rooms/{}/invites", room.room);
    let refused = with_bearer(&server, &invites, &room.host_token, &json!({"ttlSeconds": 0})).await;
    assert_eq!(code(refused), ErrorCode::BadMessage);
    server.stop().await;
}

#[actix_web::test]
async fn addresses_where_nothing_is_and_methods_that_do_not_fit() {
    let server = serve(small());
    for path in ["/api", "/api/", "/api/v1", "/api/v2/rooms", "/api/v1/rooms/a/b/c"] {
        assert_eq!(code(server.get::<Value>(path).await), ErrorCode::NotFound, "{path}");
    }
    for room in ["nowhere", "a%20b", "%ff", "..%2f"] {
        let path = format!("/api/v1/rooms/{room}");
        assert_eq!(code(server.get::<RoomFacts>(&path).await), ErrorCode::RoomNotFound, "{path}");
        let refused = server.post::<Value>(&format!("{path}/join"), &json!({})).await;
        assert_eq!(code(refused), ErrorCode::RoomNotFound, "{path}");
    }
    for (path, allowed) in [
        ("/api/v1/rooms", "POST"),
        ("/api/v1/rooms/a", "GET"),
        ("/api/v1/rooms/a/join", "POST"),
        ("/api/v1/rooms/a/invites", "POST"),
        ("/api/v1/ws", "GET"),
        ("/api/v1/openapi.json", "GET"),
    ] {
        let response = within(awc::Client::default().delete(server.url(path)).send()).await.unwrap();
        assert_eq!(response.headers().get("allow").unwrap(), allowed, "{path}");
        assert_eq!(code(answer::<Value, _>(response).await), ErrorCode::MethodNotAllowed, "{path}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_get_that_is_no_upgrade_is_told_to_be_one() {
    let server = serve(small());
    let refused = server.get::<Value>("/api/v1/ws").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::BadMessage);
    assert!(refused.message.contains("WebSocket"), "{}", refused.message);
    server.stop().await;
}

#[actix_web::test]
async fn pages_of_foreign_origins_are_refused_and_of_named_ones_are_not() {
    let allowed = "https://app.example";
    let server = serve(SignalSettings { allowed_origins: vec![allowed.to_owned()], ..small() });
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1", "https://app.example.evil.example"] {
        let request =
            awc::Client::default().post(server.url("/api/v1/rooms")).insert_header(("origin", origin));
        let response = within(request.send_json(&json!({}))).await.unwrap();
        assert!(response.headers().get("access-control-allow-origin").is_none());
        assert_eq!(code(answer::<RoomCreated, _>(response).await), ErrorCode::OriginRefused, "{origin}");
        let upgrade = server.socket(&[("origin", origin)]).await;
        assert_eq!(status(upgrade.err().unwrap()), 403, "{origin}");
    }
    let own = server.url("");
    for origin in [own.as_str(), allowed] {
        let request =
            awc::Client::default().post(server.url("/api/v1/rooms")).insert_header(("origin", origin));
        let response = within(request.send_json(&json!({}))).await.unwrap();
        let told = response.headers().get("access-control-allow-origin").cloned();
        assert_eq!(told.is_some_and(|told| told == allowed), origin == allowed);
        assert!(answer::<RoomCreated, _>(response).await.is_ok(), "{origin}");
        assert!(server.socket(&[("origin", origin)]).await.is_ok(), "{origin}");
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_preflight_is_answered_for_named_origins_only() {
    let allowed = "https://app.example";
    let server = serve(SignalSettings { allowed_origins: vec![allowed.to_owned()], ..small() });
    let ask = |origin: &'static str| {
        let request = awc::Client::default().options(server.url("/api/v1/rooms"));
        request
            .insert_header(("origin", origin))
            .insert_header(("access-control-request-method", "POST"))
            .insert_header(("access-control-request-headers", "content-type"))
    };
    let response = within(ask(allowed).send()).await.unwrap();
    assert_eq!(response.status(), 204);
    assert_eq!(response.headers().get("access-control-allow-origin").unwrap(), allowed);
    assert!(
        response
            .headers()
            .get("access-control-allow-headers")
            .unwrap()
            .to_str()
            .unwrap()
            .contains("content-type")
    );
    assert_eq!(within(ask("https://evil.example").send()).await.unwrap().status(), 403);
    server.stop().await;
}

#[actix_web::test]
async fn who_asks_too_often_is_told_when_to_come_back() {
    let limits = LimitSettings {
        rooms_per_minute: 2,
        joins_per_minute: 3,
        sockets_per_minute: 1,
        ..Default::default()
    };
    let server = serve(SignalSettings { limits, ..small() });
    let room = server.room(&CreateRoom::default()).await;
    server.room(&CreateRoom::default()).await;
    let response =
        within(awc::Client::default().post(server.url("/api/v1/rooms")).send_json(&json!({}))).await.unwrap();
    let header: u64 = response.headers().get("retry-after").unwrap().to_str().unwrap().parse().unwrap();
    let refused: ApiError = answer::<RoomCreated, _>(response).await.unwrap_err();
    assert_eq!((refused.code, refused.retry_after_seconds), (ErrorCode::RateLimited, Some(header)));
    assert!((1..=30).contains(&header), "{header}");
    for _ in 0..3 {
        server.join(&room.room, &JoinRoom::default()).await.unwrap();
    }
    assert_eq!(code(server.join(&room.room, &JoinRoom::default()).await), ErrorCode::RateLimited);
    let _open = server.socket(&[]).await.unwrap();
    assert_eq!(status(server.socket(&[]).await.err().unwrap()), 429);
    server.stop().await;
}

#[actix_web::test]
async fn a_forwarded_address_counts_only_from_a_trusted_proxy() {
    let limits = LimitSettings { rooms_per_minute: 1, ..Default::default() };
    for (trusted, second) in
        [(vec![], Err(ErrorCode::RateLimited)), (vec!["127.0.0.1".parse().unwrap()], Ok(()))]
    {
        let server = serve(SignalSettings { limits: limits.clone(), trusted_proxies: trusted, ..small() });
        let from = async |address: &str| {
            let request = awc::Client::default().post(server.url("/api/v1/rooms"));
            let request = request.insert_header(("x-forwarded-for", address));
            let response =
                within(request.insert_header(("x-forwarded-proto", "https")).send_json(&json!({}))).await;
            answer::<RoomCreated, _>(response.unwrap()).await
        };
        let first = from("203.0.113.1").await.unwrap();
        assert_eq!(first.link.starts_with("https://"), second.is_ok(), "{}", first.link);
        assert_eq!(from("203.0.113.2").await.map(|_| ()).map_err(|refused| refused.code), second);
        server.stop().await;
    }
}

#[actix_web::test]
async fn a_full_server_opens_no_more_rooms_and_no_more_sockets() {
    let server = serve(SignalSettings { max_rooms: 1, max_sessions: 2, max_sessions_per_ip: 1, ..small() });
    server.room(&CreateRoom::default()).await;
    let refused = server.post::<RoomCreated>("/api/v1/rooms", &CreateRoom::default()).await;
    assert_eq!(code(refused), ErrorCode::Unavailable);
    let _open = server.socket(&[]).await.unwrap();
    assert_eq!(status(server.socket(&[]).await.err().unwrap()), 429);
    server.stop().await;
}

#[actix_web::test]
async fn the_openapi_document_is_served_and_every_path_in_it_exists() {
    let server = serve(small());
    let document: Value = server.get("/api/v1/openapi.json").await.unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3."));
    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in operations.as_object().unwrap().keys() {
            let url = server.url(&path.replace("{room}", "nowhere"));
            let method = method.to_uppercase().parse().unwrap();
            let response =
                within(awc::Client::default().request(method, url).send_json(&json!({}))).await.unwrap();
            let refused = answer::<Value, _>(response).await.err().map(|refused| refused.code);
            let missing = matches!(refused, Some(ErrorCode::NotFound | ErrorCode::MethodNotAllowed));
            assert!(!missing, "{path} is documented but does not exist");
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let timing = TimingSettings { request_ms: 100, ..Default::default() };
    let server = serve(SignalSettings { timing, ..small() });
    let mut stream = within(tokio::net::TcpStream::connect(server.address)).await.unwrap();
    let head = "POST /api/v1/rooms HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{";
    within(stream.write_all(head.as_bytes())).await.unwrap();
    let mut answer = String::new();
    within(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("did not arrive in time"), "{answer}");
    server.stop().await;
}

#[actix_web::test]
async fn a_port_in_use_is_one_clear_sentence() {
    let server = serve(small());
    let parts = causeway_signal::SignalParts {
        settings: small(),
        issuer: causeway_protocol::token::TurnIssuer::hs256(&server.secret),
        secret: server.secret.clone(),
        node: "other".parse().unwrap(),
        bus: std::sync::Arc::new(causeway_cluster::MemoryBus::new()),
        cluster: causeway_cluster::MemoryHub::new(causeway_service::clock::now).node("n".parse().unwrap()),
        relay: common::relay_doors(),
        extra: std::sync::Arc::new(|_| {}),
    };
    let error = causeway_signal::start(server.address, parts).err().unwrap();
    let expected = format!(
        "{} is in use by another program; stop it, or choose another address with --http",
        server.address
    );
    assert_eq!(error.to_string(), expected);
    server.stop().await;
}

#[actix_web::test]
async fn extra_routes_are_asked_before_the_web_demo() {
    use actix_web::{HttpResponse, web};
    let parts = causeway_signal::SignalParts {
        settings: small(),
        issuer: causeway_protocol::token::TurnIssuer::hs256(&causeway_protocol::secret::Secret::from_bytes(
            [1; 32],
        )),
        secret: causeway_protocol::secret::Secret::from_bytes([1; 32]),
        node: "n".parse().unwrap(),
        bus: std::sync::Arc::new(causeway_cluster::MemoryBus::new()),
        cluster: causeway_cluster::MemoryHub::new(causeway_service::clock::now).node("n".parse().unwrap()),
        relay: common::relay_doors(),
        extra: std::sync::Arc::new(|config| {
            config.route("/livez", web::get().to(async || HttpResponse::Ok().body("ok")));
        }),
    };
    let running = causeway_signal::start("127.0.0.1:0".parse().unwrap(), parts).unwrap();
    let url = format!("http://{}/livez", running.addresses()[0]);
    let mut response = within(awc::Client::default().get(url).send()).await.unwrap();
    assert_eq!(within(response.body()).await.unwrap(), "ok");
    running.drain(common::PATIENCE).await;
}

async fn check_body(server: &TestServer, content_type: &str, body: &str, expected: ErrorCode) {
    let room = server.room(&CreateRoom::default()).await;
    for path in ["/api/v1/rooms".to_owned(), format!("/api/v1/rooms/{}/join", room.room)] {
        let request = awc::Client::default()
            .post(server.url(&path))
            .insert_header(("content-type", content_type.to_owned()));
        let response = within(request.send_body(body.to_owned())).await.unwrap();
        let refused = answer::<Value, _>(response).await.unwrap_err();
        assert_eq!(refused.code, expected, "{path}: {body:.40} as {content_type}");
    }
}

async fn with_bearer(server: &TestServer, path: &str, token: &str, body: &Value) -> Result<Value, ApiError> {
    let request = awc::Client::default().post(server.url(path)).bearer_auth(token);
    answer(within(request.send_json(body)).await.unwrap()).await
}

fn status(error: tokio_tungstenite::tungstenite::Error) -> u16 {
    match error {
        tokio_tungstenite::tungstenite::Error::Http(response) => response.status().as_u16(),
        other => panic!("{other:?} instead of an HTTP answer"),
    }
}
