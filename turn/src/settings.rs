//! What an operator can set about the relay, and the check that names every mistake at once.

mod alternates;
mod discovery;
mod dtls;
mod external;
mod limits;
mod mobility;
mod offloads;
mod peers;
mod strangers;
mod streams;
mod tcp_relay;
mod third_party;
mod tls;

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;

use causeway_protocol::Network;
use causeway_protocol::token::RoomKey;
use causeway_service::Hidden;
use causeway_turn_core::RelayConfig;
use serde::{Deserialize, Serialize};

use crate::user::UserEntry;

pub use alternates::AlternateSettings;
pub use discovery::DiscoverySettings;
pub use dtls::DtlsSettings;
pub use external::{ExternalEntry, ExternalEntryError, ExternalError, ExternalSettings};
pub use limits::LimitSettings;
pub use mobility::MobilitySettings;
pub use offloads::OffloadSettings;
pub use peers::PeerSettings;
pub use strangers::StrangerSettings;
pub use streams::StreamSettings;
pub use tcp_relay::TcpRelaySettings;
pub use third_party::{ThirdPartySettings, TokenAlgorithm, TokenKeySettings};
pub use tls::TlsSettings;

/// RFC 8489 §14.3: a username has fewer than 509 bytes.
const MAX_USERNAME_BYTES: usize = 508;
/// More threads than any machine of today has use for; a larger number is a slip of the keyboard.
const MAX_WORKERS: usize = 512;
/// One day. An allocation that nobody refreshed for longer only holds a port; a guess.
const MAX_LIFETIME_SECONDS: u32 = 86_400;
/// RFC 8656 §3.2 asks a client to refresh a minute before the end; below two there is no such minute.
const MIN_LIFETIME_SECONDS: u32 = 120;

/// The relay's settings. Absent keys keep their defaults; unknown keys are refused.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TurnSettings {
    /// Addresses that clients reach the relay at, and that relayed addresses are taken from. Empty: every
    /// address of this host except link-local ones. `0.0.0.0` and `::` mean every address of their family.
    pub listen: Vec<IpAddr>,
    /// The UDP and TCP port on each of these addresses; 0 takes a free one, the same on all.
    pub port: u16,
    /// The second UDP and TCP port, by convention for `turns:`; 0 takes a free one. Absent: 5349, or a free one if
    /// `port` is 0. Both ports serve plain and secure clients alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_port: Option<u16>,
    /// The realm that clients authenticate in (RFC 8489 §9.2).
    pub realm: String,
    /// The lowest port of a relayed address.
    pub relay_port_min: u16,
    /// The highest port of a relayed address.
    pub relay_port_max: u16,
    /// Worker threads; 0: one per core.
    pub workers: usize,
    /// Static users, each as `name:password`.
    pub users: Vec<UserEntry>,
    /// Secrets of time-limited `expiry:user` credentials. Each is tried, so that secrets can be rotated.
    pub rest_secrets: Vec<Hidden>,
    /// The public key that room credentials are signed for, as `openssl pkey -pubout` prints it, or its one line of
    /// base64. With it the relay checks EdDSA and cannot sign: give the relay `node.relay_secret` and nothing else that is
    /// secret. Absent: room credentials are signed with a key that the relay has too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub room_key: Option<String>,
    /// Lifetime of an allocation whose client names none, in seconds.
    pub default_lifetime_seconds: u32,
    /// The longest lifetime a client is granted, in seconds.
    pub max_lifetime_seconds: u32,
    /// What clients may hold at a time.
    pub limits: LimitSettings,
    /// Lets clients reach 127.0.0.0/8 and ::1 through the relay. For tests: it exposes what listens on this host.
    pub allow_loopback_peers: bool,
    /// Whom clients reach.
    pub peers: PeerSettings,
    /// Where revocations are kept, so that they outlive the process. Default: `revocations` in the data directory; without
    /// one they are forgotten at the end of the process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revocation_file: Option<PathBuf>,
    /// Clients over DTLS.
    pub dtls: DtlsSettings,
    /// What whoever has not authenticated is answered.
    pub strangers: StrangerSettings,
    /// Authorization servers whose access tokens are accepted (RFC 7635).
    pub third_party: ThirdPartySettings,
    /// Load balancers in front of the relay, as addresses or networks (`10.0.0.0/8`): whatever comes from them has to
    /// begin with a header of the PROXY protocol, version 1 or 2 over TCP, version 2 in each datagram over UDP. A header
    /// from anybody else is garbage.
    pub proxy_sources: Vec<Network>,
    /// Clients over TCP and TLS.
    pub streams: StreamSettings,
    /// What TLS shows its clients.
    pub tls: TlsSettings,
    /// Connections between relayed addresses and peers.
    pub tcp_relay: TcpRelaySettings,
    /// Clients that move.
    pub mobility: MobilitySettings,
    /// Addresses of a relay behind a NAT.
    pub external: ExternalSettings,
    /// Clients that examine their NAT.
    pub discovery: DiscoverySettings,
    /// Clients that are sent to other nodes.
    pub alternates: AlternateSettings,
    /// Trains of datagrams.
    pub offloads: OffloadSettings,
}

