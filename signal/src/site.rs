//! The web demo, embedded in the binary.

use std::borrow::Cow;

use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, CROSS_ORIGIN_OPENER_POLICY, ETAG,
    HeaderName, IF_NONE_MATCH, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use causeway_protocol::RoomId;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::client;

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

const NOT_BUILT: &str =
    "The web demo is not part of this build. Run `make web`, then build the binary again.\n";

#[derive(RustEmbed)]
#[folder = "../web-demo/dist"]
struct Demo;

/// Answers every address outside `/api`.
pub(crate) async fn serve(request: HttpRequest) -> HttpResponse {
    respond(&request, Demo::get)
}

/// `files` looks up a path without its leading slash.
fn respond(request: &HttpRequest, files: impl Fn(&str) -> Option<EmbeddedFile>) -> HttpResponse {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = page(request, StatusCode::METHOD_NOT_ALLOWED);
        return response.insert_header((ALLOW, "GET, HEAD")).body("This address only shows a page.\n");
    }
    let path = request.path().trim_start_matches('/');
    if let Some(file) = files(path).filter(|_| path != "index.html") {
        return answer(request, path, &file);
    }
    if !is_page(path) {
        return page(request, StatusCode::NOT_FOUND).body("There is nothing at this address.\n");
    }
    match files("index.html") {
        Some(file) => answer(request, "index.html", &file),
        None => page(request, StatusCode::SERVICE_UNAVAILABLE).body(NOT_BUILT),
    }
}

/// The addresses at which the demo's page finds its own way: the start, and a room's short link.
fn is_page(path: &str) -> bool {
    path.is_empty()
        || path == "index.html"
        || path.strip_prefix("r/").is_some_and(|room| room.parse::<RoomId>().is_ok())
}

fn answer(request: &HttpRequest, path: &str, file: &EmbeddedFile) -> HttpResponse {
    let hash = file.metadata.sha256_hash();
    let etag = format!("\"{}\"", hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>());
    let known = request.headers().get(IF_NONE_MATCH).and_then(|tags| tags.to_str().ok());
    let fresh =
        known.is_some_and(|tags| tags.split(',').any(|tag| matches!(tag.trim(), t if t == etag || t == "*")));
    let mut response = page(request, if fresh { StatusCode::NOT_MODIFIED } else { StatusCode::OK });
    // Names under assets/ contain a hash of their content, so what they name never changes.
    let caching =
        if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.insert_header((ETAG, etag)).insert_header((CACHE_CONTROL, caching));
    response.insert_header((CONTENT_TYPE, content_type(path)));
    if fresh {
        return response.finish();
    }
    match &file.data {
        Cow::Borrowed(bytes) => response.body(*bytes),
        Cow::Owned(bytes) => response.body(bytes.clone()),
    }
}

/// An answer as plain text, unless a type is given, with the headers that confine a page.
fn page(request: &HttpRequest, status: StatusCode) -> HttpResponseBuilder {
    let mut response = HttpResponse::build(status);
    response
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, policy(client::authority(request))))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        // The address of a page contains a room's id.
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((CROSS_ORIGIN_OPENER_POLICY, "same-origin"))
        .insert_header((PERMISSIONS_POLICY, "camera=(), microphone=(), geolocation=()"));
    response
}

