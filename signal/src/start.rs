//! Starting and stopping the server.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::rt::{self, System};
use actix_web::{App, web};
use causeway_cluster::{Bus, Cluster, Delivery, Subscription, Topic};
use causeway_protocol::NodeId;
use causeway_protocol::bus::BusMessage;
use causeway_protocol::secret::Secret;
use causeway_protocol::token::TurnIssuer;
use tokio::task::JoinHandle;

use crate::access;
use crate::doors::RelayDoors;
use crate::http::{routes, server};
use crate::leaving;
use crate::mail;
use crate::metrics;
use crate::nodes;
use crate::room::Counted;
use crate::settings::{SettingProblem, SignalSettings};
use crate::state::Signal;
use crate::whereabouts;

/// Between two sweeps of the rate limiters.
const TIDY_INTERVAL: Duration = Duration::from_secs(60);

/// Adds routes of the caller, such as health checks, beside the API.
pub type ExtraRoutes = Arc<dyn Fn(&mut web::ServiceConfig) + Send + Sync>;

/// What the server is made of.
pub struct SignalParts {
    /// What the operator set.
    pub settings: SignalSettings,
    /// The installation's secret: tokens are signed with keys derived from it.
    pub secret: Secret,
    /// Signs relay credentials.
    pub issuer: TurnIssuer,
    /// This process.
    pub node: NodeId,
    /// Where relays hear of rooms that end, and rooms of what relays count.
    pub bus: Arc<dyn Bus>,
    /// The other nodes with rooms.
    pub cluster: Arc<dyn Cluster>,
    /// Where the relay of this host is, for clients that are told no other ICE servers.
    pub relay: RelayDoors,
    /// Further routes; they are asked before the web demo, which answers everything else.
    pub extra: ExtraRoutes,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Something else listens there.
    #[error("{0} is in use by another program; stop it, or choose another address with --http")]
    AddressInUse(SocketAddr),
    /// The address is not this host's, the port is privileged, or the like.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The settings contradict themselves.
    #[error("the signaling settings are not valid: {}", problems(.0))]
    Settings(Vec<SettingProblem>),
    /// [`start`] was called outside an actix system, on whose threads it runs.
    #[error("signaling was started outside an actix system")]
    NoSystem,
}

fn problems(problems: &[SettingProblem]) -> String {
    problems.iter().map(|found| format!("{} {}", found.key, found.problem)).collect::<Vec<_>>().join("; ")
}

/// A server that accepts connections.
pub struct RunningSignal {
    addresses: Vec<SocketAddr>,
    signal: Arc<Signal>,
    handle: ServerHandle,
    /// Empty after it was waited for.
    server: Option<JoinHandle<io::Result<()>>>,
    helpers: Vec<JoinHandle<()>>,
}

/// Binds `http` and serves. Connections are accepted when this returns.
///
/// # Errors
/// [`StartError`]; nothing runs then.
pub fn start(http: SocketAddr, parts: SignalParts) -> Result<RunningSignal, StartError> {
    let SignalParts { settings, secret, issuer, node, bus, cluster, relay, extra } = parts;
    let found = settings.validate();
    if !found.is_empty() {
        return Err(StartError::Settings(found));
    }
    if System::try_current().is_none() {
        return Err(StartError::NoSystem);
    }
    let listener = listen(http).map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => StartError::AddressInUse(http),
        _ => StartError::Listen { address: http, source },
    })?;
    let threads = settings.http_threads();
    metrics::describe();
    let usage = bus.subscribe(Topic::RelayUsage);
    let asked = bus.subscribe(Topic::RoomQueries);
    let signal = Arc::new(Signal::new(settings, &secret, issuer, node, bus, cluster, relay));
    let shared = web::Data::from(Arc::clone(&signal));
    let addresses =
        vec![listener.local_addr().map_err(|source| StartError::Listen { address: http, source })?];
    let server = server::serve(listener, threads, Arc::clone(&signal), move || {
        let extra = Arc::clone(&extra);
        App::new().app_data(shared.clone()).configure(move |config| extra(config)).configure(routes)
    })
    .map_err(|source| StartError::Listen { address: http, source })?;
    let mut helpers = vec![
        rt::spawn(hand_out(usage, Arc::clone(&signal))),
        rt::spawn(whereabouts::answer(asked, Arc::clone(&signal))),
        rt::spawn(tidy(Arc::clone(&signal))),
        rt::spawn(nodes::watch(Arc::clone(&signal))),
        rt::spawn(access::keep_fresh(Arc::clone(&signal))),
    ];
    if let Some(mailbox) = signal.cluster.mail() {
        helpers.push(rt::spawn(mail::deliver(mailbox, Arc::clone(&signal))));
    }
    tracing::info!(?addresses, node = %signal.node, "signaling listens");
    Ok(RunningSignal { addresses, handle: server.handle(), server: Some(rt::spawn(server)), signal, helpers })
}

