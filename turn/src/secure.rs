//! What TLS and DTLS need before the first worker runs.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::certificates::{Certificates, Watcher};
use crate::settings::TurnSettings;
use crate::start::StartError;
use crate::stream;

/// The server's side of TLS, the certificate, and what keeps it up to date.
pub(crate) struct Secure {
    /// `None`: nobody shows one.
    pub(crate) certificates: Option<Certificates>,
    /// `None`: clients over TLS are switched off.
    pub(crate) config: Option<Arc<ServerConfig>>,
    /// Works until it is dropped; `None`: there are no files to look at.
    pub(crate) watcher: Option<Watcher>,
}

impl Secure {
    /// What the settings ask for.
    pub(crate) fn prepare(settings: &TurnSettings) -> Result<Self, StartError> {
        let dtls = cfg!(feature = "dtls") && settings.dtls.enabled;
        if !settings.streams.tls && !dtls {
            return Ok(Self { certificates: None, config: None, watcher: None });
        }
        let certificates = Certificates::of(settings)?;
        let config = settings
            .streams
            .tls
            .then(|| stream::tls_config(certificates.clone()).map_err(StartError::Tls))
            .transpose()?;
        let shown = certificates.clone();
        let every = Duration::from_secs(settings.tls.look_seconds.into());
        let watcher = settings
            .tls
            .files()
            .map(|files| Watcher::start(certificates, files, every))
            .transpose()
            .map_err(StartError::Worker)?;
        Ok(Self { certificates: Some(shown), config, watcher })
    }
}