/// Everything from here and nothing from elsewhere. Safari does not count `ws:` to the same host as `'self'`.
fn policy(authority: Option<&str>) -> String {
    let sockets = authority.map(|host| format!(" ws://{host} wss://{host}")).unwrap_or_default();
    format!(
        "default-src 'self'; connect-src 'self'{sockets}; img-src 'self' data: blob:; media-src 'self' blob:; \
         worker-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map") => "application/json",
        Some("webmanifest") => "application/manifest+json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("ico") => "image/x-icon",
        Some("wasm") => "application/wasm",
        Some("woff2") => "font/woff2",
        Some("txt") => "text/plain; charset=utf-8",
        Some(_) | None => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::test::TestRequest;

    use super::*;

    #[derive(RustEmbed)]
    #[folder = "tests/site"]
    struct Built;

    #[actix_web::test]
    async fn the_start_and_a_rooms_link_show_the_page_and_never_from_a_stale_cache() {
        for path in ["/", "/r/k1tchen00000", "/index.html"] {
            let response = respond(&get(path), Built::get);
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(header(&response, CONTENT_TYPE), "text/html; charset=utf-8");
            assert_eq!(header(&response, CACHE_CONTROL), "no-cache");
            let body = to_bytes(response.into_body()).await.unwrap();
            assert!(body.starts_with(b"<!doctype html>"), "{path}");
        }
    }

    #[actix_web::test]
    async fn a_hashed_file_is_kept_for_ever() {
        let response = respond(&get("/assets/main-1234.js"), Built::get);
        assert_eq!(header(&response, CONTENT_TYPE), "text/javascript; charset=utf-8");
        assert_eq!(header(&response, CACHE_CONTROL), "public, max-age=31536000, immutable");
    }

    #[actix_web::test]
    async fn a_file_that_the_browser_has_is_not_sent_again() {
        let etag = header(&respond(&get("/"), Built::get), ETAG).to_owned();
        let again = TestRequest::get().uri("/").insert_header((IF_NONE_MATCH, format!("\"x\", {etag}")));
        let response = respond(&again.to_http_request(), Built::get);
        assert_eq!(response.status(), StatusCode::NOT_MODIFIED);
        let changed = TestRequest::get().uri("/").insert_header((IF_NONE_MATCH, "\"x\""));
        assert_eq!(respond(&changed.to_http_request(), Built::get).status(), StatusCode::OK);
    }

    #[actix_web::test]
    async fn other_addresses_are_not_found_and_lead_nowhere_else() {
        for path in [
            "/r/",
            "/r/a/b",
            "/r/a%2fb",
            "/assets/none.js",
            "/../Cargo.toml",
            "/assets/../../lib.rs",
            "/.env",
        ] {
            assert_eq!(respond(&get(path), Built::get).status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[actix_web::test]
    async fn every_answer_confines_the_page() {
        for path in ["/", "/nowhere", "/assets/main-1234.js"] {
            let response = respond(&get(path), Built::get);
            let policy = header(&response, CONTENT_SECURITY_POLICY);
            assert!(policy.starts_with("default-src 'self';"), "{policy}");
            assert!(
                policy.contains("connect-src 'self' ws://localhost:8080 wss://localhost:8080;"),
                "{policy}"
            );
            assert!(policy.ends_with("frame-ancestors 'none'"), "{policy}");
            assert!(!policy.contains("unsafe"), "{policy}");
            assert_eq!(header(&response, X_CONTENT_TYPE_OPTIONS), "nosniff");
            assert_eq!(header(&response, REFERRER_POLICY), "no-referrer");
        }
    }

    #[test]
    fn a_host_header_cannot_write_into_the_policy() {
        let request =
            TestRequest::get().uri("/").insert_header(("host", "x; script-src *")).to_http_request();
        let response = respond(&request, Built::get);
        assert!(!header(&response, CONTENT_SECURITY_POLICY).contains("script-src"));
    }

    #[actix_web::test]
    async fn a_build_without_the_demo_says_what_to_run() {
        let response = respond(&get("/"), |_| None);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(to_bytes(response.into_body()).await.unwrap().starts_with(b"The web demo is not part"));
    }

    #[test]
    fn a_page_takes_no_posts() {
        let request = TestRequest::post().uri("/").to_http_request();
        let response = respond(&request, Built::get);
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(header(&response, ALLOW), "GET, HEAD");
    }

    fn get(path: &str) -> HttpRequest {
        TestRequest::get().uri(path).insert_header(("host", "localhost:8080")).to_http_request()
    }

    fn header(response: &HttpResponse, name: HeaderName) -> &str {
        response.headers().get(name).unwrap().to_str().unwrap()
    }
}
