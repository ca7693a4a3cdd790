//! Fetches JWK sets: HTTPS, no redirects, little patience, little memory.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::ACCEPT;
use actix_web::web;
use causeway_protocol::token::{KeySet, KeySetError};
use causeway_service::clock;
use futures_util::future::join_all;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use super::jwks::RemoteKeys;
use crate::metrics;
use crate::state::Signal;

/// For a whole fetch, from the name's resolution to the last byte.
const WITHIN: Duration = Duration::from_secs(5);

/// The largest set that is read, in bytes. Providers' have 2 to 20 kB.
const MAX_LEN: usize = 256 * 1024;

/// Between two looks at the clock if nothing is to be fetched.
const IDLE: Duration = Duration::from_secs(600);

/// Why no set was fetched.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("jwks_ca cannot be read: {0}")]
    Authority(rustls::pki_types::pem::Error),
    #[error("the system has no certificates of authorities; install them, or name a file in jwks_ca")]
    NoAuthorities,
    #[error("the certificates of the authorities cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    #[error("the issuer does not answer: {0}")]
    Send(String),
    #[error("the issuer answers {0}; jwks_url has to lead to the set without a redirect")]
    Status(StatusCode),
    #[error("the answer breaks off, or has more than {MAX_LEN} bytes: {0}")]
    Body(String),
    #[error("the issuer took longer than {} s", WITHIN.as_secs())]
    TooSlow,
    #[error(transparent)]
    Set(#[from] KeySetError),
    #[error("a thread for files is not to be had: {0}")]
    Thread(io::Error),
}

/// Fetches every set when it is time, and when somebody asks.
pub(crate) async fn keep_fresh(signal: Arc<Signal>) {
    loop {
        let (keys, now) = (signal.access.keys(), clock::now().moment);
        let due = keys.remote().filter(|remote| remote.begin(now));
        join_all(due.map(|remote| refresh(remote))).await;
        let now = clock::now().moment;
        let next = keys.remote().map(|remote| remote.next().since(now)).min().unwrap_or(IDLE);
        drop(keys);
        // Whichever comes first; a call while nobody waited is remembered.
        let _timer = tokio::time::timeout(next, signal.access.wanted.notified()).await;
    }
}

async fn refresh(remote: &RemoteKeys) {
    let fetched = tokio::time::timeout(WITHIN, fetch(&remote.url, remote.ca.as_deref()));
    let fetched = fetched.await.unwrap_or(Err(FetchError::TooSlow));
    metrics::jwks_fetched(fetched.is_ok());
    match fetched {
        Ok(set) => {
            tracing::debug!(key = %remote.key, "the keys of an issuer were fetched");
            remote.end(Some(set));
        }
        Err(error) => {
            let known = remote.has_keys();
            tracing::warn!(key = %remote.key, %error, keeps_older_keys = known, "the keys of an issuer cannot be fetched");
            remote.end(None);
        }
    }
}

async fn fetch(url: &str, ca: Option<&Path>) -> Result<KeySet, FetchError> {
    let client = client(url, ca).await?;
    // Errors of the client are as many as its transports have, and change with it: their text is what helps.
    let sent = client.get(url).insert_header((ACCEPT, "application/json")).send().await;
    let mut response = sent.map_err(|error| FetchError::Send(error.to_string()))?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    let body = response.body().limit(MAX_LEN).await.map_err(|error| FetchError::Body(error.to_string()))?;
    Ok(KeySet::parse(&body)?)
}

async fn client(url: &str, ca: Option<&Path>) -> Result<awc::Client, FetchError> {
    let mut connector = awc::Connector::new().timeout(WITHIN);
    if url.starts_with("https:") {
        let ca = ca.map(Path::to_owned);
        let roots = web::block(move || roots(ca.as_deref())).await;
        let roots = roots.map_err(|gone| FetchError::Thread(io::Error::other(gone)))??;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        connector = connector.rustls_0_23(Arc::new(config));
    }
    Ok(awc::Client::builder().connector(connector).timeout(WITHIN).disable_redirects().finish())
}

/// Whom to trust: the file's authorities alone, else the system's.
fn roots(ca: Option<&Path>) -> Result<RootCertStore, FetchError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(file) => {
            for certificate in CertificateDer::pem_file_iter(file).map_err(FetchError::Authority)? {
                roots.add(certificate.map_err(FetchError::Authority)?)?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    if roots.is_empty() { Err(FetchError::NoAuthorities) } else { Ok(roots) }
}
