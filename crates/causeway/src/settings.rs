//! All settings of a process, put together from the parts that own them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use causeway_protocol::secret::Secret;
use causeway_protocol::token::{RoomKey, RoomKeyError, RoomSigningKey, TurnIssuer};
use causeway_service::Hidden;
use causeway_service::config::{Layers, Loaded, Origin, Problem};
use causeway_service::log::LogSettings;
use causeway_service::reload::Effective;
use causeway_service::reload_signals::FileWatch;
use causeway_signal::{RelayTransport, SignalSettings};
use causeway_turn::{SettingsProblem, TurnSettings};
use serde::{Deserialize, Serialize};

use crate::cli::{ClusterFlags, CommonFlags, RelayFlags, ServeFlags, SignalFlags, TurnFlags};
use crate::cluster::ClusterSettings;
use crate::exit::Exit;

/// Everything that can be set. Each section is a table of the configuration file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The process itself.
    pub node: NodeSettings,
    /// Logs.
    pub log: LogSettings,
    /// The operator's pages.
    pub ops: OpsSettings,
    /// The listener of the demo, the API and the WebSocket.
    pub http: HttpSettings,
    /// Other processes of the installation.
    pub cluster: ClusterSettings,
    /// The relay.
    pub turn: TurnSettings,
    /// Rooms and signaling.
    pub signal: SignalSettings,
}

/// The `node` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSettings {
    /// Where the secret and data are kept. `serve` uses `data` if nothing is said; `turn` then knows no secret
    /// and refuses room credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The installation's secret as 64 hexadecimal digits, instead of the file in `data_dir`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Hidden>,
    /// What rooms and relays share besides, as 64 hexadecimal digits: the passwords of relay credentials are derived
    /// from it. Absent: the installation's secret. A relay that is given this and `turn.room_key`, and not the
    /// installation's secret, can check credentials and mint none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_secret: Option<Hidden>,
    /// The Ed25519 key that signs room credentials, as `openssl genpkey -algorithm ed25519` prints it, or its one line of
    /// base64. Only where rooms live; relays get its public half as `turn.room_key`. Absent: credentials are signed with a
    /// key derived from the secret, which relays have too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_signing_key: Option<Hidden>,
    /// How long a stop may take, in seconds: rooms go to other nodes, sockets follow them one after another in half of this time, and
    /// running transfers and calls may go on to its end. On a large installation give it a minute, and the supervisor more.
    pub drain_seconds: u64,
}

impl Default for NodeSettings {
    fn default() -> Self {
        // Half of the ten seconds that container engines wait between SIGTERM and SIGKILL.
        Self { data_dir: None, secret: None, relay_secret: None, room_signing_key: None, drain_seconds: 5 }
    }
}

/// The `ops` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OpsSettings {
    /// Where `/metrics`, `/livez` and `/readyz` are served. Metrics tell a lot: keep this address private.
    pub listen: SocketAddr,
}

impl Default for OpsSettings {
    fn default() -> Self {
        // The port that Prometheus' list of exporters gives to TURN servers.
        Self { listen: SocketAddr::from(([127, 0, 0, 1], 9641)) }
    }
}

/// The `http` section.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSettings {
    /// Where the demo, the API and the WebSocket are served.
    pub listen: SocketAddr,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self { listen: SocketAddr::from(([0, 0, 0, 0], 8080)) }
    }
}

/// Where the settings of a process come from: read at its start, and again whenever they are reloaded.
pub struct Source {
    /// Reads all layers.
    pub load: Arc<dyn Fn() -> Loaded<Settings> + Send + Sync>,
    /// The configuration file, if there is one.
    pub watch: Option<FileWatch>,
}

impl Source {
    /// The settings of `causeway serve`.
    pub fn of_serve(flags: ServeFlags) -> Self {
        let watch = flags.common.config.as_deref().map(FileWatch::new);
        Self::new(watch, move || {
            cluster(relay(common(&flags.common), &flags.relay), &flags.cluster)
                .flag("--http", "http.listen", text(flags.http))
                .flag("--turn-port", "turn.port", flags.turn_port.map(u32::from))
                .flag("--public-url", "signal.public_url", flags.public_url.clone())
        })
    }