impl Default for TurnSettings {
    fn default() -> Self {
        Self {
            listen: Vec::new(),
            port: 3478,
            tls_port: None,
            realm: "causeway".to_owned(),
            // RFC 8656 §7.2 recommends the dynamic ports.
            relay_port_min: 49_152,
            relay_port_max: 65_535,
            workers: 0,
            users: Vec::new(),
            rest_secrets: Vec::new(),
            room_key: None,
            // RFC 8656 §3.2: ten minutes by default; §7.2: at most an hour is recommended.
            default_lifetime_seconds: 600,
            max_lifetime_seconds: 3600,
            limits: LimitSettings::default(),
            strangers: StrangerSettings::default(),
            third_party: ThirdPartySettings::default(),
            allow_loopback_peers: false,
            peers: PeerSettings::default(),
            revocation_file: None,
            dtls: DtlsSettings::default(),
            proxy_sources: Vec::new(),
            streams: StreamSettings::default(),
            tls: TlsSettings::default(),
            tcp_relay: TcpRelaySettings::default(),
            mobility: MobilitySettings::default(),
            external: ExternalSettings::default(),
            discovery: DiscoverySettings::default(),
            alternates: AlternateSettings::default(),
            offloads: OffloadSettings::default(),
        }
    }
}

/// One setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct SettingsProblem {
    /// The setting's name, as in [`TurnSettings`].
    pub key: &'static str,
    /// One sentence that says what to do.
    pub problem: String,
}

impl TurnSettings {
    /// The settings that [`RunningRelay::reconfigure`](crate::RunningRelay::reconfigure) takes over. A name stands for
    /// everything below it, too.
    pub const LIVE: &[&str] =
        &["users", "rest_secrets", "default_lifetime_seconds", "max_lifetime_seconds", "limits"];

    /// Everything that is wrong with these settings; empty if the relay can start with them.
    #[must_use]
    pub fn validate(&self) -> Vec<SettingsProblem> {
        let mut problems = Problems(Vec::new());
        self.check_listen(&mut problems);
        self.check_realm(&mut problems);
        self.check_ports(&mut problems);
        self.check_users(&mut problems);
        self.check_lifetimes(&mut problems);
        if self.workers > MAX_WORKERS {
            problems.add("workers", format!("use at most {MAX_WORKERS}, or 0 for one per core"));
        }
        if self.rest_secrets.iter().any(|secret| secret.expose().is_empty()) {
            problems.add("rest_secrets", "remove the empty secret: anybody could sign with it");
        }
        if let Some(Err(error)) = self.room_key.as_deref().map(RoomKey::parse) {
            problems.add("room_key", error.to_string());
        }
        self.limits.check(&mut problems);
        self.dtls.check(&mut problems);
        self.strangers.check(&mut problems);
        self.third_party.check(&mut problems);
        self.streams.check(&mut problems);
        self.tls.check(&mut problems);
        self.tcp_relay.check(&mut problems);
        self.external.check(&mut problems);
        self.alternates.check(&mut problems);
        self.discovery.check(&self.listen, [self.port, self.tls_port()], &mut problems);
        problems.0
    }

    /// The second port; 0 stands for a free one.
    #[must_use]
    pub fn tls_port(&self) -> u16 {
        // RFC 8656 §18.1 (IANA): turns.
        self.tls_port.unwrap_or(if self.port == 0 { 0 } else { 5349 })
    }

    fn check_listen(&self, problems: &mut Problems) {
        let mut seen = HashSet::new();
        for ip in &self.listen {
            if ip.is_multicast() || matches!(ip, IpAddr::V4(v4) if v4.is_broadcast()) {
                problems.add("listen", format!("{ip} is no address of a host; name addresses of this host"));
            }
            if !seen.insert(ip) {
                problems.add("listen", format!("{ip} is listed twice; list it once"));
            }
        }
    }

    fn check_realm(&self, problems: &mut Problems) {
        if self.realm.is_empty() {
            problems.add("realm", "name a realm, for example your domain");
        }
        if self.realm.len() > RelayConfig::MAX_REALM_LENGTH {
            problems.add("realm", format!("use at most {} bytes", RelayConfig::MAX_REALM_LENGTH));
        }
        if self.realm.chars().any(|c| c.is_control() || c == '"' || c == '\\') {
            problems.add("realm", "leave out quotes, backslashes and control characters");
        }
    }

    fn check_ports(&self, problems: &mut Problems) {
        if self.relay_port_min < 1024 {
            problems.add("relay_port_min", "use 1024 or more: lower ports belong to the system's services");
        }
        if self.relay_port_min > self.relay_port_max {
            problems.add(
                "relay_port_max",
                format!("use at least relay_port_min, which is {}", self.relay_port_min),
            );
        }
    }

