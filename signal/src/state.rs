//! What every handler and actor shares.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use causeway_cluster::{Bus, Cluster, Connection, Lease};
use causeway_protocol::NodeId;
use causeway_protocol::secret::Secret;
use causeway_protocol::token::{HostTokens, Invites, JoinTokens, ResumeTokens, TurnIssuer};
use causeway_signal_core::SessionId;
use tokio::sync::watch;

use crate::access::Access;
use crate::attach::Attaching;
use crate::doors::RelayDoors;
use crate::kept::KeptBytes;
use crate::limits::Limits;
use crate::password::Passwords;
use crate::registry::Registry;
use crate::settings::SignalSettings;
use crate::slots::{Counted, Slots};

/// Everything of one signaling server.
pub(crate) struct Signal {
    pub(crate) node: NodeId,
    pub(crate) relay: RelayDoors,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) cluster: Arc<dyn Cluster>,
    /// Until when this node may act as an owner towards others.
    pub(crate) lease: watch::Receiver<Lease>,
    /// Whether this node reaches what joins the nodes.
    pub(crate) connection: watch::Receiver<Connection>,
    pub(crate) attaching: Attaching,
    /// A room was made without asking the cluster.
    unasked: AtomicBool,
    pub(crate) joins: JoinTokens,
    pub(crate) resumes: ResumeTokens,
    pub(crate) hosts: HostTokens,
    pub(crate) invites: Invites,
    pub(crate) issuer: TurnIssuer,
    pub(crate) access: Access,
    pub(crate) rooms: Registry,
    pub(crate) slots: Arc<Slots>,
    pub(crate) connections: Arc<Slots>,
    pub(crate) kept: KeptBytes,
    pub(crate) passwords: Passwords,
    settings: Mutex<Arc<SignalSettings>>,
    limits: Mutex<Arc<Limits>>,
    /// In seconds.
    longest_credential_ttl: AtomicU64,
    drain: watch::Sender<Drain>,
    sessions: AtomicU64,
}

impl Signal {
    pub(crate) fn new(
        settings: SignalSettings,
        secret: &Secret,
        issuer: TurnIssuer,
        node: NodeId,
        bus: Arc<dyn Bus>,
        cluster: Arc<dyn Cluster>,
        relay: RelayDoors,
    ) -> Self {
        Self {
            lease: cluster.lease(),
            connection: cluster.connection(),
            cluster,
            attaching: Attaching::new(),
            unasked: AtomicBool::new(false),
            node,
            relay,
            bus,
            joins: JoinTokens::new(secret),
            resumes: ResumeTokens::new(secret),
            hosts: HostTokens::new(secret),
            invites: Invites::new(secret),
            issuer,
            access: Access::new(&settings.api_keys),
            rooms: Registry::new(settings.room_threads()),
            limits: Mutex::new(Arc::new(Limits::new(&settings.limits))),
            kept: KeptBytes::new(settings.limits.kept_bytes_total),
            slots: Slots::new(Counted::Sessions, settings.max_sessions, settings.max_sessions_per_ip),
            connections: Slots::new(
                Counted::Connections,
                connections(settings.max_sessions),
                connections(settings.max_sessions_per_ip),
            ),
            passwords: Passwords::new(),
            drain: watch::Sender::new(Drain::No),
            sessions: AtomicU64::new(1),
            longest_credential_ttl: AtomicU64::new(settings.credential_ttl_seconds),
            settings: Mutex::new(Arc::new(settings)),
        }
    }

    /// Whether this node cannot ask the others anything.
    pub(crate) fn is_cut_off(&self) -> bool {
        *self.connection.borrow() != Connection::Connected
    }

    /// The settings in force. What lasts longer than a request keeps those it began with, or asks again.
    pub(crate) fn settings(&self) -> Arc<SignalSettings> {
        Arc::clone(&self.settings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The limits in force.
    pub(crate) fn limits(&self) -> Arc<Limits> {
        Arc::clone(&self.limits.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The longest life in seconds of any relay credential that this process has issued: for so long a revocation
    /// counts.
    pub(crate) fn longest_credential_ttl(&self) -> u64 {
        self.longest_credential_ttl.load(Ordering::Relaxed)
    }

    /// Puts other settings in force. Rates that change count from nothing again.
    pub(crate) fn replace_settings(&self, settings: SignalSettings) {
        if self.settings().limits != settings.limits {
            let limits = Arc::new(Limits::new(&settings.limits));
            *self.limits.lock().unwrap_or_else(PoisonError::into_inner) = limits;
        }
        self.longest_credential_ttl.fetch_max(settings.credential_ttl_seconds, Ordering::Relaxed);
        if self.settings().api_keys != settings.api_keys {
            self.access.replace(&settings.api_keys);
        }
        self.kept.set_budget(settings.limits.kept_bytes_total);
        self.slots.resize(settings.max_sessions, settings.max_sessions_per_ip);
        self.connections
            .resize(connections(settings.max_sessions), connections(settings.max_sessions_per_ip));
        *self.settings.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }

    /// A name for a new connection, never given before in this process.
    pub(crate) fn next_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    /// A room is made that another node may own, because the cluster cannot be asked.
    pub(crate) fn note_unasked_room(&self) {
        self.unasked.store(true, Ordering::Release);
    }

    /// Whether such rooms were made since this was asked.
    pub(crate) fn has_unasked_rooms(&self) -> bool {
        self.unasked.swap(false, Ordering::AcqRel)
    }

    /// From now on nothing new begins.
    pub(crate) fn begin_drain(&self) {
        self.drain.send_replace(Drain::NothingNew);
    }

    /// Asks every connection to go, one after another over this time.
    pub(crate) fn send_away(&self, over: Duration) {
        self.drain.send_replace(Drain::Leaving { over });
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.drain.borrow() != Drain::No
    }

    /// How far the server's end has come.
    pub(crate) fn drain(&self) -> watch::Receiver<Drain> {
        self.drain.subscribe()
    }
}

/// TCP connections beside so many WebSockets: as many again, for pages and the API, and what one browser opens at once
/// with several tabs.
const fn connections(sessions: usize) -> usize {
    sessions.saturating_mul(2).saturating_add(64)
}

/// How far the server's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Drain {
    /// It goes on.
    No,
    /// It takes no new rooms and connections, and gives its rooms away.
    NothingNew,
    /// Its connections go.
    Leaving {
        /// Spread over this time, so that those who take them are not overrun.
        over: Duration,
    },
}