    /// The settings of `causeway turn`.
    pub fn of_turn(flags: TurnFlags) -> Self {
        let watch = flags.common.config.as_deref().map(FileWatch::new);
        Self::new(watch, move || {
            relay(common(&flags.common), &flags.relay)
                .flag("--redis-url", "cluster.redis_url", flags.redis_url.clone())
                .flag("--port", "turn.port", flags.port.map(u32::from))
        })
    }

    /// The settings of `causeway signal`.
    pub fn of_signal(flags: SignalFlags) -> Self {
        let watch = flags.common.config.as_deref().map(FileWatch::new);
        Self::new(watch, move || {
            cluster(common(&flags.common), &flags.cluster)
                .flag("--http", "http.listen", text(flags.http))
                .flag("--public-url", "signal.public_url", flags.public_url.clone())
        })
    }

    fn new(watch: Option<FileWatch>, layers: impl Fn() -> Layers + Send + Sync + 'static) -> Self {
        Self { load: Arc::new(move || layers().load()), watch }
    }

    /// The settings to start with.
    ///
    /// # Errors
    /// [`Exit::Configuration`] with every problem.
    pub fn effective(&self) -> Result<Effective<Settings>, Exit> {
        checked((self.load)()).map_err(Exit::Configuration)
    }
}

/// Prints the effective settings. Secrets are redacted by their own types.
///
/// # Errors
/// [`Exit::Configuration`] with every problem.
pub fn print(flags: &CommonFlags) -> Result<(), Exit> {
    let effective = checked(common(flags).load()).map_err(Exit::Configuration)?;
    print!("{}", toml::to_string(effective.settings()).expect("settings are plain TOML"));
    Ok(())
}

fn common(flags: &CommonFlags) -> Layers {
    let layers = match &flags.config {
        Some(path) => Layers::new().file(path),
        None => Layers::new(),
    };
    layers
        .environment(std::env::vars_os().filter_map(|(name, value)| {
            // What is not UTF-8 is none of our names or values.
            Some((name.into_string().ok()?, value.into_string().ok()?))
        }))
        .flag("--data-dir", "node.data_dir", flags.data_dir.as_ref().map(|path| path.display().to_string()))
        .flag("--ops", "ops.listen", text(flags.ops))
        .flag("--log-format", "log.format", flags.log_format.clone())
        .flag("--log", "log.filter", flags.log.clone())
}

fn cluster(layers: Layers, flags: &ClusterFlags) -> Layers {
    layers.flag("--redis-url", "cluster.redis_url", flags.redis_url.clone()).flag(
        "--node-url",
        "cluster.node_url",
        flags.node_url.clone(),
    )
}

fn relay(layers: Layers, flags: &RelayFlags) -> Layers {
    layers
        .flag("--realm", "turn.realm", flags.realm.clone())
        .flag("--listen", "turn.listen", list(&flags.listen))
        .flag("--tls-port", "turn.tls_port", flags.tls_port.map(u32::from))
        .flag("--tls-cert", "turn.tls.certificate", path(flags.tls_cert.as_ref()))
        .flag("--tls-key", "turn.tls.key", path(flags.tls_key.as_ref()))
        .flag("--user", "turn.users", list(&flags.user))
        .flag("--rest-secret", "turn.rest_secrets", list(&flags.rest_secret))
        .flag("--workers", "turn.workers", flags.workers)
        .flag("--relay-port-min", "turn.relay_port_min", flags.relay_port_min.map(u32::from))
        .flag("--relay-port-max", "turn.relay_port_max", flags.relay_port_max.map(u32::from))
        .flag("--external-ip", "turn.external.ips", list(&flags.external_ip))
        .flag("--discovery-port", "turn.discovery.alternate_port", flags.discovery_port.map(u32::from))
        .flag(
            "--allow-loopback-peers",
            "turn.allow_loopback_peers",
            flags.allow_loopback_peers.then_some(true),
        )
}

fn path(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| path.display().to_string())
}

fn text(value: Option<impl ToString>) -> Option<String> {
    value.map(|value| value.to_string())
}

fn list(values: &[impl ToString]) -> Option<Vec<String>> {
    (!values.is_empty()).then(|| values.iter().map(ToString::to_string).collect())
}

/// The settings, if nothing is wrong with any of them.
///
/// # Errors
/// Every problem.
pub fn checked(mut loaded: Loaded<Settings>) -> Result<Effective<Settings>, Vec<Problem>> {
    let together = loaded.settings.problems();
    loaded.problems.extend(together);
    if loaded.problems.is_empty() { Ok(loaded.into()) } else { Err(loaded.problems) }
}

