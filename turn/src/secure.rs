//! What TLS needs before the first worker runs.

use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;

use crate::certificates::{Certificates, Watcher};
use crate::settings::TurnSettings;
use crate::start::StartError;
use crate::stream;

/// The server's side of TLS, and what keeps its certificate up to date.
pub(crate) struct Secure {
    /// `None`: clients over TLS are switched off.
    pub(crate) config: Option<Arc<ServerConfig>>,
    /// Works until it is dropped; `None`: there are no files to look at.
    pub(crate) watcher: Option<Watcher>,
}

impl Secure {
    /// What the settings ask for.
    pub(crate) fn prepare(settings: &TurnSettings) -> Result<Self, StartError> {
        if !settings.streams.tls {
            return Ok(Self { config: None, watcher: None });
        }
        let certificates = Certificates::of(settings)?;
        let config = stream::tls_config(certificates.clone()).map_err(StartError::Tls)?;
        let every = Duration::from_secs(settings.tls.look_seconds.into());
        let watcher = settings
            .tls
            .files()
            .map(|files| Watcher::start(certificates, files, every))
            .transpose()
            .map_err(StartError::Worker)?;
        Ok(Self { config: Some(config), watcher })
    }
}
