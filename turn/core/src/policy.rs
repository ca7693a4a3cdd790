//! Whom a client may reach through its relayed address.
//!
//! A permission compares IPs and ignores ports (RFC 8656 §9), so what depends on the port is asked again for every
//! datagram: on our own hosts only live relayed addresses are peers, so no service of ours can be reached and no loop
//! through our own listener is possible.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::address::PeerAddr;
use crate::config::{LoopbackPeers, RelayConfig};
use crate::external::{ExternalIps, ExternalPlace, Translation};
use crate::forbidden::Forbidden;
use crate::homes::Home;
use crate::own::{OwnIp, OwnRelays};
use crate::peer_rules::PeerRules;
use crate::rooms::Room;
use crate::special_purpose::{embedded_v4, is_nobodys, is_special};
use crate::tcp::RelayProtocol;

/// What a permission for an IP is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Every port.
    Everything,
    /// Only ports that are live relayed addresses of this process.
    LiveRelays(OwnIp),
    /// The same, known by an external address.
    ExternalRelays(ExternalPlace),
    /// Only relayed addresses of the room, on a host that is none of ours.
    RoomRelays,
    /// A loopback address in a test: every port except our own listeners.
    Loopback,
}

impl Reach {
    /// Whether it ends at relayed addresses. Then a credential for a room reaches those of the room.
    const fn is_of_relays(self) -> bool {
        match self {
            Self::LiveRelays(_) | Self::ExternalRelays(_) | Self::RoomRelays => true,
            Self::Everything | Self::Loopback => false,
        }
    }
}

/// Whom a credential is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Scope<'a> {
    /// Everybody, except special-purpose networks and our own hosts.
    Public,
    /// The peers of a room. `None`, which no allocation has, is a room without peers.
    Room(Option<&'a Room>),
}

impl Scope<'_> {
    /// Whether data may pass to and from this relayed address.
    fn has_relayed(self, peer: PeerAddr) -> bool {
        match self {
            Self::Public => true,
            Self::Room(room) => room.is_some_and(|room| room.has_relayed(peer)),
        }
    }
}

/// The way that a permitted datagram or connection takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// To the peer's own address, through the network.
    Out,
    /// To a relayed address of this process.
    In {
        /// Where a socket of ours reaches it.
        at: PeerAddr,
        /// Whose it is, if it is for UDP.
        home: Option<Home>,
    },
}

impl Passage {
    /// Where a socket of ours reaches the peer.
    pub(crate) const fn at(self, peer: PeerAddr) -> PeerAddr {
        match self {
            Self::Out => peer,
            Self::In { at, .. } => at,
        }
    }
}

/// The rules of one relay.
#[derive(Debug)]
pub(crate) struct Policy {
    own: Arc<OwnRelays>,
    translation: Translation,
    listeners: Box<[SocketAddr]>,
    denied: Box<[IpAddr]>,
    rules: PeerRules,
    loopback: LoopbackPeers,
}

impl Policy {
    pub(crate) fn new(config: &RelayConfig, own: Arc<OwnRelays>) -> Self {
        let listeners: Box<[SocketAddr]> = config.listeners.iter().map(|listener| listener.address).collect();
        let denied =
            listeners.iter().map(SocketAddr::ip).chain(config.denied_peers.iter().copied()).collect();
        let translation = Translation::new(config.external.clone(), &own);
        let rules = config.peer_rules.clone();
        Self { own, translation, listeners, denied, rules, loopback: config.loopback_peers }
    }

    /// The addresses by which others know ours.
    pub(crate) const fn external(&self) -> &ExternalIps {
        self.translation.ips()
    }

    /// Others know ours by these from here on; says by which they did before.
    pub(crate) fn set_external(&mut self, external: ExternalIps) -> ExternalIps {
        let new = Translation::new(external, &self.own);
        std::mem::replace(&mut self.translation, new).into_ips()
    }

