//! The operator's pages: `/livez`, `/readyz` and `/metrics`, on a listener of their own.

use std::io;
use std::net::SocketAddr;

use actix_web::dev::Server;
use actix_web::http::header::ContentType;
use actix_web::{App, HttpResponse, HttpServer, web};

use crate::health::Health;
use crate::metrics::Metrics;

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
pub fn bind(address: SocketAddr, health: Health, metrics: Metrics) -> io::Result<Ops> {
    let server = HttpServer::new(move || {
        let metrics = metrics.clone();
        let health = health.clone();
        App::new()
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
    async fn a_taken_port_is_an_error_and_no_panic() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let error = bind(address, Health::new(), Metrics::install()).err().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}
