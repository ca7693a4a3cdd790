//! ICMP errors that the relay's datagrams meet: the client is told, and nobody else suffers (RFC 8656 §11.5).
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use std::process::Command;

use causeway_stun::Method;
use causeway_stun::attributes::{AdditionalAddressFamily, AddressFamily, Icmp, RequestedTransport};
use common::client::Incoming;
use common::relay::{TestRelay, settings};
use common::{peer, receive};
use metrics_exporter_prometheus::PrometheusBuilder;

const CHANNEL: u16 = 0x4000;
/// Set where a test runs once more in a network of its own.
const IN_NAMESPACE: &str = "CAUSEWAY_TEST_IN_NAMESPACE";

#[test]
fn a_client_is_told_that_nobody_listens_at_the_peers_port() {
    let relay = TestRelay::start(&settings());
    let mut client = relay.client();
    client.request(Method::Allocate, &|w| {
        w.put(&RequestedTransport::UDP)?;
        w.put(&AdditionalAddressFamily(AddressFamily::Ipv6))
    });
    for (ip, icmp) in [("127.0.0.1", Icmp::new(3, 3, 0)), ("::1", Icmp::new(1, 4, 0))] {
        let closed = peer(ip).local_addr().unwrap();
        client.permit(closed);
        client.send_indication(closed, b"anybody?");
        assert_eq!(client.receive(), Incoming::Icmp(closed, icmp.unwrap()));
    }
}

#[test]
fn a_peer_that_is_gone_costs_the_others_no_datagram() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let mut relay = metrics::with_local_recorder(&recorder, || TestRelay::start(&settings()));
    let (mut client, gone, there) = (relay.client(), peer("127.0.0.1"), peer("127.0.0.1"));
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, gone.local_addr().unwrap());
    client.bind_channel(CHANNEL + 1, there.local_addr().unwrap());
    drop(gone);
    for number in 0..200u32 {
        // The kernel shows the error of the first at the second, or when the relay reads.
        client.send_channel(CHANNEL, b"anybody?");
        client.send_channel(CHANNEL + 1, &number.to_be_bytes());
        assert_eq!(receive(&there), (number.to_be_bytes().to_vec(), relayed));
        there.send_to(&number.to_be_bytes(), relayed).unwrap();
        while client.receive() != Incoming::Channel(CHANNEL + 1, number.to_be_bytes().to_vec()) {}
    }
    relay.stop();
    let text = recorder.handle().render();
    let failures: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("causeway_turn_send_failures_total{") && !line.ends_with(" 0"))
        .collect();
    assert_eq!(failures, [""; 0]);
}

#[test]
fn a_datagram_that_may_not_be_fragmented_brings_the_mtu() {
    in_a_network_of_its_own("a_datagram_that_may_not_be_fragmented_brings_the_mtu", || {
        let relay = TestRelay::start(&settings());
        let (mut client, peer) = (relay.client(), peer("127.0.0.1"));
        let relayed = client.allocate();
        let address = peer.local_addr().unwrap();
        client.permit(address);
        client.send_unfragmented(address, &[1; 1400]);
        let too_big = Incoming::Icmp(address, Icmp::new(3, 4, 1300).unwrap());
        assert_eq!(client.receive(), too_big);
        // It did not go, and neither does the next one suffer.
        client.send_unfragmented(address, &[2; 1272]);
        assert_eq!(receive(&peer), (vec![2; 1272], relayed));
        client.send_indication(address, &[3; 1400]);
        assert_eq!(receive(&peer), (vec![3; 1400], relayed));
    });
}

/// Runs the test once more where the loopback's MTU is 1300 and nobody else is.
fn in_a_network_of_its_own(name: &str, test: impl FnOnce()) {
    if std::env::var_os(IN_NAMESPACE).is_some() {
        test();
        return;
    }
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net", "sh", "-c"])
        .arg("ip link set lo up mtu 1300 && exec \"$0\" --exact \"$1\" --nocapture")
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(IN_NAMESPACE, "1")
        .output()
        .expect("unshare runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
