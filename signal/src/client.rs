//! Who asks, and under which name they reached us.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderMap, HeaderName};
use causeway_protocol::Network;

use crate::stranger::Stranger;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client's address: the TCP peer, or what the nearest trusted proxies saw.
pub(crate) fn address(request: &HttpRequest, trusted: &[Network]) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    forwarded(peer, request.headers(), trusted)
}

/// By what the client is counted.
pub(crate) fn stranger(request: &HttpRequest, trusted: &[Network]) -> Stranger {
    address(request, trusted).into()
}

/// From the right, the first address that is no trusted proxy's: everything left of it was written by the
/// client itself.
fn forwarded(peer: IpAddr, headers: &HeaderMap, trusted: &[Network]) -> IpAddr {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    if !is_trusted(peer) {
        return peer;
    }
    let lines: Vec<&str> = headers.get_all(X_FORWARDED_FOR).filter_map(|line| line.to_str().ok()).collect();
    let mut seen = peer;
    for hop in lines.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(address) = hop_address(hop.trim()) else { break };
        seen = address;
        if !is_trusted(address) {
            break;
        }
    }
    seen
}

/// Most proxies write the address alone, some with its port.
fn hop_address(hop: &str) -> Option<IpAddr> {
    hop.parse().ok().or_else(|| hop.parse::<SocketAddr>().ok().map(|socket| socket.ip()))
}

/// `host[:port]` as the client wrote it; `None` if it did not, or nothing that could be one.
pub(crate) fn authority(request: &HttpRequest) -> Option<&str> {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    host.or_else(|| request.uri().authority().map(|authority| authority.as_str()))
        .filter(|host| is_authority(host))
}

/// The name by which clients reach us: as the operator says, else as this client does.
pub(crate) fn public_authority<'a>(request: &'a HttpRequest, public_url: Option<&'a str>) -> &'a str {
    let told = public_url.and_then(|url| url.split_once("://")).map(|(_, authority)| authority);
    told.or_else(|| authority(request)).unwrap_or("localhost")
}

/// Whether the client speaks TLS, to a trusted proxy or to us.
pub(crate) fn is_secure(request: &HttpRequest, trusted: &[Network]) -> bool {
    let proxied =
        request.peer_addr().is_some_and(|peer| trusted.iter().any(|network| network.contains(peer.ip())));
    let told = request.headers().get(X_FORWARDED_PROTO).and_then(|proto| proto.to_str().ok());
    match told {
        Some(proto) if proxied => proto.trim().eq_ignore_ascii_case("https"),
        Some(_) | None => request.app_config().secure(),
    }
}

/// Whether a text can stand in a URL as `host[:port]`; also keeps it from breaking out of a header or a link.
pub(crate) fn is_authority(text: &str) -> bool {
    let (host, port) = split_port(text);
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_fits = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    host_fits && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

/// The host and the port of `host[:port]`; IPv6 addresses keep their brackets.
pub(crate) fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        Some(_) | None => (authority, None),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_strangers_header_is_not_believed() {
        check("203.0.113.1", &["10.0.0.1"], &["127.0.0.1"], "203.0.113.1");
    }

    #[test]
    fn behind_a_trusted_proxy_the_address_is_what_the_proxy_saw() {
        check("127.0.0.1", &["203.0.113.1"], &["127.0.0.1"], "203.0.113.1");
    }

    #[test]
    fn a_proxy_may_write_the_port_too() {
        check("127.0.0.1", &["203.0.113.1:50000"], &["127.0.0.1"], "203.0.113.1");
        check("127.0.0.1", &["[2001:db8::1]:50000"], &["127.0.0.1"], "2001:db8::1");
    }

    #[test]
    fn what_the_client_wrote_before_the_proxy_is_passed_over() {
        check("127.0.0.1", &["198.51.100.7, 203.0.113.1"], &["127.0.0.1"], "203.0.113.1");
        check("127.0.0.1", &["198.51.100.7", "203.0.113.1"], &["127.0.0.1"], "203.0.113.1");
    }

    #[test]
    fn a_chain_of_trusted_proxies_is_followed_to_its_end() {
        check("127.0.0.1", &["203.0.113.1, 10.0.0.2"], &["127.0.0.1", "10.0.0.0/8"], "203.0.113.1");
    }

    #[test]
    fn garbage_in_the_header_falls_back_to_the_last_address_known() {
        check("127.0.0.1", &["unknown"], &["127.0.0.1"], "127.0.0.1");
        check("127.0.0.1", &["unknown, 10.0.0.2"], &["127.0.0.1", "10.0.0.0/8"], "10.0.0.2");
    }

    #[test]
    fn an_authority_is_a_host_with_or_without_a_port() {
        for text in ["localhost", "a.example:8080", "[::1]", "[::1]:8080", "127.0.0.1:1"] {
            assert!(is_authority(text), "{text}");
        }
        for text in ["", ":80", "a/b", "a b", "a;b", "a:b", "a:99999", "[::1", "::1", "\"", "a:80:80"] {
            assert!(!is_authority(text), "{text}");
        }
    }

    fn check(peer: &str, headers: &[&str], trusted: &[&str], expected: &str) {
        let mut request = TestRequest::default().peer_addr((peer.parse::<IpAddr>().unwrap(), 1).into());
        for header in headers {
            request = request.append_header((X_FORWARDED_FOR, *header));
        }
        let trusted: Vec<Network> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let found = address(&request.to_http_request(), &trusted);
        assert_eq!(found, expected.parse::<IpAddr>().unwrap(), "{peer} {headers:?}");
    }
}
