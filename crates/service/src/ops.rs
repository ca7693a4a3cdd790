//! The operator's pages: `/livez`, `/readyz`, `/metrics` and `/drain`, on a listener of their own.

use std::io;
use std::net::SocketAddr;

use actix_web::dev::Server;
use actix_web::http::header::{ContentType, ORIGIN};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};

use crate::health::Health;
use crate::metrics::Metrics;
use crate::shutdown::StopCall;

/// The operator's listener: its address and the server to await.
pub struct Ops {
    /// Where it listens; the port is known even if 0 was asked for.
    pub address: SocketAddr,
    /// Runs until it is stopped.
    pub server: Server,
}

/// Binds the operator's pages to `address`.
///
/// # Errors
/// The bind's own error: address in use, no permission, no such interface.
pub fn bind(address: SocketAddr, health: Health, metrics: Metrics, stop: StopCall) -> io::Result<Ops> {
    let server = HttpServer::new(move || {
        let metrics = metrics.clone();
        let health = health.clone();
        let stop = stop.clone();
        App::new()
            .route("/drain", web::post().to(move |request| std::future::ready(drain(&request, &stop))))
            .route("/metrics", web::get().to(move || std::future::ready(render(&metrics))))
            .configure(move |routes| health_routes(routes, &health))
    })
    .workers(1)
    .disable_signals()
    .bind(address)?;
    let address = server.addrs().first().copied().unwrap_or(address);
    Ok(Ops { address, server: server.run() })
}

/// `/livez` and `/readyz`, for listeners that load balancers see.
pub fn health_routes(routes: &mut web::ServiceConfig, health: &Health) {
    let health = health.clone();
    routes
        .route("/livez", web::get().to(|| std::future::ready(HttpResponse::Ok().body("alive\n"))))
        .route("/readyz", web::get().to(move || std::future::ready(readiness(&health))));
}

fn readiness(health: &Health) -> HttpResponse {
    let mut response =
        if health.is_ready() { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.content_type(ContentType::plaintext()).body(health.report())
}

/// Metrics may be open to a network, and pages in a browser on this host reach this listener too: neither may stop us.
fn drain(request: &HttpRequest, stop: &StopCall) -> HttpResponse {
    let is_local = request.peer_addr().is_some_and(|peer| peer.ip().to_canonical().is_loopback());
    if !is_local || request.headers().contains_key(ORIGIN) {
        return HttpResponse::Forbidden().body("ask from this host, and not from a page; or send SIGTERM\n");
    }
    stop.ask();
    HttpResponse::Accepted().body("draining\n")
}

fn render(metrics: &Metrics) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics.render())
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;
    use crate::health::Condition;

    #[actix_web::test]
    async fn readyz_tells_the_truth_and_livez_does_not_care() {
        let health = Health::new();
        let app = init_service(App::new().configure(|routes| health_routes(routes, &health))).await;
        let status =
            async |path: &str| call_service(&app, TestRequest::get().uri(path).to_request()).await.status();
        health.set("relay", Condition::Starting);
        assert_eq!(status("/readyz").await, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(status("/livez").await, StatusCode::OK);
        health.set("relay", Condition::Ready);
        assert_eq!(status("/readyz").await, StatusCode::OK);
    }

    #[actix_web::test]
    async fn only_this_host_may_ask_for_a_drain_and_no_page_may() {
        let route = web::post().to(|request| std::future::ready(drain(&request, &StopCall::default())));
        let app = init_service(App::new().route("/drain", route)).await;
        for (peer, origin, expected) in [
            ("127.0.0.1:1", None, StatusCode::ACCEPTED),
            ("[::1]:1", None, StatusCode::ACCEPTED),
            ("[::ffff:127.0.0.1]:1", None, StatusCode::ACCEPTED),
            ("127.0.0.1:1", Some("http://localhost:9641"), StatusCode::FORBIDDEN),
            ("192.0.2.1:1", None, StatusCode::FORBIDDEN),
        ] {
            let request = TestRequest::post().uri("/drain").peer_addr(peer.parse().unwrap());
            let request =
                origin.into_iter().fold(request, |request, from| request.insert_header((ORIGIN, from)));
            assert_eq!(
                call_service(&app, request.to_request()).await.status(),
                expected,
                "{peer} {origin:?}"
            );
        }
    }

    #[actix_web::test]
    async fn a_taken_port_is_an_error_and_no_panic() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address, Health::new(), Metrics::install(), StopCall::default()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