/// Unlike the HTTP server's own `bind`, this never shares a port: `SO_REUSEADDR` alone lets a restarted server
/// bind at once, and a port that somebody listens on stays an error.
fn listen(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}

/// Hands what relays count to the rooms concerned.
async fn hand_out(mut usage: Subscription, signal: Arc<Signal>) {
    while let Some(delivery) = usage.next().await {
        match delivery {
            Delivery::Message(BusMessage::RelayUsage(usage)) => {
                if let Some(room) = signal.rooms.find(&usage.room) {
                    // Reports carry totals: one that finds the mailbox full is made up for by the next.
                    let _made_up_for = room.try_send(Counted(usage));
                }
            }
            // Of other topics, or made up for by the next report.
            Delivery::Message(
                BusMessage::RelayOrder(_)
                | BusMessage::RoomLimits(_)
                | BusMessage::RoomAddresses(_)
                | BusMessage::RoomQuery(_)
                | BusMessage::RelayNode(_),
            )
            | Delivery::Gap => {}
        }
    }
}

async fn tidy(signal: Arc<Signal>) {
    let mut interval = tokio::time::interval(TIDY_INTERVAL);
    loop {
        interval.tick().await;
        signal.limits().tidy();
    }
}

impl RunningSignal {
    /// Takes over those of `settings` that [`SignalSettings::LIVE`] names; the others need a new start. They have to be
    /// valid. Open rooms and connections keep the capacity, life, rates and ICE servers that they began with.
    pub fn reconfigure(&self, settings: &SignalSettings) {
        self.signal.replace_settings(settings.clone());
    }

    /// Where it listens; with port 0 asked for, the port it got.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Waits until the server ends by itself, which it does only if it cannot go on. Cancel safe.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn ended(&mut self) -> io::Result<()> {
        let Some(server) = &mut self.server else { return Ok(()) };
        let ended = server.await.unwrap_or_else(|panicked| Err(io::Error::other(panicked)));
        self.server = None;
        ended
    }

    /// Stops: no new rooms and sockets; rooms are handed over to other nodes, if there are any; everybody is told to connect
    /// again, elsewhere or later (`closing` 4503), spread over half of the time; then the server ends. Connections that are still
    /// there after `within` are cut.
    pub async fn drain(mut self, within: Duration) {
        self.signal.begin_drain();
        let told = tokio::time::timeout(within, async {
            let alone = !leaving::hand_over_all(&self.signal).await;
            self.signal.send_away(if alone { Duration::ZERO } else { within / 2 });
            self.signal.slots.empty().await;
        });
        let graceful = told.await.is_ok();
        if !graceful {
            self.signal.send_away(Duration::ZERO);
            tracing::warn!("some connections did not close in time and are cut");
        }
        self.handle.stop(graceful).await;
        if let Err(error) = self.ended().await {
            tracing::warn!(%error, "the HTTP server ended with an error");
        }
        self.signal.rooms.stop();
        for helper in &self.helpers {
            helper.abort();
        }
    }
}
