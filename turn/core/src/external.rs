//! Relays behind a 1:1 NAT: the addresses by which others know our own.
//!
//! ```text
//!              51.0.0.1 (external)                10.0.0.5 (local)
//! clients, peers ────────────────────► NAT ────────────────────► sockets
//! ```
//! The mapping is applied at the core's edges and nowhere else: answers name the external address, a live relayed
//! address that a client names by it is sent to at its local one, and what our relayed addresses send to each other
//! arrives as from the external one. Permissions and channels know external addresses only.

use std::net::{IpAddr, SocketAddr};

use crate::address::PeerAddr;
use crate::own::{OwnIp, OwnRelays};
use crate::tcp::RelayProtocol;

/// A local address, and what it is outside of the NAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExternalIp {
    /// The address that a socket of ours is bound to.
    pub local: IpAddr,
    /// The address that others reach it at, on the same port.
    pub external: IpAddr,
}

/// Why an address cannot stand for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExternalIpError {
    /// One of the two is IPv4 and the other IPv6.
    #[error("{external} and {local} are of different families; pair addresses of one family")]
    Family {
        /// The external address.
        external: IpAddr,
        /// The local address.
        local: IpAddr,
    },
    /// No host has such an address.
    #[error("{0} is no address of a host; name the address that others reach this relay at")]
    NoHost(IpAddr),
    /// A local address is outside of the NAT under one address.
    #[error("{local} has two external addresses; keep one")]
    Twice {
        /// The local address.
        local: IpAddr,
    },
}

/// The external addresses of a relay: at most one for each local address, and always of its family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExternalIps(Box<[ExternalIp]>);

impl ExternalIps {
    /// None: others know our addresses as they are.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// These.
    ///
    /// # Errors
    /// [`ExternalIpError`]: the first that cannot be used.
    pub fn new(ips: impl IntoIterator<Item = ExternalIp>) -> Result<Self, ExternalIpError> {
        let mut known: Vec<ExternalIp> = Vec::new();
        for ip @ ExternalIp { local, external } in ips {
            if local.is_ipv4() != external.is_ipv4() {
                return Err(ExternalIpError::Family { external, local });
            }
            let broadcast = matches!(external, IpAddr::V4(v4) if v4.is_broadcast());
            if external.is_unspecified() || external.is_multicast() || broadcast {
                return Err(ExternalIpError::NoHost(external));
            }
            if known.iter().any(|known| known.local == local) {
                return Err(ExternalIpError::Twice { local });
            }
            known.push(ip);
        }
        Ok(Self(known.into()))
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = ExternalIp> + '_ {
        self.0.iter().copied()
    }

    /// Whether an IP is one of these, outside or inside.
    pub(crate) fn names(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|known| known.local == ip || known.external == ip)
    }

    /// What others call a local address; itself if it has no other name.
    #[must_use]
    pub fn outside(&self, local: SocketAddr) -> SocketAddr {
        match self.0.iter().find(|ip| ip.local == local.ip()) {
            Some(ip) => SocketAddr::new(ip.external, local.port()),
            None => local,
        }
    }
}

/// The place of an external address in [`Translation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExternalPlace(u16);

/// [`ExternalIps`] as the way of the data needs them.
#[derive(Debug)]
pub(crate) struct Translation {
    ips: ExternalIps,
    /// Each external address once, with the local ones behind it that have relayed addresses.
    behind: Box<[(IpAddr, Box<[OwnIp]>)]>,
}

impl Translation {
    pub(crate) fn new(ips: ExternalIps, own: &OwnRelays) -> Self {
        let mut behind: Vec<(IpAddr, Vec<OwnIp>)> = Vec::new();
        for ExternalIp { local, external } in ips.iter() {
            let own = own.find(local);
            match behind.iter_mut().find(|(known, _)| *known == external) {
                Some((_, locals)) => locals.extend(own),
                None => behind.push((external, own.into_iter().collect())),
            }
        }
        Self { ips, behind: behind.into_iter().map(|(ip, locals)| (ip, locals.into())).collect() }
    }

    pub(crate) const fn ips(&self) -> &ExternalIps {
        &self.ips
    }

    pub(crate) fn into_ips(self) -> ExternalIps {
        self.ips
    }

    /// Where an IP is among the external ones.
    pub(crate) fn find(&self, ip: IpAddr) -> Option<ExternalPlace> {
        let index = self.behind.iter().position(|(external, _)| *external == ip)?;
        u16::try_from(index).ok().map(ExternalPlace)
    }

