//! What an operator can set, with the limits of each setting.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use causeway_protocol::Network;
use causeway_protocol::ids::ApiKeyId;
use causeway_protocol::token::PeerPolicy;
use causeway_signal_core::{ResumeLimits, RingLimits};
use serde::{Deserialize, Serialize};

use crate::api_keys::{self, ApiKeySettings};
use crate::doors::RelayTransport;

/// The settings of rooms, their HTTP API and their WebSockets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignalSettings {
    /// How people reach this server, such as `https://causeway.example`. Absent: as their browser asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// Web origins of other sites whose pages may use this server, such as `https://app.example`.
    pub allowed_origins: Vec<String>,
    /// Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: addresses or networks.
    pub trusted_proxies: Vec<Network>,
    /// The ICE servers that peers are told: `stun:`, `stuns:`, `turn:` and `turns:` URLs. Empty: the relay's port
    /// on the host of `public_url`, or on the host as the browser named it.
    pub ice_urls: Vec<String>,
    /// Over what peers are told to reach the relay, in this order: `udp`, `tcp`, `tls`. Empty: all that it serves, `tls`
    /// only with a certificate of yours, since browsers refuse the relay's own. Without effect beside `ice_urls`.
    pub relay_transports: Vec<RelayTransport>,
    /// Rooms at a time.
    pub max_rooms: usize,
    /// Peers of a room that does not say how many.
    pub default_capacity: u16,
    /// The most peers that a room may ask for.
    pub max_capacity: u16,
    /// Life of a room that does not say how long, in seconds.
    pub default_ttl_seconds: u64,
    /// The longest life that a room may ask for, in seconds.
    pub max_ttl_seconds: u64,
    /// Life of a relay credential, in seconds; never longer than its room.
    pub credential_ttl_seconds: u64,
    /// Whom relay credentials may reach: `public` or `room`.
    pub relay_peers: PeerPolicy,
    /// Bytes per second of one allocation, each way. Absent: the relay's own default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_bps: Option<u64>,
    /// Bytes that one credential may relay in total. Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relay_bytes: Option<u64>,
    /// Allocations at a time with one credential. A peer with several connections uses several each.
    pub relay_allocations: u32,
    /// WebSockets at a time. Twice as many TCP connections and 64 are accepted.
    pub max_sessions: usize,
    /// WebSockets at a time from one address (IPv6: one /64). Twice as many TCP connections and 64 are accepted, proxies'
    /// aside; further ones are reset.
    pub max_sessions_per_ip: usize,
    /// Threads that answer HTTP requests and open WebSockets. 0: one per core, four at most.
    pub http_threads: usize,
    /// Threads that rooms live on, each with its WebSockets. 0: one per core, sixteen at most.
    pub room_threads: usize,
    /// How much is accepted from one address or connection.
    pub limits: LimitSettings,
    /// How long things may take.
    pub timing: TimingSettings,
    /// Keys with which apps mint tokens of their own: a table `[signal.api_keys.<name>]` each.
    pub api_keys: BTreeMap<ApiKeyId, ApiKeySettings>,
}

/// How much is accepted. Addresses are counted alone (IPv4) or by /64 (IPv6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitSettings {
    /// Rooms made, per address and minute.
    pub rooms_per_minute: u32,
    /// Joins, invites and look-ups, per address and minute.
    pub joins_per_minute: u32,
    /// Passwords tried, per address and minute.
    pub passwords_per_minute: u32,
    /// Passwords tried, per room and minute, from everywhere.
    pub room_passwords_per_minute: u32,
    /// WebSockets opened, per address and minute.
    pub sockets_per_minute: u32,
    /// Messages of one connection, and of one peer over all its connections, per second in the long run.
    pub messages_per_second: u32,
    /// Messages of one connection, and of one peer, at once: a full room's offers and candidates fit.
    pub message_burst: u32,
    /// Bytes of one connection's messages, per second in the long run.
    pub bytes_per_second: u32,
    /// Bytes of one connection's messages at once.
    pub byte_burst: u32,
    /// Messages that wait for one slow reader.
    pub outbox_messages: usize,
    /// Bytes that wait for one slow reader.
    pub outbox_bytes: usize,
    /// Events that a room keeps for members that come back.
    pub kept_events: usize,
    /// Bytes of them.
    pub kept_bytes: usize,
    /// Bytes of them in all rooms of this process. A room that has no place keeps none, and who comes back is told how it
    /// stands.
    pub kept_bytes_total: usize,
}

