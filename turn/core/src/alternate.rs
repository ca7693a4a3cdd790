//! Where to send clients that this relay does not take: 300 and ALTERNATE-SERVER (RFC 8489 §10, RFC 8656 §7.2).

use std::net::SocketAddr;
use std::sync::Arc;

use rand_core::Rng;

use crate::address::{ClientAddr, Transport};
use crate::config::Listener;
use crate::special_purpose::is_special;

/// One way to reach another node's relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlternateServer {
    /// Over this transport only: RFC 8489 §10 has clients keep theirs.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
    /// The name in its certificate: told over TLS and DTLS (RFC 8489 §14.16).
    pub domain: Option<Arc<str>>,
    /// For how many more allocations it has room. Without any it is no alternate.
    pub room: u32,
}

impl AlternateServer {
    /// The domain that goes with the address over this transport.
    pub(crate) fn certificate_domain(&self) -> Option<&str> {
        match self.transport {
            Transport::Udp | Transport::Tcp => None,
            Transport::Tls | Transport::Dtls => self.domain.as_deref(),
        }
    }
}

/// The place of a server in [`AlternateServers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerPlace(u16);

/// The servers that live now, as the shell told.
#[derive(Clone, Debug, Default)]
pub(crate) struct AlternateServers(Arc<[AlternateServer]>);

impl AlternateServers {
    pub(crate) const fn new(servers: Arc<[AlternateServer]>) -> Self {
        Self(servers)
    }

    pub(crate) fn get(&self, ServerPlace(place): ServerPlace) -> Option<&AlternateServer> {
        self.0.get(usize::from(place))
    }

    /// A server for this client, at random: the more room one has, the likelier. So nodes fill evenly, and clients of
    /// one that drains do not all fall upon the same.
    pub(crate) fn pick(
        &self,
        client: ClientAddr,
        listener: &Listener,
        random: &mut dyn Rng,
    ) -> Option<ServerPlace> {
        let suits = |server: &&AlternateServer| suits(server, client, listener);
        let total: u64 = self.0.iter().filter(suits).map(|server| u64::from(server.room)).sum();
        let mut drawn = random.next_u64().checked_rem(total)?;
        for (place, server) in (0..).zip(self.0.iter()) {
            if !suits(&server) {
                continue;
            }
            match drawn.checked_sub(server.room.into()) {
                Some(left) => drawn = left,
                None => return Some(ServerPlace(place)),
            }
        }
        None
    }
}

/// Of the client's transport and family, and reachable from where it is: nobody outside is sent to an address that only
/// means something inside, and nobody is sent to their own loopback.
fn suits(server: &AlternateServer, client: ClientAddr, listener: &Listener) -> bool {
    let ip = server.address.ip();
    server.transport == client.via.transport()
        && ip.is_ipv4() == listener.address.is_ipv4()
        && ip.is_loopback() == listener.address.ip().is_loopback()
        && (!is_special(ip) || is_special(client.source.ip()))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;
    use crate::address::{ListenerId, SessionId, Via};

    #[test]
    fn only_what_the_client_can_reach_is_picked() {
        for (server, source, listener, via, expected) in [
            ("51.0.0.9:3478", "1.1.1.1:1", "51.0.0.1:3478", Via::Udp, true),
            ("51.0.0.9:3478", "1.1.1.1:1", "51.0.0.1:3478", Via::Tcp(SessionId(1)), false),
            ("[2a00::9]:3478", "1.1.1.1:1", "51.0.0.1:3478", Via::Udp, false),
            ("10.0.0.9:3478", "1.1.1.1:1", "10.0.0.5:3478", Via::Udp, false),
            ("10.0.0.9:3478", "10.0.0.1:1", "10.0.0.5:3478", Via::Udp, true),
            ("127.0.0.1:3478", "10.0.0.1:1", "10.0.0.5:3478", Via::Udp, false),
            ("127.0.0.1:3478", "127.0.0.1:1", "127.0.0.1:5000", Via::Udp, true),
            ("51.0.0.9:3478", "127.0.0.1:1", "127.0.0.1:5000", Via::Udp, false),
        ] {
            let servers = AlternateServers::new([udp(server, 1)].into());
            let picked = pick(&servers, source, listener, via, 1);
            assert_eq!(picked.is_some(), expected, "{server} for {source} at {listener}");
        }
    }

    #[test]
    fn nodes_are_picked_by_their_room_and_full_ones_never() {
        let servers = [("51.0.0.2:1", 100), ("51.0.0.3:1", 0), ("51.0.0.4:1", 300)];
        let servers = AlternateServers::new(servers.map(|(address, room)| udp(address, room)).into());
        let mut counts = [0u32; 3];
        for seed in 0..4_000 {
            let ServerPlace(place) = pick(&servers, "1.1.1.1:1", "51.0.0.1:1", Via::Udp, seed).unwrap();
            counts[usize::from(place)] += 1;
        }
        assert!((850..1150).contains(&counts[0]) && counts[1] == 0, "{counts:?}");
    }

    #[test]
    fn without_room_anywhere_nobody_is_picked() {
        let servers = AlternateServers::new([udp("51.0.0.2:1", 0)].into());
        assert_eq!(pick(&servers, "1.1.1.1:1", "51.0.0.1:1", Via::Udp, 1), None);
        assert_eq!(pick(&AlternateServers::default(), "1.1.1.1:1", "51.0.0.1:1", Via::Udp, 1), None);
    }

    fn pick(
        servers: &AlternateServers,
        source: &str,
        listener: &str,
        via: Via,
        seed: u64,
    ) -> Option<ServerPlace> {
        let client = ClientAddr { source: source.parse().unwrap(), listener: ListenerId(0), via };
        let listener = Listener { address: listener.parse().unwrap(), relay_v4: None, relay_v6: None };
        servers.pick(client, &listener, &mut StdRng::seed_from_u64(seed))
    }

    fn udp(address: &str, room: u32) -> AlternateServer {
        AlternateServer { transport: Transport::Udp, address: address.parse().unwrap(), domain: None, room }
    }
}