    /// Whether others know this address of ours by another name, and by that name only.
    pub(crate) fn hides(&self, ip: IpAddr) -> bool {
        self.ips.0.iter().any(|known| known.local == ip) && self.find(ip).is_none()
    }

    /// The live relayed address of ours that others call by this external one and this port.
    pub(crate) fn inside(
        &self,
        ExternalPlace(index): ExternalPlace,
        port: u16,
        protocol: RelayProtocol,
        own: &OwnRelays,
    ) -> Option<(OwnIp, PeerAddr)> {
        let (_, locals) = self.behind.get(usize::from(index))?;
        let local = *locals.iter().find(|local| own.is_live_at(**local, port, protocol))?;
        Some((local, PeerAddr::new(SocketAddr::new(own.ip(local)?, port))))
    }

    /// Whom a client of ours knows a sender as: a live relayed address of ours by its external one.
    pub(crate) fn seen(&self, from: PeerAddr, protocol: RelayProtocol, own: &OwnRelays) -> PeerAddr {
        let address = from.socket();
        let is_live = |local| own.is_live_at(local, address.port(), protocol);
        if self.behind.is_empty() || !own.find(address.ip()).is_some_and(is_live) {
            return from;
        }
        PeerAddr::new(self.ips.outside(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::homes::Lives;
    use crate::tcp::WorkerNumber;

    const UDP: RelayProtocol = RelayProtocol::Udp;

    #[test]
    fn the_port_stays_and_an_address_without_another_name_is_itself() {
        let ips = ExternalIps::new([pair("10.0.0.5", "51.0.0.1"), pair("fd00::5", "2a00::51")]).unwrap();
        for (local, outside) in [
            ("10.0.0.5:50000", "51.0.0.1:50000"),
            ("[fd00::5]:1", "[2a00::51]:1"),
            ("10.0.0.6:50000", "10.0.0.6:50000"),
        ] {
            assert_eq!(ips.outside(local.parse().unwrap()), outside.parse().unwrap());
        }
    }

    #[test]
    fn an_address_of_the_other_family_stands_for_nothing() {
        let [local, external] = ["10.0.0.5", "2a00::51"].map(|ip| ip.parse().unwrap());
        let error = ExternalIps::new([ExternalIp { local, external }]);
        assert_eq!(error, Err(ExternalIpError::Family { external, local }));
    }

    #[test]
    fn what_is_no_host_or_said_twice_is_refused() {
        for ip in ["0.0.0.0", "224.0.0.1", "255.255.255.255"] {
            let error = ExternalIps::new([pair("10.0.0.5", ip)]);
            assert_eq!(error, Err(ExternalIpError::NoHost(ip.parse().unwrap())));
        }
        let error = ExternalIps::new([pair("10.0.0.5", "51.0.0.1"), pair("10.0.0.5", "51.0.0.2")]);
        assert_eq!(error, Err(ExternalIpError::Twice { local: "10.0.0.5".parse().unwrap() }));
    }

    #[test]
    fn one_external_address_leads_to_whichever_local_one_lives() {
        let locals = ["10.0.0.5", "10.0.0.6"].map(|ip| ip.parse().unwrap());
        let own = OwnRelays::grouped([locals]);
        let ips = ExternalIps::new(["10.0.0.5", "10.0.0.6"].map(|local| pair(local, "51.0.0.1"))).unwrap();
        let translation = Translation::new(ips, &own);
        let place = translation.find("51.0.0.1".parse().unwrap()).unwrap();
        assert_eq!(translation.inside(place, 50_000, UDP, &own), None);
        let second = "10.0.0.6:50000".parse().unwrap();
        assert!(own.claim(second));
        own.set_live(second, Lives::of(WorkerNumber::FIRST).begin(0));
        assert_eq!(
            translation.inside(place, 50_000, UDP, &own),
            Some((own.find(second.ip()).unwrap(), PeerAddr::new(second)))
        );
        assert_eq!(translation.inside(place, 50_001, UDP, &own), None);
        let seen = PeerAddr::new("51.0.0.1:50000".parse().unwrap());
        assert_eq!(translation.seen(PeerAddr::new(second), UDP, &own), seen);
    }

    fn pair(local: &str, external: &str) -> ExternalIp {
        ExternalIp { local: local.parse().unwrap(), external: external.parse().unwrap() }
    }
}
