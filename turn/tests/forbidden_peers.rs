//! Services of this host hear nothing from the relay, by whichever address a client names them.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

use causeway_stun::attributes::{AddressFamily, RequestedAddressFamily, RequestedTransport, XorPeerAddress};
use causeway_stun::{Class, EncodeError, MessageWriter, Method, TransactionId};
use causeway_turn::TurnSettings;
use common::client::Client;
use common::relay::{PASSWORD, TestRelay, USER, settings};

/// Names of this host, of its network, and of many hosts at once.
const NAMES: [&str; 21] = [
    "0.0.0.0",
    "127.0.0.1",
    "127.0.0.2",
    "169.254.169.254",
    "100.64.0.1",
    "10.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:0.0.0.0",
    "::ffff:127.0.0.1",
    "::ffff:127.0.0.2",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "fe80::1",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:169.254.169.254",
];

#[test]
fn a_service_on_every_address_of_this_host_hears_no_datagram() {
    let relay = relay();
    let service = UdpSocket::bind("[::]:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let port = service.local_addr().unwrap().port();
    let mut v4 = client(&relay);
    v4.allocate();
    let mut v6 = client(&relay);
    v6.allocate_family(AddressFamily::Ipv6);
    for name in NAMES {
        let peer = SocketAddr::new(name.parse().unwrap(), port);
        let client = if peer.is_ipv4() { &mut v4 } else { &mut v6 };
        // A permission names an IP, and ours have relayed addresses; the port is another matter.
        let code = client.try_permit(peer).error();
        assert_eq!(code, (!is_relays(peer.ip())).then_some(403), "{name}");
        client.send_indication(peer, b"hello");
        // Answered behind it by the same worker.
        client.binding().expect_success();
        let heard = service.recv_from(&mut [0; 100]).map_err(|error| error.kind());
        assert_eq!(heard, Err(ErrorKind::WouldBlock), "{name}");
    }
}

#[test]
fn a_service_on_every_address_of_this_host_gets_no_connection() {
    let relay = relay();
    let service = TcpListener::bind("[::]:0").unwrap();
    service.set_nonblocking(true).unwrap();
    let port = service.local_addr().unwrap().port();
    for family in [AddressFamily::Ipv4, AddressFamily::Ipv6] {
        let mut client = Client::tcp(relay.v4(), USER, PASSWORD);
        let put = |w: &mut MessageWriter<'_>| -> Result<(), EncodeError> {
            w.put(&RequestedTransport::TCP)?;
            w.put(&RequestedAddressFamily(family))
        };
        client.request(Method::Allocate, &put).expect_success();
        for name in NAMES {
            let peer = SocketAddr::new(name.parse().unwrap(), port);
            if AddressFamily::of(peer.ip()) != family {
                continue;
            }
            let answer = client.request(Method::Connect, &|w| w.put(&XorPeerAddress(peer)));
            assert_eq!(answer.error(), Some(403), "{name}");
            let heard = service.accept().map(|(_, from)| from).map_err(|error| error.kind());
            assert_eq!(heard, Err(ErrorKind::WouldBlock), "{name}");
        }
    }
}

#[test]
fn our_own_listeners_answer_nobody_through_the_relay() {
    let relay = relay();
    let mut client = client(&relay);
    client.allocate();
    let mut request = [0; 20];
    let listeners = [relay.running().addresses(), relay.running().tls_addresses()].concat();
    for listener in listeners.into_iter().filter(SocketAddr::is_ipv4) {
        client.permit(listener);
        let length =
            MessageWriter::new(&mut request, Class::Request, Method::Binding, TransactionId([7; 12]))
                .unwrap()
                .finish();
        client.send_indication(listener, &request[..length]);
        assert_eq!(client.try_receive(), None, "{listener}");
    }
}

/// On loopback, where it relays as it would anywhere: to its own relayed addresses and nothing else there.
fn relay() -> TestRelay {
    TestRelay::start(&TurnSettings { allow_loopback_peers: false, ..settings() })
}

fn client(relay: &TestRelay) -> Client {
    relay.client()
}

fn is_relays(ip: IpAddr) -> bool {
    ["127.0.0.1", "::1"].iter().any(|own| own.parse() == Ok(ip))
}
