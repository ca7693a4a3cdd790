//! What every handler and actor shares.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use causeway_cluster::Bus;
use causeway_protocol::NodeId;
use causeway_protocol::secret::Secret;
use causeway_protocol::token::{HostTokens, Invites, JoinTokens, TurnIssuer};
use causeway_signal_core::SessionId;
use tokio::sync::watch;

use crate::limits::Limits;
use crate::password::Passwords;
use crate::registry::Registry;
use crate::settings::SignalSettings;
use crate::slots::Slots;

/// Everything of one signaling server.
pub(crate) struct Signal {
    pub(crate) settings: SignalSettings,
    pub(crate) node: NodeId,
    pub(crate) relay_port: u16,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) joins: JoinTokens,
    pub(crate) hosts: HostTokens,
    pub(crate) invites: Invites,
    pub(crate) issuer: TurnIssuer,
    pub(crate) rooms: Registry,
    pub(crate) limits: Limits,
    pub(crate) slots: Arc<Slots>,
    pub(crate) passwords: Passwords,
    draining: watch::Sender<bool>,
    sessions: AtomicU64,
}

impl Signal {
    pub(crate) fn new(
        settings: SignalSettings,
        secret: &Secret,
        node: NodeId,
        bus: Arc<dyn Bus>,
        relay_port: u16,
    ) -> Self {
        Self {
            node,
            relay_port,
            bus,
            joins: JoinTokens::new(secret),
            hosts: HostTokens::new(secret),
            invites: Invites::new(secret),
            issuer: TurnIssuer::hs256(secret),
            rooms: Registry::new(settings.room_threads, settings.max_rooms),
            limits: Limits::new(&settings.limits),
            slots: Slots::new(settings.max_sessions, settings.max_sessions_per_ip),
            passwords: Passwords::new(),
            draining: watch::Sender::new(false),
            sessions: AtomicU64::new(1),
            settings,
        }
    }

    /// A name for a new connection, never given before in this process.
    pub(crate) fn next_session(&self) -> SessionId {
        SessionId(self.sessions.fetch_add(1, Ordering::Relaxed))
    }

    /// From now on nothing new begins, and every connection is asked to go.
    pub(crate) fn begin_drain(&self) {
        self.draining.send_replace(true);
    }

    pub(crate) fn is_draining(&self) -> bool {
        *self.draining.borrow()
    }

    /// Becomes true when the server begins to drain.
    pub(crate) fn draining(&self) -> watch::Receiver<bool> {
        self.draining.subscribe()
    }
}