/// How long things may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimingSettings {
    /// For a request to arrive with its whole body and be answered, in milliseconds.
    pub request_ms: u64,
    /// From the WebSocket's opening to its `hello`, in milliseconds.
    pub hello_ms: u64,
    /// Between two pings of the server, in milliseconds.
    pub ping_ms: u64,
    /// Without a sign of life until the connection is given up, in milliseconds.
    pub silence_ms: u64,
    /// For a slow reader to take one message, in milliseconds.
    pub write_ms: u64,
    /// For the last messages and the closing handshake, until the TCP connection is cut, in milliseconds.
    pub linger_ms: u64,
    /// How long a member is waited for whose connection broke, in seconds. 0: it leaves at once.
    pub resume_seconds: u64,
    /// From a join to the WebSocket that uses its token, in seconds.
    pub join_token_seconds: u64,
}

impl Default for SignalSettings {
    fn default() -> Self {
        Self {
            public_url: None,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            ice_urls: Vec::new(),
            relay_transports: Vec::new(),
            max_rooms: 10_000,
            default_capacity: 8,
            max_capacity: 64,
            default_ttl_seconds: 24 * 3600,
            max_ttl_seconds: 7 * 24 * 3600,
            credential_ttl_seconds: 3600,
            relay_peers: PeerPolicy::Public,
            relay_bps: None,
            relay_bytes: None,
            relay_allocations: 10,
            max_sessions: 10_000,
            max_sessions_per_ip: 200,
            http_threads: 0,
            room_threads: 0,
            limits: LimitSettings::default(),
            timing: TimingSettings::default(),
            api_keys: BTreeMap::new(),
        }
    }
}

/// Guesses: several times what an office behind one address does at its busiest minute, and far below what
/// would trouble one core.
impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            rooms_per_minute: 60,
            joins_per_minute: 240,
            passwords_per_minute: 20,
            room_passwords_per_minute: 60,
            sockets_per_minute: 240,
            messages_per_second: 100,
            message_burst: 1000,
            bytes_per_second: 256 * 1024,
            byte_burst: 2 * 1024 * 1024,
            // What a member missed comes all at once: twice what is kept.
            outbox_messages: 512,
            outbox_bytes: 2 * 1024 * 1024,
            kept_events: 256,
            kept_bytes: 1024 * 1024,
            kept_bytes_total: 256 * 1024 * 1024,
        }
    }
}

impl Default for TimingSettings {
    fn default() -> Self {
        Self {
            request_ms: 30_000,
            hello_ms: 10_000,
            ping_ms: 15_000,
            silence_ms: 45_000,
            write_ms: 10_000,
            linger_ms: 5_000,
            resume_seconds: 30,
            join_token_seconds: 60,
        }
    }
}

/// One setting that cannot be used: its key below `signal`, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// Such as `limits.message_burst`.
    pub key: Cow<'static, str>,
    /// One sentence: what would be right.
    pub problem: String,
}

/// As many as somebody set, else one per core. Signaling is light, and beyond `most` further threads would only spread it thinner.
fn threads(set: usize, most: usize) -> usize {
    match set {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(most),
        set => set,
    }
}

