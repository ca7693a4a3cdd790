//! What TLS shows its clients: a certificate and its key, which change while the relay runs.

mod load;
mod self_signed;
mod watch;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::settings::TurnSettings;

pub(crate) use load::PairFiles;
pub(crate) use watch::Watcher;

/// Why there is no certificate to show. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}; check the path and who may read the file", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not PEM.
    #[error("{} is no PEM file: {problem}; give what begins with -----BEGIN", path.display())]
    NotPem {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no certificate in the file.
    #[error("there is no certificate in {}; give the server's certificate, followed by its issuers'", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// There is no key in the file.
    #[error("there is no private key in {}; give one in PKCS #8, SEC 1 or PKCS #1 without a passphrase", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key are of no use together.
    #[error(
        "the certificate in {} and the key in {} cannot be used together: {source}; give the pair that was issued together",
        certificate.display(), key.display()
    )]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// No certificate is configured and none could be made.
    #[error("cannot make a self-signed certificate: {0}; set turn.tls.certificate and turn.tls.key")]
    SelfSigned(String),
}

/// A certificate with its issuers, and its key.
pub(crate) struct Pair {
    /// The server's own comes first.
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    certified: Arc<CertifiedKey>,
}

impl Pair {
    /// A new one that signs itself, for the realm and the addresses of the settings.
    pub(crate) fn self_signed(settings: &TurnSettings) -> Result<Self, CertificateError> {
        self_signed::pair(&settings.realm, &settings.listen)
    }
}

/// The pair that is shown at the moment, shared by all that show it. A handshake that has begun keeps the pair it
/// began with.
#[derive(Clone)]
pub(crate) struct Certificates(Arc<Mutex<Arc<Pair>>>);

impl Certificates {
    /// From the files that the settings name, else one that signs itself.
    pub(crate) fn of(settings: &TurnSettings) -> Result<Self, CertificateError> {
        let pair = match settings.tls.files() {
            Some(files) => load::pair(&files)?,
            None => {
                tracing::warn!(
                    "TLS shows a self-signed certificate, which browsers refuse; set turn.tls.certificate and turn.tls.key"
                );
                Pair::self_signed(settings)?
            }
        };
        Ok(Self(Arc::new(Mutex::new(Arc::new(pair)))))
    }

    /// The pair for whoever begins now. Who keeps it compares it with `Arc::ptr_eq` to learn of a change.
    pub(crate) fn current(&self) -> Arc<Pair> {
        Arc::clone(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, pair: Pair) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
    }
}

impl ResolvesServerCert for Certificates {
    /// Whatever name the client asks for: TURN clients verify what they configured.
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current().certified))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates")
    }
}