    /// What others call an address of ours.
    pub(crate) fn outside(&self, local: SocketAddr) -> SocketAddr {
        self.external().outside(local)
    }

    /// Whom a client knows a sender as.
    pub(crate) fn seen(&self, from: PeerAddr, protocol: RelayProtocol) -> PeerAddr {
        self.translation.seen(from, protocol, &self.own)
    }

    /// Whether a credential of this scope gets a permission for this IP. [`Forbidden::OutsideRoom`] may be over in a
    /// moment; every other refusal stands.
    pub(crate) fn permission(&self, ip: IpAddr, scope: Scope<'_>) -> Result<Reach, Forbidden> {
        match scope {
            Scope::Public => self.public(ip),
            Scope::Room(room) => self.in_room(ip, room),
        }
    }

    fn in_room(&self, ip: IpAddr, room: Option<&Room>) -> Result<Reach, Forbidden> {
        let judged = self.public(ip);
        if room.is_some_and(|room| room.relays_on(ip)) && !self.translation.hides(ip) {
            if let Some(own) = self.own_relays(ip) {
                return Ok(own);
            }
            // Another relay may be on a private network or on a host of ours, but not where nobody can be, nor where the
            // operator says that no peer is.
            if judged.is_ok() || (!is_nobodys(ip) && judged != Err(Forbidden::DeniedNetwork)) {
                return Ok(Reach::RoomRelays);
            }
        }
        // The operator's exceptions hold in every room.
        if self.rules.allows(ip) && judged == Ok(Reach::Everything) {
            return judged;
        }
        if room.is_some_and(|room| room.has_observed(ip)) {
            return match judged {
                Err(Forbidden::SpecialPurpose) if self.rules.allows_observed(ip) => Ok(Reach::Everything),
                judged => judged,
            };
        }
        match judged {
            // A private address may still be a relayed one of another node.
            Err(Forbidden::SpecialPurpose) if !is_nobodys(ip) => Err(Forbidden::OutsideRoom),
            Err(forbidden) => Err(forbidden),
            Ok(_) => Err(Forbidden::OutsideRoom),
        }
    }

    /// The reach of an IP at which others find our relayed addresses.
    fn own_relays(&self, ip: IpAddr) -> Option<Reach> {
        if let Some(external) = self.translation.find(ip) {
            return Some(Reach::ExternalRelays(external));
        }
        self.own.find(ip).filter(|_| !self.translation.hides(ip)).map(Reach::LiveRelays)
    }

    fn public(&self, ip: IpAddr) -> Result<Reach, Forbidden> {
        if self.translation.find(ip).is_none()
            && self.loopback == LoopbackPeers::AllowedForTests
            && ip.is_loopback()
        {
            return Ok(Reach::Loopback);
        }
        // A relay on a private network still relays between its own clients (coturn's issue 584).
        if let Some(reach) = self.own_relays(ip) {
            return Ok(reach);
        }
        let disguised = match ip {
            IpAddr::V4(_) => [None, None],
            IpAddr::V6(v6) => embedded_v4(v6),
        };
        let mut forms = disguised.into_iter().flatten().map(IpAddr::V4);
        let is_ours = |ip| self.own.find(ip).is_some() || self.translation.find(ip).is_some();
        if forms.clone().chain([ip]).any(|form| self.denied.contains(&form))
            || self.translation.hides(ip)
            || forms.clone().any(is_ours)
        {
            return Err(Forbidden::OwnHost);
        }
        if self.rules.denies(ip) || forms.any(|form| self.rules.denies(form)) {
            return Err(Forbidden::DeniedNetwork);
        }
        if is_special(ip) && !self.rules.allows(ip) {
            return Err(Forbidden::SpecialPurpose);
        }
        Ok(Reach::Everything)
    }

