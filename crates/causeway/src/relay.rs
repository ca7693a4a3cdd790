//! `causeway turn`: the relay alone; and the relay as a part of `causeway serve`.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use causeway_cluster::Bus;
use causeway_protocol::Moment;
use causeway_protocol::secret::Secret;
use causeway_service::clock;
use causeway_service::config::Problem;
use causeway_service::health::Condition;
use causeway_service::reload::Effective;
use causeway_service::shutdown::StopRequests;
use causeway_signal::{RelayDoors, RelayTransport};
use causeway_turn::{ControlError, RelayKeys, RunningRelay, TurnSettings};

use crate::cli::TurnFlags;
use crate::cluster;
use crate::exit::Exit;
use crate::reload::{Parts, Reloads};
use crate::settings::{self, Settings, Source};
use crate::startup::{self, Process};

/// The relay's name in `/readyz`.
const PART: &str = "relay";
/// Where revocations are kept in the data directory.
const REVOCATIONS: &str = "revocations";
/// How long workers may take to end once they are told to; they notice within one turn of their loop.
const STOP_WITHIN: Duration = Duration::from_secs(2);
/// How often a draining relay is asked whether it is empty.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A relay and its control plane at work.
pub struct RelayPart {
    relay: RunningRelay,
    control: JoinHandle<Result<(), ControlError>>,
    /// What peers are told of.
    offered: Vec<RelayTransport>,
    served: Served,
}

/// What clients come over, for people.
struct Served {
    plain: &'static str,
    secure: Option<&'static str>,
}

impl Served {
    fn of(settings: &TurnSettings) -> Self {
        Self {
            plain: if settings.streams.tcp { "UDP and TCP" } else { "UDP" },
            secure: match (settings.streams.tls, settings.dtls.enabled) {
                (true, true) => Some("TLS and DTLS"),
                (true, false) => Some("TLS"),
                (false, true) => Some("DTLS"),
                (false, false) => None,
            },
        }
    }
}

/// Runs the relay until it is told to stop.
///
/// # Errors
/// Any [`Exit`].
pub fn run(flags: TurnFlags) -> Result<(), Exit> {
    let source = Source::of_turn(flags);
    let effective = source.effective()?;
    let secret = startup::secret_if_known(effective.settings())?;
    actix_web::rt::System::new().block_on(run_alone(source, effective, secret))
}

async fn run_alone(
    source: Source,
    effective: Effective<Settings>,
    secret: Option<Secret>,
) -> Result<(), Exit> {
    let process = Process::start(effective.settings());
    let mut reloads = Reloads::listen(source, effective)?;
    let mut stop =
        StopRequests::listen().map_err(|error| Exit::Start(format!("cannot take signals: {error}")))?;
    let mut relay = {
        let settings = reloads.settings();
        let data_dir = settings.node.data_dir.as_deref();
        let bus = cluster::bus_of_relay(settings, secret.clone(), &process)?;
        RelayPart::start(settings, secret, data_dir, &process, bus)?
    };
    let ops = process.serve_ops(reloads.settings().ops.listen, stop.call())?;
    println!("Causeway relay");
    relay.print_urls();
    println!("  metrics  http://{ops}/metrics");
    println!("Stop with Ctrl-C.");
    loop {
        tokio::select! {
            exit = relay.broken() => return Err(exit),
            trigger = reloads.due() => reloads.run(trigger, Parts { relay: Some(&relay), signal: None }).await,
            request = stop.first() => {
                tracing::info!(request = request.as_str(), "draining");
                break;
            }
        }
    }
    let (deadline, _) = drain_time(reloads.settings());
    relay.finish(deadline, &process, &mut stop).await
}

impl RelayPart {
    /// Starts the relay and its control plane.
    ///
    /// # Errors
    /// [`Exit::Start`] with the relay's own sentence.
    pub fn start(
        settings: &Settings,
        secret: Option<Secret>,
        data_dir: Option<&Path>,
        process: &Process,
        bus: Arc<dyn Bus>,
    ) -> Result<Self, Exit> {
        process.health.set(PART, Condition::Starting);
        let keys = settings.relay_secret(secret).map(|secret| RelayKeys { secret });
        let mut turn = settings.turn.clone();
        turn.revocation_file = turn.revocation_file.or_else(|| Some(data_dir?.join(REVOCATIONS)));
        let (relay, control) = causeway_turn::start(&turn, keys.as_ref(), process.node.clone(), bus)
            .map_err(|error| Exit::Start(error.to_string()))?;
        process.health.set(PART, Condition::Ready);
        Ok(Self {
            relay,
            control: actix_web::rt::spawn(control.run()),
            offered: settings.offered(),
            served: Served::of(&settings.turn),
        })
    }

    /// Puts the relay's part of new settings in force.
    ///
    /// # Errors
    /// Every problem; then nothing has changed.
    pub async fn reconfigure(&self, settings: &Settings) -> Result<(), Vec<Problem>> {
        self.relay.reconfigure(&settings.turn).await.map_err(settings::problems_of_turn)
    }

    /// What rooms tell their peers of it.
    pub fn doors(&self) -> RelayDoors {
        let port = |addresses: Vec<SocketAddr>| addresses.first().map_or(0, SocketAddr::port);
        RelayDoors {
            port: port(self.relay.addresses()),
            tls_port: port(self.relay.tls_addresses()),
            offered: self.offered.clone(),
        }
    }

    /// Tells where clients find the relay.
    pub fn print_urls(&self) {
        for address in self.relay.addresses() {
            println!("  relay    turn:{address} over {}", self.served.plain);
        }
        let Some(secure) = self.served.secure else { return };
        for address in self.relay.tls_addresses() {
            println!("  relay    turns:{address} over {secure}");
        }
    }

    /// Waits until the relay breaks, which it should not.
    pub async fn broken(&mut self) -> Exit {
        match (&mut self.control).await {
            Ok(Err(error)) => {
                Exit::Broke(format!("{error}; the process ends so that it can be started again"))
            }
            Ok(Ok(())) => Exit::Broke("all workers of the relay have ended".to_owned()),
            Err(error) => Exit::Broke(format!("the relay's control plane ended: {error}")),
        }
    }

    /// Lets what runs go on until the deadline, takes nothing new, and ends. Whoever insists ends it at once.
    ///
    /// # Errors
    /// [`Exit::Broke`] if a worker does not end.
    pub async fn finish(
        self,
        deadline: Moment,
        process: &Process,
        stop: &mut StopRequests,
    ) -> Result<(), Exit> {
        process.health.set(PART, Condition::Draining);
        self.relay.drain();
        let mut looks = tokio::time::interval(LOOK_EVERY);
        while self.relay.allocations() > 0 && clock::now().moment < deadline {
            tokio::select! {
                _ = looks.tick() => {}
                request = stop.insisted() => {
                    tracing::info!(request = request.as_str(), "stopping at once");
                    break;
                }
            }
        }
        self.stop()
    }

    /// Ends at once.
    ///
    /// # Errors
    /// [`Exit::Broke`] if a worker does not end.
    pub fn stop(self) -> Result<(), Exit> {
        self.relay.stop(STOP_WITHIN).map_err(|error| Exit::Broke(error.to_string()))?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Until when a process that is to stop may go on, and how long that is.
pub fn drain_time(settings: &Settings) -> (Moment, Duration) {
    let within = Duration::from_secs(settings.node.drain_seconds);
    (clock::now().moment.plus(within), within)
}
