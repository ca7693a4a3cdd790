//! Starts a relay: binds everything, then lets the workers run.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use causeway_cluster::{Bus, Topic};
use causeway_protocol::NodeId;
use causeway_protocol::bus::RelayAddress;
use causeway_protocol::bus::RelayOrder;
use causeway_protocol::secret::Secret;
use causeway_service::clock;
use causeway_turn_core::{ConfigError, Control, Meters, OwnRelays, WorkerNumber};
use mio::{Poll, Waker};
use rustls::ServerConfig;
use tokio::sync::mpsc;

use crate::alternates::{self, Alternates, NodeTable, OwnNode};
use crate::between;
use crate::certificates::{CertificateError, Watcher};
use crate::control::{ControlPlane, Report, WorkerHandle};
use crate::core_setup;
use crate::dtls::{self, DtlsSessions, NoDtls};
use crate::external::ExternalWatch;
use crate::files;
use crate::handover;
use crate::io::offloads::Offloads;
use crate::io::reserved::ReservedSockets;
use crate::io::sockets::{Sockets, WAKER};
use crate::io::udp::CLIENT_BUFFER;
use crate::ledger::Ledger;
use crate::listeners::{self, Listeners, Listening, Ports};
use crate::metrics::{self, Meter};
use crate::proxied::{Proxied, Proxies};
use crate::revocation_file::RevocationFile;
use crate::room_board::{BusState, RoomBoard};
use crate::running::{RunningRelay, RunningWorker};
use crate::secure::Secure;
use crate::settings::{ExternalError, SettingsProblem, TurnSettings};
use crate::stream::{Accepted, Sources, StreamLimits, Streams};
use crate::supervise::{self, ExitSenders};
use crate::tcp_relay::TcpRelay;
use crate::worker::{Signals, Worker};

/// Orders that wait for one worker. A full queue makes the control plane wait.
const ORDERS: usize = 1024;
/// Reports that wait for the control plane, besides one per allocation that may come and go at once.
const REPORTS: usize = 4096;

/// What room credentials are checked with. Without keys the relay refuses them.
#[derive(Clone, Debug)]
pub struct RelayKeys {
    /// The installation's secret, the same as where the credentials are minted.
    pub secret: Secret,
}

