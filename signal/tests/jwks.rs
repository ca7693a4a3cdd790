//! Tokens that an identity provider signs: its keys are fetched from where it publishes them.

#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use causeway_protocol::ErrorCode;
use causeway_protocol::message::ServerMessage;
use causeway_signal::{ApiKeySettings, ApiKeys, SignalSettings};
use common::mint::signed;
use common::{TestServer, serve, small};
use jsonwebtoken::{Algorithm, EncodingKey};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const ISSUER: &str = "https://idp.example/";
/// `openssl genpkey -algorithm ed25519`, and its public half.
const ED25519: (&str, &str) = (
    "MC4CAQAwBQYDK2VwBCIEIG0OkDEbFJRaYqBzzTp1YWQXjL+jZDd6dCE5czJcJzwS",
    "2knU239gAQ5WNVa21tCVYsPn9/JX+qHVX4/HDRyOd6k",
);

#[actix_web::test]
async fn a_token_of_the_provider_opens_its_room_under_a_peer_made_from_its_subject() {
    let provider = Provider::serve(good(), None).await;
    let server = serve(settings(&provider.http(), None));
    let welcome = first(&server, &token("2026-11", &json!({"sub": "auth0|5f7c8ec7"}))).await;
    let ServerMessage::Welcome { snapshot, .. } = welcome else { panic!("{welcome:?}") };
    assert_eq!(snapshot.peer.as_str().len(), 16);
    assert_eq!(provider.asked(), 1);
    server.stop().await;
}

#[actix_web::test]
async fn an_unknown_kid_does_not_flood_the_provider() {
    let provider = Provider::serve(good(), None).await;
    let server = serve(settings(&provider.http(), None));
    assert!(matches!(first(&server, &token("2026-11", &json!({}))).await, ServerMessage::Welcome { .. }));
    for n in 0..20 {
        check_refused(&server, &token(&format!("k{n}"), &json!({})), ErrorCode::TokenInvalid).await;
    }
    assert_eq!(provider.asked(), 1);
    server.stop().await;
}

#[actix_web::test]
async fn a_token_for_another_audience_or_of_another_issuer_is_refused() {
    let provider = Provider::serve(good(), None).await;
    let server = serve(settings(&provider.http(), None));
    for change in [
        json!({"aud": "billing"}),
        json!({"aud": null}),
        json!({"iss": "https://evil.example/"}),
        json!({"iss": null}),
    ] {
        check_refused(&server, &token("2026-11", &change), ErrorCode::TokenInvalid).await;
    }
    server.stop().await;
}

#[actix_web::test]
async fn what_is_no_set_lets_nobody_in_and_nobody_is_followed_elsewhere() {
    let elsewhere = Provider::serve(good(), None).await;
    let redirect =
        format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", elsewhere.http());
    let huge = format!("HTTP/1.1 200 OK\r\ncontent-length: 300000\r\n\r\n{}", " ".repeat(300_000));
    for bad in [
        redirect,
        huge,
        "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n".to_owned(),
        ok("<html>"),
        ok(r#"{"keys": []}"#),
        "garbage\r\n\r\n".to_owned(),
        String::new(),
    ] {
        let provider = Provider::serve(bad.clone(), None).await;
        let server = serve(settings(&provider.http(), None));
        check_refused(&server, &token("2026-11", &json!({})), ErrorCode::Unavailable).await;
        server.stop().await;
    }
    assert_eq!(elsewhere.asked(), 0);
}

#[actix_web::test]
async fn over_tls_the_provider_is_believed_only_with_a_certificate_that_the_operator_trusts() {
    let certificate = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let provider = Provider::serve(good(), Some(&certificate)).await;
    let mut trusted = tempfile::NamedTempFile::new().unwrap();
    trusted.write_all(pem(&certificate).as_bytes()).unwrap();
    let server = serve(settings(&provider.https(), Some(trusted.path())));
    assert!(matches!(first(&server, &token("2026-11", &json!({}))).await, ServerMessage::Welcome { .. }));
    server.stop().await;

    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let mut untrusted = tempfile::NamedTempFile::new().unwrap();
    untrusted.write_all(pem(&other).as_bytes()).unwrap();
    let server = serve(settings(&provider.https(), Some(untrusted.path())));
    check_refused(&server, &token("2026-11", &json!({})), ErrorCode::Unavailable).await;
    assert_eq!(provider.asked(), 1);
    server.stop().await;
}

/// Answers every request with the same bytes.
struct Provider {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Provider {
    async fn serve(answer: String, certificate: Option<&rcgen::CertifiedKey<rcgen::KeyPair>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let tls = certificate.map(acceptor);
        let count = Arc::clone(&asked);
        actix_web::rt::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, tls, count) = (answer.clone(), tls.clone(), Arc::clone(&count));
                actix_web::rt::spawn(async move {
                    match tls {
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                respond(stream, &answer, &count).await;
                            }
                        }
                        None => respond(stream, &answer, &count).await,
                    }
                });
            }
        });
        Self { address, asked }
    }

    fn http(&self) -> String {
        format!("http://{}/keys", self.address)
    }

    fn https(&self) -> String {
        format!("https://localhost:{}/keys", self.address.port())
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn respond(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str, count: &AtomicUsize) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    count.fetch_add(1, Ordering::SeqCst);
    // A client that has read enough goes away.
    let _sent = stream.write_all(answer.as_bytes()).await;
    let _closed = stream.shutdown().await;
}

fn acceptor(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> TlsAcceptor {
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.cert.der().clone()], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}

fn pem(certificate: &rcgen::CertifiedKey<rcgen::KeyPair>) -> String {
    let body = STANDARD.encode(certificate.cert.der());
    format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
}

fn good() -> String {
    ok(&json!({"keys": [{"kid": "2026-11", "kty": "OKP", "crv": "Ed25519", "x": public(), "use": "sig"}]})
        .to_string())
}

fn public() -> String {
    URL_SAFE_NO_PAD.encode(STANDARD.decode(format!("{}=", ED25519.1)).unwrap())
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn settings(url: &str, ca: Option<&std::path::Path>) -> SignalSettings {
    let idp = ApiKeySettings {
        jwks_url: Some(url.to_owned()),
        jwks_ca: ca.map(std::path::Path::to_owned),
        issuer: Some(ISSUER.to_owned()),
        audience: Some("rtc".to_owned()),
        ..Default::default()
    };
    SignalSettings { api_keys: ApiKeys::from([("idp".parse().unwrap(), idp)]), ..small() }
}

fn token(kid: &str, change: &Value) -> String {
    let key = EncodingKey::from_ed_der(&STANDARD.decode(ED25519.0).unwrap());
    let mut claims = json!({"iss": ISSUER, "aud": ["rtc", "other"]});
    claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    signed(kid, Algorithm::EdDSA, &key, &claims)
}

async fn first(server: &TestServer, token: &str) -> ServerMessage {
    server.connect(token).await.next().await
}

async fn check_refused(server: &TestServer, token: &str, expected: ErrorCode) {
    let (_, messages) = server.connect(token).await.end().await;
    assert!(
        matches!(messages.first(), Some(ServerMessage::Error { code, .. }) if *code == expected),
        "{messages:?}"
    );
}
