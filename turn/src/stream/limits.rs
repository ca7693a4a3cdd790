//! What a worker allows its connections.

use std::time::Duration;

use crate::settings::StreamSettings;

/// One worker's share of [`StreamSettings`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct StreamLimits {
    pub(crate) tcp: bool,
    pub(crate) connections: usize,
    pub(crate) half_open: usize,
    pub(crate) authentication: Duration,
    pub(crate) idle: Duration,
    pub(crate) stalled: Duration,
    pub(crate) write_queue: usize,
}

impl StreamLimits {
    /// The share of one of `workers` workers.
    pub(crate) fn share(settings: &StreamSettings, workers: usize) -> Self {
        Self {
            tcp: settings.tcp,
            connections: settings.max_connections.div_ceil(workers),
            half_open: settings.max_half_open.div_ceil(workers),
            authentication: Duration::from_secs(settings.authentication_seconds.into()),
            idle: Duration::from_secs(settings.idle_seconds.into()),
            stalled: Duration::from_secs(settings.stalled_seconds.into()),
            write_queue: settings.write_queue_bytes,
        }
    }
}
