//! What both long-running commands do at their start and end.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use causeway_protocol::NodeId;
use causeway_protocol::secret::Secret;
use causeway_service::health::Health;
use causeway_service::metrics::Metrics;
use causeway_service::ops::{self, Ops};
use causeway_service::shutdown::StopCall;

use crate::exit::Exit;
use crate::settings::Settings;

/// How often histograms are drained.
const UPKEEP: Duration = Duration::from_secs(5);

/// What every part of a running process is given.
pub struct Process {
    /// This process among others.
    pub node: NodeId,
    /// What `/readyz` reports.
    pub health: Health,
    metrics: Metrics,
}

impl Process {
    /// Sets up logs and metrics. Comes before every part that logs or counts.
    pub fn start(settings: &Settings) -> Self {
        settings.log.init();
        let metrics = Metrics::install();
        Self { node: NodeId::random(&mut rand::rng()), health: Health::new(), metrics }
    }

    /// Binds the operator's pages and serves them until the process ends. There `stop` can be asked for.
    ///
    /// # Errors
    /// [`Exit::Start`] with a sentence that names the address.
    pub fn serve_ops(&self, address: SocketAddr, stop: StopCall) -> Result<SocketAddr, Exit> {
        let Ops { address, server } = ops::bind(address, self.health.clone(), self.metrics.clone(), stop)
            .map_err(|error| Exit::Start(listener_problem("--ops", address, &error)))?;
        actix_web::rt::spawn(server);
        let metrics = self.metrics.clone();
        actix_web::rt::spawn(async move {
            let mut ticks = actix_web::rt::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                metrics.upkeep();
            }
        });
        Ok(address)
    }
}

/// The sentence for a listener that cannot be bound.
pub fn listener_problem(flag: &str, address: SocketAddr, error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "{address} is already in use; stop the other process or choose another address with {flag}"
            )
        }
        std::io::ErrorKind::AddrNotAvailable => {
            format!("{address} is no address of this host; choose another with {flag}")
        }
        std::io::ErrorKind::PermissionDenied => {
            format!("{address} needs more rights (ports below 1024 do); choose another with {flag}")
        }
        _ => format!("cannot listen on {address}: {error}; choose another with {flag}"),
    }
}

/// The installation's secret: from the settings, else from the data directory.
///
/// # Errors
/// [`Exit::Secret`] if the file cannot be read or made.
pub fn secret(settings: &Settings, data_dir: &Path) -> Result<Secret, Exit> {
    match given_secret(settings) {
        Some(secret) => Ok(secret),
        None => crate::secret::load_or_create(data_dir),
    }
}

/// The installation's secret if the settings name it or the place where it is kept.
///
/// # Errors
/// [`Exit::Secret`] if the file cannot be read or made.
pub fn secret_if_known(settings: &Settings) -> Result<Option<Secret>, Exit> {
    match given_secret(settings) {
        Some(secret) => Ok(Some(secret)),
        None => settings.node.data_dir.as_deref().map(crate::secret::load_or_create).transpose(),
    }
}

fn given_secret(settings: &Settings) -> Option<Secret> {
    // The settings' own check has ruled out what is no secret.
    Secret::from_hex(settings.node.secret.as_ref()?.expose()).ok()
}