/// Why a relay does not start. Nothing stays bound and no thread goes on running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings cannot be used.
    #[error("{}", sentences(.0))]
    Settings(Vec<SettingsProblem>),
    /// The host's addresses cannot be read.
    #[error("cannot read the addresses of this host's interfaces: {0}; name the addresses to listen on")]
    Interfaces(#[source] io::Error),
    /// There is nothing to listen on.
    #[error("this host has no address to listen on; name one")]
    NoAddress,
    /// Another process has the address.
    #[error("{socket} {address} is already in use; stop the other process or choose another port")]
    AddressInUse {
        /// Which of its sockets.
        socket: SocketKind,
        /// The address.
        address: SocketAddr,
    },
    /// The address belongs to no interface.
    #[error("{} is no address of this host; listen on another", address.ip())]
    AddressNotAvailable {
        /// The address.
        address: SocketAddr,
    },
    /// The port is reserved.
    #[error("{socket} {address} needs more rights (ports below 1024 do); choose a port from 1024 on")]
    PermissionDenied {
        /// Which of its sockets.
        socket: SocketKind,
        /// The address.
        address: SocketAddr,
    },
    /// The operating system refuses the address in another way.
    #[error("cannot listen on {socket} {address}: {source}; choose another address or port")]
    Listen {
        /// Which of its sockets.
        socket: SocketKind,
        /// The address.
        address: SocketAddr,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// The core refuses its settings: [`TurnSettings::validate`] should have said so before.
    #[error(transparent)]
    Core(#[from] ConfigError),
    /// The external addresses do not fit those that the relay listens on.
    #[error(transparent)]
    External(#[from] ExternalError),
    /// DTLS cannot be offered.
    #[error(transparent)]
    Dtls(#[from] NoDtls),
    /// The certificate that is configured cannot be used.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// TLS has no source of random numbers, or none of its algorithms.
    #[error("cannot set up TLS: {0}; set turn.streams.tls = false to go on without")]
    Tls(#[source] rustls::Error),
    /// The operating system has no room for a worker: a thread, its poll or its registrations.
    #[error("cannot start a worker: {0}; start fewer workers or raise the limits of the process")]
    Worker(#[source] io::Error),
}

/// The two sockets on a listening address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketKind {
    /// For datagrams.
    Udp,
    /// For connections.
    Tcp,
}

impl fmt::Display for SocketKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
        })
    }
}

fn sentences(problems: &[SettingsProblem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Starts a relay: all sockets are bound before the first thread runs. Metrics go to the recorder that is installed
/// when this is called.
///
/// The [`ControlPlane`] has to [run](ControlPlane::run) as long as the relay does.
///
/// # Errors
/// [`StartError`], each a sentence that says what to do.
pub fn start(
    settings: &TurnSettings,
    keys: Option<&RelayKeys>,
    node: NodeId,
    bus: Arc<dyn Bus>,
) -> Result<(RunningRelay, ControlPlane), StartError> {
    let problems = settings.validate();
    if !problems.is_empty() {
        return Err(StartError::Settings(problems));
    }
    let count = match settings.workers {
        0 => std::thread::available_parallelism().map_or(1, NonZero::get).min(WorkerNumber::MAX.into()),
        workers => workers,
    };
    let secure = Secure::prepare(settings)?;
    // Before anybody can be answered.
    let revocations = Revocations::load(settings.revocation_file.as_deref());
    let listeners = listeners::bind(settings, count)?;
    files::raise_limit(settings.limits.allocations);
    announce(settings, keys, &listeners, count);
    metrics::describe();
    let external = ExternalWatch::start(&settings.external, listeners.ips())?;
    let mut starting = Starting::new(settings, keys, listeners, secure, external, count)?;
    starting.revoke(revocations);
    starting.run(node, bus)
}

/// Tells the operator what runs, and what will surprise.
fn announce(settings: &TurnSettings, keys: Option<&RelayKeys>, listeners: &Listeners, workers: usize) {
    tracing::info!(addresses = ?listeners.addresses, workers, "the relay listens");
    let granted = listeners.buffers;
    if granted.receive < CLIENT_BUFFER || granted.send < CLIENT_BUFFER {
        tracing::info!(
            wanted = CLIENT_BUFFER,
            receive = granted.receive,
            send = granted.send,
            "the kernel gives smaller socket buffers; raise net.core.rmem_max and net.core.wmem_max for high rates"
        );
    }
    if settings.allow_loopback_peers {
        tracing::warn!("clients can reach this host's own services through the relay (allow_loopback_peers)");
    }
    if keys.is_none()
        && settings.users.is_empty()
        && settings.rest_secrets.is_empty()
        && settings.third_party.keys.is_empty()
    {
        tracing::warn!(
            "nobody can use the relay: there is no user, no REST secret, and no key for room credentials or access \
             tokens"
        );
    }
}

/// What was revoked before this start.
struct Revocations {
    file: Option<RevocationFile>,
    known: Vec<RelayOrder>,
}

impl Revocations {
    fn load(path: Option<&Path>) -> Self {
        match path.map(|path| RevocationFile::open(path, clock::now().unix)).transpose() {
            Ok(opened) => {
                let (file, known) = opened.unzip();
                Self { file, known: known.unwrap_or_default() }
            }
            Err(error) => {
                tracing::warn!(
                    path = %path.unwrap_or(Path::new("")).display(),
                    %error,
                    "revocations cannot be kept in their file; those of earlier are not in force, and new ones last \
                     until the next restart"
                );
                Self { file: None, known: Vec::new() }
            }
        }
    }
}

/// Workers that are complete and not yet running.
struct Starting {
    revocations: Option<RevocationFile>,
    addresses: Vec<SocketAddr>,
    ports: Ports,
    signals: Arc<Signals>,
    workers: Vec<(Worker, WorkerHandle)>,
    reports: mpsc::Receiver<Report>,
    meters: Arc<Meters>,
    watcher: Option<Watcher>,
    external: ExternalWatch,
    /// How other nodes' clients reach this one; `None`: they are not told.
    announced: Option<Announced>,
}

/// What [`OwnNode`] is made of before the node's name is known.
struct Announced {
    addresses: Vec<RelayAddress>,
    domain: Option<String>,
}

impl Announced {
    fn of(settings: &TurnSettings, listeners: &Listeners) -> Option<Self> {
        let addresses = alternates::addresses(&listeners.addresses, listeners.ports, settings);
        settings.alternates.enabled.then(|| Self { addresses, domain: settings.alternates.domain() })
    }
}

impl Starting {
    fn new(
        settings: &TurnSettings,
        keys: Option<&RelayKeys>,
        listeners: Listeners,
        secure: Secure,
        external: ExternalWatch,
        count: usize,
    ) -> Result<Self, StartError> {
        let config = core_setup::config(settings, &listeners, external.current(), count);
        let own = Arc::new(OwnRelays::grouped(external.groups()));
        let meters = core_setup::meters();
        let nonce_key = core_setup::nonce_key();
        let signals = Arc::new(Signals::default());
        signals.capacity.store(settings.limits.allocations, Ordering::Relaxed);
        let announced = Announced::of(settings, &listeners);
        // An end of every allocation at once fits, so that usage is not lost to a revoked room or a drain.
        let (report_sender, reports) = mpsc::channel(REPORTS + 2 * settings.limits.allocations);
        let sources = Arc::new(Sources::new(settings.streams.max_connections_per_source));
        let offloads = Offloads::probe(settings.offloads);
        tracing::info!(receive = offloads.receive, send = offloads.send, "trains of datagrams");
        let polls = listeners
            .sockets
            .into_iter()
            .zip(ReservedSockets::among(count))
            .map(|(listening, reserved)| {
                let proxied = Proxied::new(Proxies::new(&settings.proxy_sources));
                let streams = streams(settings, count, &sources, secure.config.as_ref());
                poll(offloads, listening, streams, proxied, reserved)
            })
            .collect::<io::Result<Vec<_>>>()
            .map_err(StartError::Worker)?;
        let wakers: Vec<_> = polls.iter().map(|(_, _, waker)| Arc::clone(waker)).collect();
        let handovers = handover::among(&wakers, &nonce_key, config.max_lifetime);
        let parts = handovers.into_iter().zip(between::among(&wakers));
        let dtls_identity = dtls::identity(settings, secure.certificates.as_ref())?;
        let mut workers: Vec<(Worker, WorkerHandle)> = Vec::with_capacity(count);
        for (index, ((poll, sockets, waker), (handover, between))) in polls.into_iter().zip(parts).enumerate()
        {
            let (orders, order_receiver) = mpsc::channel(ORDERS);
            let config = core_setup::config_of(index, &config);
            let worker = Worker {
                index,
                relay: core_setup::relay(
                    config,
                    settings,
                    keys,
                    &nonce_key,
                    Arc::clone(&own),
                    Arc::clone(&meters),
                )?,
                tcp_relay: TcpRelay::new(poll.registry().try_clone().map_err(StartError::Worker)?),
                poll,
                sockets,
                dtls: DtlsSessions::new(&settings.dtls, count, dtls_identity.clone())?,
                signals: Arc::clone(&signals),
                orders: order_receiver,
                reports: report_sender.clone(),
                handover,
                between,
                meter: Meter::new(),
                allocations: Arc::new(AtomicU64::new(0)),
            };
            workers.push((worker, WorkerHandle { orders, waker }));
        }
        if let Some((worker, _)) = workers.first() {
            core_setup::announce_answers(worker.relay.stranger_answers());
        }
        let watcher = secure.watcher;
        Ok(Self {
            addresses: listeners.addresses,
            ports: listeners.ports,
            signals,
            workers,
            reports,
            meters,
            watcher,
            revocations: None,
            external,
            announced,
        })
    }

    /// Puts what was revoked earlier in force, before a worker runs.
    fn revoke(&mut self, Revocations { file, known }: Revocations) {
        let now = clock::now();
        for (worker, _) in &mut self.workers {
            for order in &known {
                worker.relay.on_control(now, Control::Revoke(order.clone()));
            }
        }
        self.revocations = file;
    }

    fn run(self, node: NodeId, bus: Arc<dyn Bus>) -> Result<(RunningRelay, ControlPlane), StartError> {
        let (control, exits) = mpsc::channel(self.workers.len());
        let (joiner, ended) = std::sync::mpsc::sync_channel(self.workers.len());
        let exit_senders = ExitSenders { control, joiner };
        let orders = bus.subscribe(Topic::RelayOrders);
        // Dropped on an early return, which stops the workers that already run.
        let mut running = RunningRelay {
            addresses: self.addresses,
            ports: self.ports,
            signals: self.signals,
            workers: Vec::new(),
            ended,
            _watcher: self.watcher,
        };
        let mut handles = Vec::new();
        for (worker, handle) in self.workers {
            let allocations = Arc::clone(&worker.allocations);
            let thread = supervise::spawn(worker.index, exit_senders.clone(), move || worker.run())
                .map_err(StartError::Worker)?;
            running.workers.push(RunningWorker { handle: handle.clone(), allocations, thread: Some(thread) });
            handles.push(handle);
        }
        let alternates = self.announced.map(|Announced { addresses, domain }| Alternates {
            own: OwnNode {
                node: node.clone(),
                addresses,
                external: self.external.subscribe(),
                domain,
                allocations: running.workers.iter().map(|worker| Arc::clone(&worker.allocations)).collect(),
                signals: Arc::clone(&running.signals),
            },
            bus: Arc::clone(&bus),
            nodes: bus.subscribe(Topic::RelayNodes),
            table: NodeTable::default(),
        });
        let control = ControlPlane {
            told: bus.subscribe(Topic::RoomAddresses),
            asked: bus.subscribe(Topic::RoomQueries),
            rooms: RoomBoard::new(node.clone()),
            bus_state: BusState::Up,
            revocations: self.revocations,
            bus,
            orders,
            workers: handles,
            reports: self.reports,
            exits,
            ledger: Ledger::new(node),
            meters: self.meters,
            external: Some(self.external),
            alternates,
        };
        Ok((running, control))
    }
}

/// What a worker waits on: its sockets, and a waker for other threads.
fn poll(
    offloads: Offloads,
    listening: Vec<Listening>,
    streams: Streams,
    proxied: Proxied,
    reserved: ReservedSockets,
) -> io::Result<(Poll, Sockets, Arc<Waker>)> {
    let poll = Poll::new()?;
    let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
    let sockets =
        Sockets::new(poll.registry().try_clone()?, offloads, listening, streams, proxied, reserved)?;
    Ok((poll, sockets, waker))
}

/// A worker's share of connections.
fn streams(
    settings: &TurnSettings,
    workers: usize,
    sources: &Arc<Sources>,
    tls: Option<&Arc<ServerConfig>>,
) -> Streams {
    let accepted = Accepted {
        tcp: settings.streams.tcp,
        tls: tls.cloned(),
        proxies: Proxies::new(&settings.proxy_sources),
        sources: Arc::clone(sources),
    };
    Streams::new(StreamLimits::share(settings, workers), accepted)
}