    /// Whether a datagram may pass to or from this address, for whose IP there is a permission, and which way.
    pub(crate) fn passage(
        &self,
        reach: Reach,
        peer: PeerAddr,
        scope: Scope<'_>,
    ) -> Result<Passage, Forbidden> {
        self.passage_of(RelayProtocol::Udp, reach, peer, scope)
    }

    /// Whether a TCP connection may be had to or from this address, and where. On our own hosts only the live relayed
    /// addresses of TCP allocations are peers: what listens on the same port of the other protocol is somebody else's.
    pub(crate) fn stream_passage(
        &self,
        reach: Reach,
        peer: PeerAddr,
        scope: Scope<'_>,
    ) -> Result<Passage, Forbidden> {
        self.passage_of(RelayProtocol::Tcp, reach, peer, scope)
    }

    #[inline]
    fn passage_of(
        &self,
        protocol: RelayProtocol,
        reach: Reach,
        peer: PeerAddr,
        scope: Scope<'_>,
    ) -> Result<Passage, Forbidden> {
        let address = peer.socket();
        if address.port() == 0 {
            return Err(Forbidden::PortZero);
        }
        if reach.is_of_relays() && !scope.has_relayed(peer) {
            return Err(Forbidden::OutsideRoom);
        }
        match reach {
            Reach::RoomRelays | Reach::Everything => Ok(Passage::Out),
            Reach::LiveRelays(own) => self.passage_inside(protocol, own, peer),
            Reach::ExternalRelays(external) => {
                let inside = self.translation.inside(external, address.port(), protocol, &self.own);
                let (own, at) = inside.ok_or(Forbidden::NotALiveRelay)?;
                self.passage_inside(protocol, own, at)
            }
            Reach::Loopback if self.listeners.contains(&address) => Err(Forbidden::OwnListener),
            Reach::Loopback => {
                let inside = self.own.find(address.ip()).map(|own| self.passage_inside(protocol, own, peer));
                Ok(inside.and_then(Result::ok).unwrap_or(Passage::Out))
            }
        }
    }

    /// The way to a relayed address of ours, if it is alive.
    fn passage_inside(
        &self,
        protocol: RelayProtocol,
        own: OwnIp,
        at: PeerAddr,
    ) -> Result<Passage, Forbidden> {
        let port = at.socket().port();
        let home = match protocol {
            RelayProtocol::Udp => Some(self.own.home_at(own, port).ok_or(Forbidden::NotALiveRelay)?),
            RelayProtocol::Tcp if self.own.is_live_at(own, port, protocol) => None,
            RelayProtocol::Tcp => return Err(Forbidden::NotALiveRelay),
        };
        Ok(Passage::In { at, home })
    }