/// The relay's problems among those of all settings.
pub fn problems_of_turn(problems: Vec<SettingsProblem>) -> Vec<Problem> {
    let named = |SettingsProblem { key, problem }| Problem {
        origin: Origin::Together,
        key: format!("turn.{key}"),
        problem,
    };
    problems.into_iter().map(named).collect()
}

impl Settings {
    /// The settings that a running process takes over; all others need a restart.
    pub fn live() -> Vec<String> {
        let own = ["node.drain_seconds", "log.filter"].map(str::to_owned);
        let turn = TurnSettings::LIVE.iter().map(|key| format!("turn.{key}"));
        let signal = SignalSettings::LIVE.iter().map(|key| format!("signal.{key}"));
        own.into_iter().chain(turn).chain(signal).collect()
    }

    /// What relay credentials are signed with, if it is not derived from the secret.
    fn signing_key(&self) -> Option<Result<RoomSigningKey, RoomKeyError>> {
        self.node.room_signing_key.as_ref().map(|text| RoomSigningKey::parse(text.expose()))
    }

    /// What rooms and relays share; `secret` is the installation's.
    pub fn relay_secret(&self, secret: Option<Secret>) -> Option<Secret> {
        // The settings' own check has ruled out what is no secret.
        self.node.relay_secret.as_ref().and_then(|hex| Secret::from_hex(hex.expose()).ok()).or(secret)
    }

    /// Who signs relay credentials; `secret` is the installation's.
    pub fn issuer(&self, secret: &Secret) -> TurnIssuer {
        let shared = self.relay_secret(None).unwrap_or_else(|| secret.clone());
        match self.signing_key() {
            Some(Ok(key)) => TurnIssuer::eddsa(&key, &shared),
            // The settings' own check has ruled out what is no key.
            Some(Err(_)) | None => TurnIssuer::hs256(&shared),
        }
    }

    /// What peers are told to reach the relay over, unless `signal.relay_transports` chooses.
    pub fn offered(&self) -> Vec<RelayTransport> {
        let TurnSettings { streams, tls, .. } = &self.turn;
        let tcp = streams.tcp.then_some(RelayTransport::Tcp);
        // Browsers refuse the certificate that the relay makes itself.
        let tls = (streams.tls && tls.certificate.is_some()).then_some(RelayTransport::Tls);
        [Some(RelayTransport::Udp), tcp, tls].into_iter().flatten().collect()
    }

    /// What is wrong with settings that are each well formed.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut add = |key: String, problem: String| {
            problems.push(Problem { origin: Origin::Together, key, problem });
        };
        if let Some(problem) = self.log.problem() {
            add("log.filter".to_owned(), problem);
        }
        if let Some(Err(error)) = self.node.secret.as_ref().map(|hex| Secret::from_hex(hex.expose())) {
            add("node.secret".to_owned(), error.to_string());
        }
        if let Some(Err(error)) = self.node.relay_secret.as_ref().map(|hex| Secret::from_hex(hex.expose())) {
            add("node.relay_secret".to_owned(), error.to_string());
        }
        match self.signing_key() {
            Some(Err(error)) => add("node.room_signing_key".to_owned(), error.to_string()),
            // The relay of this process would refuse every room's credentials.
            Some(Ok(key)) if self.turn.room_key.as_deref().map(RoomKey::parse) != Some(Ok(key.public())) => {
                let problem = format!("set it to {}, the public half of node.room_signing_key", key.public());
                add("turn.room_key".to_owned(), problem);
            }
            Some(Ok(_)) | None => {}
        }
        for transport in &self.signal.relay_transports {
            let (serves, key) = match transport {
                RelayTransport::Udp => continue,
                RelayTransport::Tcp => (self.turn.streams.tcp, "turn.streams.tcp"),
                RelayTransport::Tls => (self.turn.streams.tls, "turn.streams.tls"),
            };
            if !serves {
                let problem =
                    format!("peers would be told of what the relay does not serve; set {key} to true");
                add("signal.relay_transports".to_owned(), problem);
            }
        }
        for (key, problem) in self.cluster.problems() {
            add(key.to_owned(), problem);
        }
        for problem in self.signal.validate() {
            add(format!("signal.{}", problem.key), problem.problem);
        }
        problems.extend(problems_of_turn(self.turn.validate()));
        problems
    }
}
