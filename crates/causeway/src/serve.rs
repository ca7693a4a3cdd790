//! `causeway serve`: rooms, signaling, relay and demo in one process; and `causeway signal`, the same without the relay.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use causeway_protocol::secret::Secret;
use causeway_service::health::Condition;
use causeway_service::ops::health_routes;
use causeway_service::reload::Effective;
use causeway_service::shutdown::StopRequests;
use causeway_signal::{RelayDoors, RunningSignal, SignalParts};

use crate::cli::{ServeFlags, SignalFlags};
use crate::cluster::ClusterPart;
use crate::exit::Exit;
use crate::relay::{RelayPart, drain_time};
use crate::reload::{Parts, Reloads};
use crate::settings::{Settings, Source};
use crate::startup::{self, Process};

/// The name of rooms and signaling in `/readyz`.
const PART: &str = "signal";
/// Where `serve` keeps its data if nothing is said.
const DEFAULT_DATA_DIR: &str = "data";
/// How long people's sockets have at least to take the last message and close.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs everything until it is told to stop.
///
/// # Errors
/// Any [`Exit`].
pub fn run(flags: ServeFlags) -> Result<(), Exit> {
    begin(Source::of_serve(flags), Shape::WithRelay)
}

/// Runs rooms and signaling until it is told to stop.
///
/// # Errors
/// Any [`Exit`].
pub fn run_rooms(flags: SignalFlags) -> Result<(), Exit> {
    begin(Source::of_signal(flags), Shape::RoomsAlone)
}

/// What runs in the process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    WithRelay,
    RoomsAlone,
}

fn begin(source: Source, shape: Shape) -> Result<(), Exit> {
    let effective = source.effective()?;
    let settings = effective.settings();
    let data_dir = data_dir(settings);
    let secret = startup::secret(settings, data_dir)?;
    actix_web::rt::System::new().block_on(serve(source, effective, secret, shape))
}

fn data_dir(settings: &Settings) -> &Path {
    settings.node.data_dir.as_deref().unwrap_or(Path::new(DEFAULT_DATA_DIR))
}

async fn serve(
    source: Source,
    effective: Effective<Settings>,
    secret: Secret,
    shape: Shape,
) -> Result<(), Exit> {
    let process = Process::start(effective.settings());
    let mut reloads = Reloads::listen(source, effective)?;
    let settings = reloads.settings();
    let mut stop =
        StopRequests::listen().map_err(|error| Exit::Start(format!("cannot take signals: {error}")))?;
    let data_dir = data_dir(settings);
    let cluster = ClusterPart::start(settings, &secret, data_dir, &process)?;
    let start_relay = || {
        RelayPart::start(settings, Some(secret.clone()), Some(data_dir), &process, Arc::clone(&cluster.bus))
    };
    let mut relay = (shape == Shape::WithRelay).then(start_relay).transpose()?;
    let doors = relay.as_ref().map_or_else(|| doors_elsewhere(settings), RelayPart::doors);
    let mut signal = start_signal(settings, secret, &process, &cluster, doors)?;
    let ops = process.serve_ops(settings.ops.listen, stop.call())?;

    println!("Causeway");
    println!("  demo     {}", demo_url(settings, &signal));
    if let Some(relay) = &relay {
        relay.print_urls();
    }
    println!("  metrics  http://{ops}/metrics");
    println!("Stop with Ctrl-C.");

    loop {
        tokio::select! {
            exit = broken(relay.as_mut()) => return Err(exit),
            ended = signal.ended() => {
                let why = ended.err().map_or_else(String::new, |error| format!(": {error}"));
                return Err(Exit::Broke(format!("the HTTP server ended{why}")));
            }
            trigger = reloads.due() => {
                reloads.run(trigger, Parts { relay: relay.as_ref(), signal: Some(&signal) }).await;
            }
            request = stop.first() => {
                tracing::info!(request = request.as_str(), "draining");
                break;
            }
        }
    }
    process.health.set(PART, Condition::Draining);
    let (deadline, within) = drain_time(reloads.settings());
    let insisted = tokio::select! {
        () = signal.drain(within.max(FAREWELL)) => false,
        request = stop.insisted() => {
            tracing::info!(request = request.as_str(), "stopping at once");
            true
        }
    };
    cluster.leave().await;
    match relay {
        Some(relay) if insisted => relay.stop(),
        Some(relay) => relay.finish(deadline, &process, &mut stop).await,
        None => Ok(()),
    }
}

/// Waits until the relay breaks, if there is one.
async fn broken(relay: Option<&mut RelayPart>) -> Exit {
    match relay {
        Some(relay) => relay.broken().await,
        None => std::future::pending().await,
    }
}

/// Where clients find a relay that is another process on the same host, unless `signal.ice_urls` names others.
fn doors_elsewhere(settings: &Settings) -> RelayDoors {
    let turn = &settings.turn;
    RelayDoors { port: turn.port, tls_port: turn.tls_port(), offered: settings.offered() }
}

fn start_signal(
    settings: &Settings,
    secret: Secret,
    process: &Process,
    cluster: &ClusterPart,
    relay: RelayDoors,
) -> Result<RunningSignal, Exit> {
    process.health.set(PART, Condition::Starting);
    let health = process.health.clone();
    let parts = SignalParts {
        settings: settings.signal.clone(),
        issuer: settings.issuer(&secret),
        secret,
        node: process.node.clone(),
        cluster: Arc::clone(&cluster.cluster),
        bus: Arc::clone(&cluster.bus),
        relay,
        extra: Arc::new(move |routes| health_routes(routes, &health)),
    };
    let signal = causeway_signal::start(settings.http.listen, parts)
        .map_err(|error| Exit::Start(error.to_string()))?;
    process.health.set(PART, Condition::Ready);
    Ok(signal)
}

/// What a person types to see the demo.
fn demo_url(settings: &Settings, signal: &RunningSignal) -> String {
    if let Some(url) = &settings.signal.public_url {
        return url.clone();
    }
    let address = signal.addresses().first().copied().unwrap_or(settings.http.listen);
    // Browsers give disk access to pages on localhost, and not to pages on an address without HTTPS.
    let host = match address {
        SocketAddr::V4(v4) if v4.ip().is_loopback() || v4.ip().is_unspecified() => "localhost".to_owned(),
        SocketAddr::V6(v6) if v6.ip().is_loopback() || v6.ip().is_unspecified() => "localhost".to_owned(),
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    format!("http://{host}:{}", address.port())
}
