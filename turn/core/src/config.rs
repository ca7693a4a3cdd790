//! What a relay is told once, at its start, and the limits it can be told again.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use causeway_stun::attributes::{AddressFamily, Lifetime};

use crate::address::ListenerId;
use crate::discovery::BehaviorDiscovery;
use crate::external::ExternalIps;
use crate::peer_rules::PeerRules;
use crate::strangers::StrangerLimits;
use crate::tcp::WorkerNumber;

/// The settings of a relay.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The realm of the long-term credentials: 1 to [`RelayConfig::MAX_REALM_LENGTH`] bytes.
    pub realm: String,
    /// The addresses clients reach; [`ListenerId`](crate::ListenerId) counts them from 0.
    pub listeners: Vec<Listener>,
    /// Ports for relayed addresses. Default: 49152 to 65535 (RFC 8656 §7.2 recommends this range).
    pub relay_ports: RangeInclusive<u16>,
    /// An allocation's lifetime if the client asks for none or for less. Default: 600 s (RFC 8656 §3.2).
    pub default_lifetime: Duration,
    /// The longest lifetime a client can ask for. Default: 3600 s (RFC 8656 §7.2).
    pub max_lifetime: Duration,
    /// How long a nonce is good, 18 hours at most. Default: 600 s, as coturn's.
    pub nonce_lifetime: Duration,
    /// What a relay may hold.
    pub limits: Limits,
    /// Whether clients get TCP allocations (RFC 6062). Default: they do.
    pub tcp_relaying: TcpRelaying,
    /// Connections of all TCP allocations of one relay, then 508. Default: 4096, a guess: each takes two file
    /// descriptors.
    pub connections: usize,
    /// Whether clients get mobility tickets (RFC 8016). Default: they do.
    pub mobility: Mobility,
    /// Which of the process's relays this is. Default: the first.
    pub worker: WorkerNumber,
    /// How often it answers whoever has not authenticated.
    pub strangers: StrangerLimits,
    /// Whether peers on loopback addresses are allowed. Only for tests.
    pub loopback_peers: LoopbackPeers,
    /// Further addresses that are never peers: this host's other interfaces, Redis. Our own relayed addresses among
    /// them stay reachable, as everywhere.
    pub denied_peers: Vec<IpAddr>,
    /// Whether clients may examine their NAT (RFC 5780). Default: no.
    pub discovery: BehaviorDiscovery,
    /// The addresses by which others know ours. Default: none, ours are what they are.
    pub external: ExternalIps,
    /// The operator's own rules. Default: none.
    pub peer_rules: PeerRules,
}

impl RelayConfig {
    /// Bytes of the longest realm. RFC 8489 §14.9 allows 127 characters.
    pub const MAX_REALM_LENGTH: usize = 127;

    /// The defaults, for a realm and listeners.
    #[must_use]
    pub fn new(realm: impl Into<String>, listeners: Vec<Listener>) -> Self {
        Self {
            realm: realm.into(),
            listeners,
            relay_ports: 49152..=65535,
            default_lifetime: Duration::from_secs(600),
            max_lifetime: Duration::from_secs(3600),
            nonce_lifetime: Duration::from_secs(600),
            limits: Limits::default(),
            tcp_relaying: TcpRelaying::Allowed,
            connections: 4096,
            mobility: Mobility::Allowed,
            worker: WorkerNumber::FIRST,
            strangers: StrangerLimits::default(),
            loopback_peers: LoopbackPeers::Refused,
            denied_peers: Vec::new(),
            discovery: BehaviorDiscovery::Off,
            external: ExternalIps::none(),
            peer_rules: PeerRules::default(),
        }
    }

    /// Whether a relay can run with this.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.realm.is_empty() || self.realm.len() > Self::MAX_REALM_LENGTH {
            return Err(ConfigError::Realm);
        }
        if self.relay_ports.is_empty() || *self.relay_ports.start() == 0 {
            return Err(ConfigError::RelayPorts);
        }
        if self.default_lifetime.is_zero() || self.default_lifetime > self.max_lifetime {
            return Err(ConfigError::Lifetimes);
        }
        Ok(())
    }

    /// Every IP on which relayed addresses are bound, for [`OwnRelays::new`](crate::OwnRelays::new).
    pub fn relay_ips(&self) -> impl Iterator<Item = IpAddr> {
        self.listeners.iter().flat_map(|listener| {
            [listener.relay_v4.map(IpAddr::V4), listener.relay_v6.map(IpAddr::V6)].into_iter().flatten()
        })
    }
}

impl RelayConfig {
    pub(crate) fn listener(&self, ListenerId(index): ListenerId) -> Option<&Listener> {
        self.listeners.get(usize::from(index))
    }

    /// RFC 8656 §7.2, §8.2: what was asked for, but no less than the default and no more than the longest.
    pub(crate) fn granted_lifetime(&self, asked: Option<Lifetime>) -> Duration {
        let asked = asked.map_or(Duration::ZERO, |lifetime| Duration::from_secs(lifetime.seconds.into()));
        asked.clamp(self.default_lifetime, self.max_lifetime)
    }
}

