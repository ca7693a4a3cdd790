//! From the operator's settings to what each worker's core is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use causeway_protocol::token::{RoomKey, TurnVerifier};
use causeway_turn_core::{
    ConfigError, Credentials, ExternalIps, Limits, Listener, LiveConfig, LoopbackPeers, Meters, Mobility,
    NonceKey, OwnRelays, Relay, RelayConfig, RestSecret, StaticUser, StrangerAnswers, TcpRelaying,
    WorkerNumber,
};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::host::{self, RelayPair};
use crate::listeners::Listeners;
use crate::settings::TurnSettings;
use crate::start::RelayKeys;

/// The settings of the cores of so many `workers`.
pub(crate) fn config(
    settings: &TurnSettings,
    listeners: &Listeners,
    external: ExternalIps,
    workers: usize,
) -> RelayConfig {
    let port = listeners.addresses.first().map_or(settings.port, SocketAddr::port);
    let core_listeners = listeners
        .addresses
        .iter()
        .zip(&listeners.hosts)
        .map(|(address, host)| {
            let RelayPair { v4, v6 } = host::relay_pair(host, &listeners.hosts);
            Listener { address: *address, relay_v4: v4, relay_v6: v6 }
        })
        .collect();
    let live = live(settings);
    RelayConfig {
        relay_ports: settings.relay_port_min..=settings.relay_port_max,
        default_lifetime: live.default_lifetime,
        max_lifetime: live.max_lifetime,
        limits: live.limits,
        connections: settings.tcp_relay.max_connections.div_ceil(workers),
        strangers: settings.strangers.limits(workers),
        peer_rules: settings.peers.rules(),
        denied_peers: listeners.unserved.clone(),
        loopback_peers: if settings.allow_loopback_peers {
            LoopbackPeers::AllowedForTests
        } else {
            LoopbackPeers::Refused
        },
        tcp_relaying: if settings.tcp_relay.enabled { TcpRelaying::Allowed } else { TcpRelaying::Refused },
        mobility: if settings.mobility.enabled { Mobility::Allowed } else { Mobility::Forbidden },
        discovery: settings.discovery.behavior(port),
        external,
        ..RelayConfig::new(settings.realm.clone(), core_listeners)
    }
}

/// What the cores can be told again while they run.
pub(crate) fn live(settings: &TurnSettings) -> LiveConfig {
    LiveConfig {
        rest_secrets: settings.rest_secrets.iter().map(|secret| RestSecret::new(secret.expose())).collect(),
        users: settings
            .users
            .iter()
            .filter_map(|user| user.split())
            .map(|(name, password)| StaticUser { name: name.to_owned(), password: password.to_owned() })
            .collect(),
        default_lifetime: Duration::from_secs(settings.default_lifetime_seconds.into()),
        max_lifetime: Duration::from_secs(settings.max_lifetime_seconds.into()),
        limits: Limits {
            connections: settings.tcp_relay.connections_per_allocation,
            ..settings.limits.core()
        },
    }
}

/// The settings of one worker's core, which differ in its number.
pub(crate) fn config_of(index: usize, shared: &RelayConfig) -> RelayConfig {
    let worker = u16::try_from(index)
        .ok()
        .and_then(WorkerNumber::new)
        .expect("the settings and the start bound the number of workers by WorkerNumber::MAX");
    RelayConfig { worker, ..shared.clone() }
}

/// The key of nonces, drawn anew at each start and shared by the workers.
pub(crate) fn nonce_key() -> NonceKey {
    NonceKey::random(&mut rand::rng())
}

/// Tells the operator what the realm's length costs in answers to strangers.
pub(crate) fn announce_answers(answers: StrangerAnswers) {
    match answers {
        StrangerAnswers::Complete => {}
        StrangerAnswers::Shortened => tracing::info!(
            "turn.realm is too long for all that clients could be told over UDP (SHA-256, third-party authorization) \
             in small answers; 20 bytes leave room for one of them"
        ),
        StrangerAnswers::Large => tracing::warn!(
            "the realm has more than 44 bytes; answers to strangers over UDP exceed 3.3 times their requests, which \
             invites reflection; choose a shorter turn.realm"
        ),
    }
}

/// What the workers count together.
pub(crate) fn meters() -> Arc<Meters> {
    Arc::new(Meters::new(&mut rand::rng()))
}

/// One worker's core.
pub(crate) fn relay(
    config: RelayConfig,
    settings: &TurnSettings,
    keys: Option<&RelayKeys>,
    nonce_key: &NonceKey,
    own: Arc<OwnRelays>,
    meters: Arc<Meters>,
) -> Result<Relay, ConfigError> {
    // ChaCha, seeded by the operating system: relay ports must not be guessed (CVE-2025-69217).
    let random = StdRng::from_rng(&mut rand::rng());
    Relay::new(config, credentials(settings, keys), nonce_key, own, meters, random)
}

fn credentials(settings: &TurnSettings, keys: Option<&RelayKeys>) -> Credentials {
    let LiveConfig { rest_secrets, users, .. } = live(settings);
    let room_key = settings.room_key.as_deref().and_then(|text| RoomKey::parse(text).ok());
    Credentials {
        rooms: keys.map(|RelayKeys { secret }| match room_key {
            Some(key) => TurnVerifier::eddsa(&key, secret),
            None => TurnVerifier::hs256(secret),
        }),
        rest_secrets,
        users,
        third_party: settings.third_party.accepted(&settings.realm),
    }
}
