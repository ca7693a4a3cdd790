//! What a worker allows its connections.

use std::time::Duration;

use crate::settings::TurnSettings;

/// One worker's share of the settings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    pub(crate) connections: usize,
    pub(crate) half_open: usize,
    pub(crate) handshake: Duration,
    pub(crate) authentication: Duration,
    pub(crate) idle: Duration,
    pub(crate) stalled: Duration,
    pub(crate) write_queue: usize,
}

impl StreamLimits {
    /// The share of one of `workers` workers.
    pub(crate) fn share(settings: &TurnSettings, workers: usize) -> Self {
        let TurnSettings { streams: settings, tls, .. } = settings;
        Self {
            connections: settings.max_connections.div_ceil(workers),
            half_open: settings.max_half_open.div_ceil(workers),
            handshake: Duration::from_secs(tls.handshake_seconds.into()),
            authentication: Duration::from_secs(settings.authentication_seconds.into()),
            idle: Duration::from_secs(settings.idle_seconds.into()),
            stalled: Duration::from_secs(settings.stalled_seconds.into()),
            write_queue: settings.write_queue_bytes,
        }
    }
}
