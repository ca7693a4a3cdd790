//! `causeway serve`: rooms, signaling, relay and demo in one process, joined by an in-memory Bus.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use causeway_cluster::{Bus, MemoryBus, MemoryHub};
use causeway_protocol::secret::Secret;
use causeway_service::clock;
use causeway_service::health::Condition;
use causeway_service::ops::health_routes;
use causeway_service::reload::Effective;
use causeway_service::shutdown::StopSignals;
use causeway_signal::{RelayDoors, RunningSignal, SignalParts};

use crate::cli::ServeFlags;
use crate::exit::Exit;
use crate::relay::RelayPart;
use crate::reload::{Parts, Reloads};
use crate::settings::{Settings, Source};
use crate::startup::{self, Process};

/// The name of rooms and signaling in `/readyz`.
const PART: &str = "signal";
/// Where `serve` keeps its data if nothing is said.
const DEFAULT_DATA_DIR: &str = "data";
/// How long people's sockets have to take the last message and close.
const FAREWELL: Duration = Duration::from_secs(2);

/// Runs everything until it is told to stop.
///
/// # Errors
/// Any [`Exit`].
pub fn run(flags: ServeFlags) -> Result<(), Exit> {
    let source = Source::of_serve(flags);
    let effective = source.effective()?;
    let settings = effective.settings();
    let data_dir = data_dir(settings);
    let secret = startup::secret(settings, data_dir)?;
    actix_web::rt::System::new().block_on(serve(source, effective, secret))
}

fn data_dir(settings: &Settings) -> &Path {
    settings.node.data_dir.as_deref().unwrap_or(Path::new(DEFAULT_DATA_DIR))
}

async fn serve(source: Source, effective: Effective<Settings>, secret: Secret) -> Result<(), Exit> {
    let process = Process::start(effective.settings());
    let mut reloads = Reloads::listen(source, effective)?;
    let settings = reloads.settings();
    let mut stop =
        StopSignals::listen().map_err(|error| Exit::Start(format!("cannot take signals: {error}")))?;
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    let mut relay = RelayPart::start(
        settings,
        Some(secret.clone()),
        Some(data_dir(settings)),
        &process,
        Arc::clone(&bus),
    )?;
    let mut signal = start_signal(settings, secret, &process, bus, relay.doors())?;
    let ops = process.serve_ops(settings.ops.listen)?;

    println!("Causeway");
    println!("  demo     {}", demo_url(settings, &signal));
    relay.print_urls();
    println!("  metrics  http://{ops}/metrics");
    println!("Stop with Ctrl-C.");

    loop {
        tokio::select! {
            exit = relay.broken() => return Err(exit),
            ended = signal.ended() => {
                let why = ended.err().map_or_else(String::new, |error| format!(": {error}"));
                return Err(Exit::Broke(format!("the HTTP server ended{why}")));
            }
            trigger = reloads.due() => {
                reloads.run(trigger, Parts { relay: &relay, signal: Some(&signal) }).await;
            }
            signal = stop.next() => {
                tracing::info!(signal = signal.as_str(), "draining");
                break;
            }
        }
    }
    process.health.set(PART, Condition::Draining);
    signal.drain(FAREWELL).await;
    relay.finish(reloads.settings(), &process, &mut stop).await
}

fn start_signal(
    settings: &Settings,
    secret: Secret,
    process: &Process,
    bus: Arc<dyn Bus>,
    relay: RelayDoors,
) -> Result<RunningSignal, Exit> {
    process.health.set(PART, Condition::Starting);
    let health = process.health.clone();
    let parts = SignalParts {
        settings: settings.signal.clone(),
        issuer: settings.issuer(&secret),
        secret,
        node: process.node.clone(),
        cluster: MemoryHub::new(clock::now).node(process.node.clone()),
        bus,
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