impl SignalSettings {
    /// The settings that [`RunningSignal::reconfigure`](crate::RunningSignal::reconfigure) takes over: all but the
    /// numbers of threads. A name stands for everything below it, too.
    pub const LIVE: &[&str] = &[
        "public_url",
        "allowed_origins",
        "trusted_proxies",
        "ice_urls",
        "relay_transports",
        "max_rooms",
        "default_capacity",
        "max_capacity",
        "default_ttl_seconds",
        "max_ttl_seconds",
        "credential_ttl_seconds",
        "relay_peers",
        "relay_bps",
        "relay_bytes",
        "relay_allocations",
        "max_sessions",
        "max_sessions_per_ip",
        "limits",
        "timing",
        "api_keys",
    ];

    /// Threads that answer HTTP requests.
    pub(crate) fn http_threads(&self) -> usize {
        threads(self.http_threads, 4)
    }

    /// Threads that rooms live on.
    pub(crate) fn room_threads(&self) -> usize {
        threads(self.room_threads, 16)
    }

    /// How members of a room that is opened now come back.
    pub(crate) fn resume(&self) -> ResumeLimits {
        let grace = Duration::from_secs(self.timing.resume_seconds);
        let ring = RingLimits {
            events: self.limits.kept_events,
            bytes: self.limits.kept_bytes,
            // Whoever is waited for finds what it missed.
            age: grace.max(RingLimits::default().age),
        };
        ResumeLimits { grace, ring }
    }

    /// Everything that is wrong with the settings; empty if nothing is.
    #[must_use]
    pub fn validate(&self) -> Vec<SettingProblem> {
        let mut found = Problems::default();
        if let Some(url) = &self.public_url {
            found.unless(
                is_origin(url),
                "public_url",
                "must be http:// or https:// and a host, without a path",
            );
        }
        for origin in &self.allowed_origins {
            let problem = format!("'{origin}' must be http:// or https:// and a host, without a path");
            found.unless(is_origin(origin), "allowed_origins", problem);
        }
        for url in &self.ice_urls {
            let known = ["stun:", "stuns:", "turn:", "turns:"].iter().any(|scheme| {
                url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty() && !rest.starts_with("//"))
            });
            let problem = format!("'{url}' must look like stun:host:port or turn:host:port?transport=udp");
            found.unless(known, "ice_urls", problem);
        }
        found.at_least("max_rooms", self.max_rooms, 1);
        found.at_least("default_capacity", self.default_capacity, 1);
        found.not_above("default_capacity", self.default_capacity, "max_capacity", self.max_capacity);
        found.at_least("default_ttl_seconds", self.default_ttl_seconds, 1);
        found.not_above(
            "default_ttl_seconds",
            self.default_ttl_seconds,
            "max_ttl_seconds",
            self.max_ttl_seconds,
        );
        found.at_least("credential_ttl_seconds", self.credential_ttl_seconds, 30);
        found.at_least("relay_allocations", self.relay_allocations, 1);
        found.at_least("max_sessions", self.max_sessions, 1);
        found.at_least("max_sessions_per_ip", self.max_sessions_per_ip, 1);
        self.limits.validate(&mut found);
        self.timing.validate(&mut found);
        api_keys::validate(&self.api_keys, &mut found);
        found.0
    }
}

impl LimitSettings {
    fn validate(&self, found: &mut Problems) {
        found.at_least("limits.rooms_per_minute", self.rooms_per_minute, 1);
        found.at_least("limits.joins_per_minute", self.joins_per_minute, 1);
        found.at_least("limits.passwords_per_minute", self.passwords_per_minute, 1);
        found.at_least("limits.room_passwords_per_minute", self.room_passwords_per_minute, 1);
        found.at_least("limits.sockets_per_minute", self.sockets_per_minute, 1);
        found.at_least("limits.messages_per_second", self.messages_per_second, 1);
        found.at_least("limits.message_burst", self.message_burst, 1);
        found.at_least("limits.bytes_per_second", self.bytes_per_second, 1024);
        // A burst below one message would refuse that message for ever.
        found.at_least("limits.byte_burst", self.byte_burst, 64 * 1024);
        found.at_least("limits.outbox_messages", self.outbox_messages, 16);
        found.at_least("limits.outbox_bytes", self.outbox_bytes, 128 * 1024);
        let problem =
            |room| format!("must not be above half of {room}, so that what a member missed fits in");
        let fits = self.kept_events <= self.outbox_messages / 2;
        found.unless(fits, "limits.kept_events", problem("limits.outbox_messages"));
        let fits = self.kept_bytes <= self.outbox_bytes / 2;
        found.unless(fits, "limits.kept_bytes", problem("limits.outbox_bytes"));
    }
}