    fn check_users(&self, problems: &mut Problems) {
        let mut seen = HashSet::new();
        for (index, user) in self.users.iter().enumerate() {
            let at = index + 1;
            let Some((name, password)) = user.split() else {
                problems.add("users", format!("write entry {at} as name:password"));
                continue;
            };
            if name.is_empty() {
                problems.add("users", format!("entry {at} has no name in front of the colon; add one"));
            }
            if password.is_empty() {
                problems.add("users", format!("entry {at} has no password behind the colon; add one"));
            }
            if name.len() > MAX_USERNAME_BYTES {
                problems
                    .add("users", format!("shorten the name of entry {at} to {MAX_USERNAME_BYTES} bytes"));
            }
            if !name.is_empty() && !seen.insert(name) {
                problems.add("users", format!("{name:?} is listed twice; keep one"));
            }
        }
    }

    fn check_lifetimes(&self, problems: &mut Problems) {
        if self.default_lifetime_seconds < MIN_LIFETIME_SECONDS {
            problems.add("default_lifetime_seconds", format!("use at least {MIN_LIFETIME_SECONDS}"));
        }
        if self.max_lifetime_seconds < self.default_lifetime_seconds {
            problems.add(
                "max_lifetime_seconds",
                format!("use at least default_lifetime_seconds, which is {}", self.default_lifetime_seconds),
            );
        }
        if self.max_lifetime_seconds > MAX_LIFETIME_SECONDS {
            problems.add("max_lifetime_seconds", format!("use at most {MAX_LIFETIME_SECONDS} (one day)"));
        }
    }
}

pub(crate) struct Problems(Vec<SettingsProblem>);

impl Problems {
    pub(crate) fn add(&mut self, key: &'static str, problem: impl Into<String>) {
        self.0.push(SettingsProblem { key, problem: problem.into() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_usable() {
        assert_eq!(TurnSettings::default().validate(), []);
    }

    #[test]
    fn an_empty_file_is_the_defaults() {
        let empty = toml::from_str::<TurnSettings>("").unwrap();
        assert_eq!(format!("{empty:?}"), format!("{:?}", TurnSettings::default()));
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let error = toml::from_str::<TurnSettings>("prot = 1").unwrap_err();
        assert!(error.to_string().contains("unknown field `prot`"), "{error}");
    }

    #[test]
    fn all_problems_are_named_at_once() {
        let settings = TurnSettings {
            listen: vec!["224.0.0.1".parse().unwrap()],
            realm: String::new(),
            relay_port_min: 80,
            relay_port_max: 79,
            users: ["nocolon", ":x", "x:"].map(UserEntry::new).to_vec(),
            rest_secrets: vec![Hidden::new("")],
            default_lifetime_seconds: 1,
            max_lifetime_seconds: 0,
            limits: LimitSettings { allocations: 0, allocations_per_user: 0, ..LimitSettings::default() },
            workers: 100_000,
            ..TurnSettings::default()
        };
        let keys: Vec<_> = settings.validate().iter().map(|problem| problem.key).collect();
        assert_eq!(
            keys,
            [
                "listen",
                "realm",
                "relay_port_min",
                "relay_port_max",
                "users",
                "users",
                "users",
                "default_lifetime_seconds",
                "max_lifetime_seconds",
                "workers",
                "rest_secrets",
                "limits.allocations",
                "limits.allocations_per_user",
            ]
        );
    }

    #[test]
    fn a_duplicate_address_is_refused() {
        let ip: IpAddr = "127.0.0.1".parse().unwrap();
        check(&TurnSettings { listen: vec![ip, ip], ..TurnSettings::default() }, "listen", "listed twice");
    }

    #[test]
    fn a_duplicate_user_is_refused() {
        let users = ["a:1", "a:2"].map(UserEntry::new).to_vec();
        check(&TurnSettings { users, ..TurnSettings::default() }, "users", "listed twice");
    }

    #[test]
    fn a_problem_shows_no_password() {
        let users = ["swordfish", ":swordfish", "a:swordfish", "a:swordfish"].map(UserEntry::new).to_vec();
        let rest_secrets = vec![Hidden::new("swordfish")];
        let settings = TurnSettings { users, rest_secrets, ..TurnSettings::default() };
        let shown =
            format!("{:?} {settings:?} {}", settings.validate(), serde_json::to_string(&settings).unwrap());
        assert!(!shown.contains("swordfish"), "{shown}");
    }

    fn check(settings: &TurnSettings, key: &str, part: &str) {
        let problems = settings.validate();
        let [problem] = problems.as_slice() else { panic!("{problems:?}") };
        assert_eq!(problem.key, key);
        assert!(problem.problem.contains(part), "{problem}");
    }
}