/// Why a relay cannot run with its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Empty, or too long for REALM.
    #[error("the realm must have 1 to {} bytes", RelayConfig::MAX_REALM_LENGTH)]
    Realm,
    /// The relay's name among authorization servers is too long for THIRD-PARTY-AUTHORIZATION.
    #[error("the name for authorization servers must have at most {} bytes", RelayConfig::MAX_REALM_LENGTH)]
    ServerName,
    /// An empty range, or one that begins at 0.
    #[error("the range of relay ports must not be empty and must not begin at 0")]
    RelayPorts,
    /// The default lifetime is zero or above the longest.
    #[error("the default lifetime must be above zero and not above the longest lifetime")]
    Lifetimes,
    /// An IP of a listener's relayed addresses is missing in [`OwnRelays`](crate::OwnRelays).
    #[error("relayed addresses are to be bound on {0}, which the set of own relays does not know")]
    UnknownRelayIp(IpAddr),
}

/// One address that clients reach, and where what they allocate is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// The local address. Peers are never relayed to it.
    pub address: SocketAddr,
    /// Where IPv4 relayed addresses are bound; `None`: this listener gives none.
    pub relay_v4: Option<Ipv4Addr>,
    /// Where IPv6 relayed addresses are bound; `None`: this listener gives none.
    pub relay_v6: Option<Ipv6Addr>,
}

impl Listener {
    /// The local IP on which an address of this family is bound.
    pub(crate) fn relay_ip(&self, family: AddressFamily) -> Option<IpAddr> {
        match family {
            AddressFamily::Ipv4 => self.relay_v4.map(IpAddr::V4),
            AddressFamily::Ipv6 => self.relay_v6.map(IpAddr::V6),
        }
    }
}

/// How much there may be at a time: in the process, over all relays that share [`Meters`](crate::Meters), unless it says
/// otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Allocations in total, then 508. Default: 20,000, a guess: more than a range of ports holds per address.
    pub allocations: usize,
    /// Allocations of one user or room peer whose credential says nothing, then 486. Default: 64, a guess that leaves
    /// room for a browser with many interfaces and several calls.
    pub allocations_per_user: u32,
    /// Allocations of one room, then 486; 0: no limit. Default: 1,000, a guess: a call of 250 with four each.
    pub allocations_per_room: u32,
    /// Allocations from one IPv4 address or IPv6 /64, then 486; 0: no limit. Default: 4,000, a guess: a large office
    /// behind one address is served, and still no source takes more than a fifth of the whole.
    pub allocations_per_source: u32,
    /// Application bytes per second of one allocation, each way, whose credential says nothing; 0: no limit. What exceeds
    /// it is dropped. Default: 0.
    pub allocation_bytes_per_second: u64,
    /// Application bytes per second of one room, both ways together; 0: no limit. A room may be told its own. What
    /// exceeds it is dropped. Default: 0.
    pub room_bytes_per_second: u64,
    /// Application bytes per second of all, both ways together; 0: no limit. When it is reached, rooms, and users that
    /// are in none, get equal shares. Default: 0.
    pub node_bytes_per_second: u64,
    /// Permissions of one allocation, then 508. Default: 128, a guess: a mesh of 30 peers with four addresses each.
    pub permissions: usize,
    /// Channels of one allocation, then 508. Default: 128, for the same reason.
    pub channels: usize,
    /// Allocate requests of one relay that wait for the shell to bind a port, then 508. Default: 1024, a guess.
    pub pending_binds: usize,
    /// Ports of the process reserved with EVEN-PORT and not used yet, then 508. Default: 1024, a guess.
    pub reservations: usize,
    /// Connections between one TCP allocation and its peers, of whatever state; then 508, and peers that connect are
    /// refused. Default: 64, a guess.
    pub connections: usize,
}

impl Limits {
    /// Byte budgets that are remembered: those of the allocations alive, and as many of the past again.
    pub(crate) const fn budgets(&self) -> usize {
        self.allocations.saturating_mul(2)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            allocations: 20_000,
            allocations_per_user: 64,
            allocations_per_room: 1_000,
            allocations_per_source: 4_000,
            allocation_bytes_per_second: 0,
            room_bytes_per_second: 0,
            node_bytes_per_second: 0,
            permissions: 128,
            channels: 128,
            pending_binds: 1024,
            reservations: 1024,
            connections: 64,
        }
    }
}

/// Whether clients get TCP allocations (RFC 6062).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TcpRelaying {
    /// A client over TCP or TLS may ask for one.
    #[default]
    Allowed,
    /// 442 answers who asks.
    Refused,
}

/// Whether clients get mobility tickets (RFC 8016).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Mobility {
    /// Whoever asks for one.
    #[default]
    Allowed,
    /// 405 answers who asks.
    Forbidden,
}

/// Whether peers on loopback addresses are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LoopbackPeers {
    /// No: a relay would be a way to the services of its own host (CVE-2020-26262).
    #[default]
    Refused,
    /// 127.0.0.0/8 and ::1 are peers like any other, our own listeners excepted.
    AllowedForTests,
}
