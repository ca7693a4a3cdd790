//! Who may speak for others with the PROXY protocol, and the way back to those it spoke for over UDP.
//!
//! Over UDP each datagram of a proxy carries a header with the client's address, and answers go to the proxy, to the
//! port the datagram came from. So the way back has to be kept, for strangers too; it is kept in two generations
//! of bounded size. When the younger is full it becomes the older, and what was not heard of since is forgotten.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use causeway_protocol::Network;
use causeway_turn_core::ListenerId;

use crate::proxy::{self, Origin};

/// Clients of one generation on one worker: some 3 MB. A guess above the allocations of a worker.
const GENERATION: usize = 32_768;

/// The sources that may speak for others (`proxy_sources`).
#[derive(Clone, Default)]
pub(crate) struct Proxies(Arc<[Network]>);

impl Proxies {
    pub(crate) fn new(networks: &[Network]) -> Self {
        Self(networks.into())
    }

    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(ip))
    }
}

type Ways = HashMap<(SocketAddr, ListenerId), SocketAddr>;

/// One worker's UDP clients behind proxies.
#[derive(Default)]
pub(crate) struct Proxied {
    proxies: Proxies,
    young: Ways,
    old: Ways,
    /// Datagrams of proxies without a header.
    pub(crate) refused: u64,
}

impl Proxied {
    pub(crate) fn new(proxies: Proxies) -> Self {
        Self { proxies, ..Self::default() }
    }

    /// Whether each datagram from `source` has to say whose it is.
    pub(crate) fn is_proxy(&self, source: SocketAddr) -> bool {
        self.proxies.contains(source.ip())
    }

    /// Whose the datagram from `proxy` is, and how many bytes of it say so; the way back is kept. `None`: it says
    /// nobody's name, and goes nowhere.
    pub(crate) fn sender(
        &mut self,
        proxy: SocketAddr,
        listener: ListenerId,
        datagram: &[u8],
    ) -> Option<(usize, SocketAddr)> {
        match proxy::parse_datagram(datagram) {
            Ok((header, Origin::Client(client))) => {
                self.remember((client, listener), proxy);
                Some((header, client))
            }
            Ok((header, Origin::Proxy)) => Some((header, proxy)),
            Err(proxy::NoHeader) => {
                self.refused = self.refused.wrapping_add(1);
                None
            }
        }
    }

    /// Where what is meant for a client is to be sent to.
    pub(crate) fn way(&self, client: SocketAddr, listener: ListenerId) -> SocketAddr {
        if self.young.is_empty() && self.old.is_empty() {
            return client;
        }
        let key = (client, listener);
        self.young.get(&key).or_else(|| self.old.get(&key)).copied().unwrap_or(client)
    }

    fn remember(&mut self, key: (SocketAddr, ListenerId), proxy: SocketAddr) {
        if let Some(known) = self.young.get_mut(&key) {
            *known = proxy;
            return;
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, proxy);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTENER: ListenerId = ListenerId(0);

    #[test]
    fn only_listed_sources_speak_for_others() {
        let mut proxied = proxied();
        let proxy = address("10.0.0.1:1");
        assert!(proxied.is_proxy(proxy));
        assert!(!proxied.is_proxy(address("192.0.2.9:1")));
        let behind = Some((28, address("198.51.100.1:7")));
        assert_eq!(proxied.sender(proxy, LISTENER, &header(7)), behind);
        assert_eq!(proxied.way(address("198.51.100.1:7"), LISTENER), address("10.0.0.1:1"));
        assert_eq!(proxied.way(address("198.51.100.1:8"), LISTENER), address("198.51.100.1:8"));
    }

    #[test]
    fn a_proxy_without_a_header_speaks_for_nobody() {
        let mut proxied = proxied();
        assert_eq!(proxied.sender(address("10.0.0.1:1"), LISTENER, b"\0\x01\0\0"), None);
        assert_eq!(proxied.refused, 1);
    }

    #[test]
    fn a_flood_of_clients_takes_no_more_than_two_generations_and_the_active_stay() {
        let mut proxied = proxied();
        let (proxy, active) = (address("10.0.0.1:1"), address("198.51.100.1:7"));
        for client in 0..4 * u32::try_from(GENERATION).unwrap() {
            if client.is_multiple_of(1000) {
                proxied.sender(proxy, LISTENER, &header(7));
            }
            proxied.remember((SocketAddr::from((client.to_be_bytes(), 1)), LISTENER), proxy);
        }
        assert!(proxied.young.len() <= GENERATION && proxied.old.len() <= GENERATION);
        assert_eq!(proxied.way(active, LISTENER), proxy);
    }

    fn proxied() -> Proxied {
        Proxied::new(Proxies::new(&["10.0.0.0/8".parse().unwrap()]))
    }

    /// For 198.51.100.1 and a port.
    fn header(port: u8) -> Vec<u8> {
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x12\0\x0C".as_slice(), &[198, 51, 100, 1, 10, 0, 0, 2, 0, port, 0, 1]]
            .concat()
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }
}