    /// Whether a channel may be bound to this address: a relayed address need not be alive yet.
    pub(crate) fn channel(&self, peer: PeerAddr, scope: Scope<'_>) -> Result<Reach, Forbidden> {
        let reach = self.permission(peer.socket().ip(), scope)?;
        if peer.socket().port() == 0 {
            return Err(Forbidden::PortZero);
        }
        if self.listeners.iter().any(|listener| [*listener, self.outside(*listener)].contains(&peer.socket()))
        {
            return Err(Forbidden::OwnListener);
        }
        Ok(reach)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Listener;
    use crate::external::ExternalIp;
    use crate::homes::Lives;
    use crate::peer_rules::PrivateRoomPeers;
    use crate::tcp::WorkerNumber;

    #[test]
    fn the_public_policy_judges_every_address_of_the_regression_list() {
        let policy = policy(LoopbackPeers::Refused);
        for (ip, verdict) in [
            ("8.8.8.8", Ok(Reach::Everything)),
            ("2a00:1450::1", Ok(Reach::Everything)),
            // Coturn's and others' list of bypasses (docs of CVE-2020-26262, CVE-2026-27624 and their kin).
            ("0.0.0.0", Err(Forbidden::SpecialPurpose)),
            ("::", Err(Forbidden::SpecialPurpose)),
            ("::1", Err(Forbidden::SpecialPurpose)),
            ("::ffff:127.0.0.1", Err(Forbidden::SpecialPurpose)),
            ("::ffff:10.1.2.3", Err(Forbidden::SpecialPurpose)),
            ("::127.0.0.1", Err(Forbidden::SpecialPurpose)),
            ("64:ff9b::127.0.0.1", Err(Forbidden::SpecialPurpose)),
            ("64:ff9b::a9fe:a9fe", Err(Forbidden::SpecialPurpose)),
            ("2002:7f00:1::", Err(Forbidden::SpecialPurpose)),
            ("2002:c0a8:101::1", Err(Forbidden::SpecialPurpose)),
            ("169.254.169.254", Err(Forbidden::SpecialPurpose)),
            ("fe80::1", Err(Forbidden::SpecialPurpose)),
            ("fd00::1", Err(Forbidden::SpecialPurpose)),
            ("fec0::1", Err(Forbidden::SpecialPurpose)),
            ("224.0.0.251", Err(Forbidden::SpecialPurpose)),
            ("ff02::1", Err(Forbidden::SpecialPurpose)),
            ("100.64.0.1", Err(Forbidden::SpecialPurpose)),
            ("10.0.0.1", Err(Forbidden::SpecialPurpose)),
            ("172.16.0.1", Err(Forbidden::SpecialPurpose)),
            ("192.168.0.1", Err(Forbidden::SpecialPurpose)),
            // Our own: the listener that is no relayed address, and Redis.
            ("51.0.0.2", Err(Forbidden::OwnHost)),
            ("::ffff:51.0.0.2", Err(Forbidden::OwnHost)),
            ("51.0.0.9", Err(Forbidden::OwnHost)),
            ("64:ff9b::51.0.0.9", Err(Forbidden::OwnHost)),
            ("2002:3300:9::", Err(Forbidden::OwnHost)),
            // Our own relayed address, and its disguise.
            ("51.0.0.1", Ok(Reach::LiveRelays(own_ip()))),
            ("::ffff:51.0.0.1", Err(Forbidden::OwnHost)),
            ("64:ff9b::51.0.0.7", Err(Forbidden::OwnHost)),
        ] {
            assert_eq!(policy.permission(ip.parse().unwrap(), Scope::Public), verdict, "{ip}");
        }
    }

    #[test]
    fn a_room_credential_reaches_what_provably_belongs_to_the_room() {
        let policy = policy(LoopbackPeers::Refused);
        let relayed = ["51.0.0.1:50000", "60.0.0.1:50000", "10.9.9.9:50000"];
        let room = room(&relayed, &["8.8.8.8", "192.168.1.7", "51.0.0.2", "51.0.0.7"]);
        for (ip, verdict) in [
            ("51.0.0.1", Ok(Reach::LiveRelays(own_ip()))),
            ("60.0.0.1", Ok(Reach::RoomRelays)),
            ("10.9.9.9", Ok(Reach::RoomRelays)),
            ("8.8.8.8", Ok(Reach::Everything)),
            // Observed, and yet not opened: somebody's network, and our own hosts.
            ("192.168.1.7", Err(Forbidden::SpecialPurpose)),
            ("51.0.0.2", Err(Forbidden::OwnHost)),
            // May turn out to be the room's.
            ("9.9.9.9", Err(Forbidden::OutsideRoom)),
            ("10.0.0.5", Err(Forbidden::OutsideRoom)),
            // Cannot.
            ("127.0.0.1", Err(Forbidden::SpecialPurpose)),
            ("169.254.169.254", Err(Forbidden::SpecialPurpose)),
            ("64:ff9b::7f00:1", Err(Forbidden::SpecialPurpose)),
            ("51.0.0.9", Err(Forbidden::OwnHost)),
        ] {
            let judged = policy.permission(ip.parse().unwrap(), Scope::Room(Some(&room)));
            assert_eq!(judged, verdict, "{ip}");
        }
        assert!(policy.permission("8.8.8.8".parse().unwrap(), Scope::Room(None)).is_err());
    }

    #[test]
    fn a_room_credential_passes_to_relayed_addresses_of_the_room_by_ip_and_port() {
        let policy = policy(LoopbackPeers::Refused);
        let room = room(&["51.0.0.1:50000", "60.0.0.1:50000"], &[]);
        let scope = Scope::Room(Some(&room));
        let at = |address: &str| PeerAddr::new(address.parse().unwrap());
        for address in ["51.0.0.1:50000", "51.0.0.1:50001"] {
            assert!(policy.own.claim(at(address).socket()));
            policy.own.set_live(at(address).socket(), home());
        }
        let own = Reach::LiveRelays(own_ip());
        assert_eq!(policy.passage(own, at("51.0.0.1:50000"), scope), Ok(inside(at("51.0.0.1:50000"))));
        assert_eq!(policy.passage(own, at("51.0.0.1:50001"), scope), Err(Forbidden::OutsideRoom));
        assert_eq!(
            policy.passage(own, at("51.0.0.1:50001"), Scope::Public),
            Ok(inside(at("51.0.0.1:50001")))
        );
        let elsewhere = policy.passage(Reach::RoomRelays, at("60.0.0.1:50000"), scope);
        assert_eq!(elsewhere, Ok(Passage::Out));
        let other = policy.passage(Reach::RoomRelays, at("60.0.0.1:50001"), scope);
        assert_eq!(other, Err(Forbidden::OutsideRoom));
        policy.own.release(at("51.0.0.1:50000").socket());
        assert_eq!(policy.passage(own, at("51.0.0.1:50000"), scope), Err(Forbidden::NotALiveRelay));
    }

    #[test]
    fn the_operators_word_counts_except_about_our_own_hosts() {
        let network = |text: &str| text.parse().unwrap();
        let mut config = config(LoopbackPeers::Refused);
        config.peer_rules = PeerRules {
            denied: vec![network("9.9.0.0/16"), network("10.0.0.9/32")],
            allowed: ["10.0.0.0/24", "51.0.0.0/24", "9.9.9.9/32"].map(network).to_vec(),
            private_room_peers: PrivateRoomPeers::Allowed,
        };
        let own = OwnRelays::new(["51.0.0.1", "51.0.0.7"].map(|ip| ip.parse().unwrap()));
        let policy = Policy::new(&config, Arc::new(own));
        let room = room(&[], &["192.168.1.7", "fd00::7", "127.0.0.7", "169.254.1.7"]);
        for (ip, public, in_room) in [
            ("10.0.0.8", Ok(Reach::Everything), Ok(Reach::Everything)),
            ("::ffff:10.0.0.8", Err(Forbidden::SpecialPurpose), Err(Forbidden::OutsideRoom)),
            ("10.0.0.9", Err(Forbidden::DeniedNetwork), Err(Forbidden::DeniedNetwork)),
            ("9.9.9.9", Err(Forbidden::DeniedNetwork), Err(Forbidden::DeniedNetwork)),
            ("64:ff9b::9.9.1.1", Err(Forbidden::DeniedNetwork), Err(Forbidden::DeniedNetwork)),
            ("51.0.0.2", Err(Forbidden::OwnHost), Err(Forbidden::OwnHost)),
            ("51.0.0.9", Err(Forbidden::OwnHost), Err(Forbidden::OwnHost)),
            ("192.168.1.7", Err(Forbidden::SpecialPurpose), Ok(Reach::Everything)),
            ("fd00::7", Err(Forbidden::SpecialPurpose), Ok(Reach::Everything)),
            // Private is not local.
            ("127.0.0.7", Err(Forbidden::SpecialPurpose), Err(Forbidden::SpecialPurpose)),
            ("169.254.1.7", Err(Forbidden::SpecialPurpose), Err(Forbidden::SpecialPurpose)),
        ] {
            let ip = ip.parse().unwrap();
            assert_eq!(policy.permission(ip, Scope::Public), public, "{ip}");
            assert_eq!(policy.permission(ip, Scope::Room(Some(&room))), in_room, "{ip}");
        }
        // Our relayed addresses stay what they are.
        let judged = policy.permission("51.0.0.1".parse().unwrap(), Scope::Public);
        assert_eq!(judged, Ok(Reach::LiveRelays(own_ip())));
    }

    #[test]
    fn the_test_switch_opens_loopback_as_such_and_nothing_else() {
        let policy = policy(LoopbackPeers::AllowedForTests);
        for (ip, verdict) in [
            ("127.0.0.1", Ok(Reach::Loopback)),
            ("::1", Ok(Reach::Loopback)),
            ("::ffff:127.0.0.1", Err(Forbidden::OwnHost)),
            ("::ffff:127.0.0.2", Err(Forbidden::SpecialPurpose)),
            ("0.0.0.0", Err(Forbidden::SpecialPurpose)),
            ("10.0.0.1", Err(Forbidden::SpecialPurpose)),
        ] {
            assert_eq!(policy.permission(ip.parse().unwrap(), Scope::Public), verdict, "{ip}");
        }
        let listener = PeerAddr::new("127.0.0.1:3478".parse().unwrap());
        assert_eq!(policy.passage(Reach::Loopback, listener, Scope::Public), Err(Forbidden::OwnListener));
        assert_eq!(policy.channel(listener, Scope::Public), Err(Forbidden::OwnListener));
    }

    #[test]
    fn on_our_own_addresses_only_live_relayed_ports_are_peers() {
        let own = Arc::new(OwnRelays::new(["51.0.0.1".parse().unwrap()]));
        let policy = Policy::new(&config(LoopbackPeers::Refused), Arc::clone(&own));
        let relayed = PeerAddr::new("51.0.0.1:50000".parse().unwrap());
        let reach = Reach::LiveRelays(own_ip());
        assert_eq!(policy.passage(reach, relayed, Scope::Public), Err(Forbidden::NotALiveRelay));
        assert!(own.claim(relayed.socket()));
        assert_eq!(policy.passage(reach, relayed, Scope::Public), Err(Forbidden::NotALiveRelay));
        own.set_live(relayed.socket(), home());
        assert_eq!(policy.passage(reach, relayed, Scope::Public), Ok(inside(relayed)));
        assert_eq!(policy.stream_passage(reach, relayed, Scope::Public), Err(Forbidden::NotALiveRelay));
        own.release(relayed.socket());
        assert_eq!(policy.passage(reach, relayed, Scope::Public), Err(Forbidden::NotALiveRelay));
    }

    #[test]
    fn an_external_address_is_our_own_host_in_every_form() {
        for loopback in [LoopbackPeers::Refused, LoopbackPeers::AllowedForTests] {
            let mut policy = policy(loopback);
            let external = |local: &str, external: &str| ExternalIp {
                local: local.parse().unwrap(),
                external: external.parse().unwrap(),
            };
            let ips = [external("51.0.0.1", "52.0.0.1"), external("51.0.0.7", "127.0.0.9")];
            policy.set_external(ExternalIps::new(ips).unwrap());
            let place = |ip: &str| policy.translation.find(ip.parse().unwrap()).unwrap();
            for (ip, verdict) in [
                ("52.0.0.1", Ok(Reach::ExternalRelays(place("52.0.0.1")))),
                ("127.0.0.9", Ok(Reach::ExternalRelays(place("127.0.0.9")))),
                ("::ffff:52.0.0.1", Err(Forbidden::OwnHost)),
                ("::52.0.0.1", Err(Forbidden::OwnHost)),
                ("64:ff9b::52.0.0.1", Err(Forbidden::OwnHost)),
                ("2002:3400:1::", Err(Forbidden::OwnHost)),
                ("::ffff:127.0.0.9", Err(Forbidden::OwnHost)),
                // What stands behind it is nobody's to name.
                ("51.0.0.1", Err(Forbidden::OwnHost)),
                ("51.0.0.7", Err(Forbidden::OwnHost)),
            ] {
                assert_eq!(policy.permission(ip.parse().unwrap(), Scope::Public), verdict, "{ip}");
            }
            let kitchen = room(&["52.0.0.1:50000"], &[]);
            let scope = Scope::Room(Some(&kitchen));
            let room = policy.permission("52.0.0.1".parse().unwrap(), scope);
            assert_eq!(room, Ok(Reach::ExternalRelays(place("52.0.0.1"))));
            let elsewhere = PeerAddr::new("52.0.0.1:50001".parse().unwrap());
            assert_eq!(policy.passage(room.unwrap(), elsewhere, scope), Err(Forbidden::OutsideRoom));
            for port in [3478, 6379, 50_000] {
                let peer = PeerAddr::new(SocketAddr::new("52.0.0.1".parse().unwrap(), port));
                assert_eq!(
                    policy.passage(room.unwrap(), peer, Scope::Public),
                    Err(Forbidden::NotALiveRelay),
                    "{port}"
                );
            }
        }
    }

    #[test]
    fn port_zero_is_nobodys() {
        let nowhere = PeerAddr::new("8.8.8.8:0".parse().unwrap());
        let policy = policy(LoopbackPeers::Refused);
        assert_eq!(policy.passage(Reach::Everything, nowhere, Scope::Public), Err(Forbidden::PortZero));
        assert_eq!(policy.channel(nowhere, Scope::Public), Err(Forbidden::PortZero));
    }

    fn room(relayed: &[&str], observed: &[&str]) -> Room {
        let name = || "kitchen".parse().unwrap();
        let mut rooms = crate::rooms::Rooms::new(foldhash::fast::FixedState::default());
        let number = rooms.enter(&name(), std::iter::empty(), "1.1.1.1".parse().unwrap());
        rooms.update(crate::rooms::RoomPeers {
            room: name(),
            relayed: relayed.iter().map(|address| address.parse().unwrap()).collect(),
            observed: observed.iter().map(|ip| ip.parse().unwrap()).collect(),
        });
        rooms.get(number).unwrap().clone()
    }

    fn home() -> Home {
        Lives::of(WorkerNumber::FIRST).begin(0)
    }

    fn inside(at: PeerAddr) -> Passage {
        Passage::In { at, home: Some(home()) }
    }

    fn own_ip() -> OwnIp {
        OwnRelays::new(["51.0.0.1".parse().unwrap()]).find("51.0.0.1".parse().unwrap()).unwrap()
    }

    fn policy(loopback: LoopbackPeers) -> Policy {
        // The second is a relayed address without a listener.
        let own = OwnRelays::new(["51.0.0.1", "51.0.0.7"].map(|ip| ip.parse().unwrap()));
        Policy::new(&config(loopback), Arc::new(own))
    }

    fn config(loopback: LoopbackPeers) -> RelayConfig {
        let listener = |address: &str| Listener {
            address: address.parse().unwrap(),
            relay_v4: Some("51.0.0.1".parse().unwrap()),
            relay_v6: None,
        };
        let mut listeners = ["51.0.0.1:3478", "51.0.0.2:3478"].map(listener).to_vec();
        if loopback == LoopbackPeers::AllowedForTests {
            listeners.push(listener("127.0.0.1:3478"));
        }
        let mut config = RelayConfig::new("causeway", listeners);
        config.denied_peers = vec!["51.0.0.9".parse().unwrap()];
        config.loopback_peers = loopback;
        config
    }
}