impl TimingSettings {
    fn validate(&self, found: &mut Problems) {
        found.at_least("timing.request_ms", self.request_ms, 1);
        found.at_least("timing.hello_ms", self.hello_ms, 1);
        found.at_least("timing.ping_ms", self.ping_ms, 1);
        found.not_above("timing.ping_ms", self.ping_ms, "timing.silence_ms", self.silence_ms);
        found.at_least("timing.write_ms", self.write_ms, 1);
        found.at_least("timing.linger_ms", self.linger_ms, 1);
        found.not_above("timing.resume_seconds", self.resume_seconds, "an hour", 3600);
        found.at_least("timing.join_token_seconds", self.join_token_seconds, 1);
    }
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<SettingProblem>);

impl Problems {
    pub(crate) fn add(&mut self, key: impl Into<Cow<'static, str>>, problem: impl Into<String>) {
        self.0.push(SettingProblem { key: key.into(), problem: problem.into() });
    }

    #[cfg(test)]
    pub(crate) fn keys(&self) -> Vec<&str> {
        self.0.iter().map(|problem| problem.key.as_ref()).collect()
    }

    fn unless(&mut self, fine: bool, key: &'static str, problem: impl Into<String>) {
        if !fine {
            self.add(key, problem);
        }
    }

    fn at_least<N: Copy + PartialOrd + std::fmt::Display>(&mut self, key: &'static str, value: N, least: N) {
        self.unless(value >= least, key, format!("must be at least {least}"));
    }

    fn not_above<N: Copy + PartialOrd + std::fmt::Display>(
        &mut self,
        key: &'static str,
        value: N,
        other: &'static str,
        most: N,
    ) {
        self.unless(value <= most, key, format!("must not be above {other}, which is {most}"));
    }
}

/// `scheme://host[:port]` and nothing after it (RFC 6454 §6.2).
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(crate::client::is_authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(SignalSettings::default().validate(), []);
    }

    #[test]
    fn all_mistakes_are_told_at_once() {
        let settings = SignalSettings {
            public_url: Some("https://causeway.example/path".to_owned()),
            allowed_origins: vec!["app.example".to_owned(), "https://fine.example".to_owned()],
            ice_urls: vec!["turn:".to_owned(), "https://x".to_owned(), "stun:relay.example:3478".to_owned()],
            default_capacity: 100,
            max_sessions: 0,
            timing: TimingSettings { ping_ms: 50_000, ..TimingSettings::default() },
            ..SignalSettings::default()
        };
        let found = settings.validate();
        let keys: Vec<_> = found.iter().map(|problem| problem.key.as_ref()).collect();
        assert_eq!(
            keys,
            [
                "public_url",
                "allowed_origins",
                "ice_urls",
                "ice_urls",
                "default_capacity",
                "max_sessions",
                "timing.ping_ms"
            ]
        );
    }

    #[test]
    fn settings_survive_being_written_and_read() {
        let settings =
            SignalSettings { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Default::default() };
        let text = serde_json::to_string(&settings).unwrap();
        assert_eq!(serde_json::from_str::<SignalSettings>(&text).unwrap(), settings);
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        assert!(serde_json::from_str::<SignalSettings>(r#"{"max_romms":1}"#).is_err());
        assert!(serde_json::from_str::<SignalSettings>(r#"{"limits":{"burst":1}}"#).is_err());
    }
}
