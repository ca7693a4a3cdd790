//! The Bus reaches the relay, and the relay reaches the Bus.
#![allow(clippy::unwrap_used, reason = "a test's panic is its message")]

mod common;

use causeway_cluster::{Bus, Delivery, MemoryBus, Subscription, Topic};
use causeway_protocol::bus::{
    BusMessage, RelayFacts, RelayOrder, RelayTransport, RelayUsage, Revocation, RoomLimits,
};
use causeway_protocol::token::{PeerPolicy, TurnClaims, TurnCredential, TurnIssuer};
use causeway_service::clock;
use common::client::{Client, Incoming};
use common::relay::{TestRelay, secret, settings};
use common::{PATIENCE, peer, receive, until};

const CHANNEL: u16 = 0x4000;

#[test]
fn usage_of_a_rooms_peer_appears_on_the_bus() {
    let relay = TestRelay::start(&settings());
    let mut usage = Usage::of(&relay.bus);
    let peer = peer("127.0.0.1");
    let mut client = client(&relay, "alice");
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    client.send_channel(CHANNEL, b"four");
    assert_eq!(receive(&peer), (b"four".to_vec(), relayed));
    peer.send_to(b"seven b", relayed).unwrap();
    assert_eq!(client.receive(), Incoming::Channel(CHANNEL, b"seven b".to_vec()));

    let total = usage.wait(|usage| usage.received_bytes > 0);
    assert!(total.facts.since.is_some());
    let passed = RelayFacts { sent_packets: 1, received_packets: 1, ..RelayFacts::default() };
    let alive = RelayFacts { transports: vec![RelayTransport::Udp], since: total.facts.since, ..passed };
    assert_eq!(total, expected(1, 4, 7, alive));

    client.refresh(0).expect_success();
    let total = usage.wait(|usage| usage.allocations == 0);
    assert_eq!(total, expected(0, 4, 7, passed));
}

#[test]
fn a_revoked_rooms_allocation_ends_and_its_credential_is_refused() {
    check_revocation(Revocation::Room { room: "kitchen".parse().unwrap() });
}

#[test]
fn a_revoked_peers_allocation_ends_and_its_credential_is_refused() {
    check_revocation(Revocation::Peer { room: "kitchen".parse().unwrap(), peer: "alice".parse().unwrap() });
}

#[test]
fn a_revoked_credentials_allocation_ends_and_it_is_refused() {
    check_revocation(Revocation::Credential { jti: "jti-alice".parse().unwrap() });
}

/// `revoke` concerns alice in the kitchen.
fn check_revocation(revoke: Revocation) {
    let relay = TestRelay::start(&settings());
    let mut usage = Usage::of(&relay.bus);
    let mut alice = client(&relay, "alice");
    let relayed = alice.allocate();
    let order = RelayOrder { revoke, until: clock::now().unix.plus(60) };
    relay.bus.publish(BusMessage::RelayOrder(order)).unwrap();
    usage.wait(|usage| usage.allocations == 0);
    std::net::UdpSocket::bind(relayed).expect("the allocation's port is free again");
    assert_eq!(alice.try_allocate().error(), Some(401));
    // Nobody else is concerned.
    relay.client().allocate();
}

#[test]
fn a_rooms_rate_from_the_bus_holds_and_is_lifted_again() {
    let relay = TestRelay::start(&settings());
    let peer = peer("127.0.0.1");
    let mut client = client(&relay, "alice");
    let relayed = client.allocate();
    client.bind_channel(CHANNEL, peer.local_addr().unwrap());
    let tell = |bytes_per_second| {
        let room = "kitchen".parse().unwrap();
        let order = RoomLimits { room, bytes_per_second, until: clock::now().unix.plus(60) };
        relay.bus.publish(BusMessage::RoomLimits(order)).unwrap();
    };
    // In no room: what it sends comes behind, and says when to stop waiting.
    let mut other = relay.client();
    other.allocate();
    other.bind_channel(CHANNEL, peer.local_addr().unwrap());
    let mut passes = || {
        client.send_channel(CHANNEL, b"four");
        other.send_channel(CHANNEL, b"last");
        let (first, from) = receive(&peer);
        match from == relayed {
            true => first == b"four" && receive(&peer).0 == b"last",
            false => false,
        }
    };
    assert!(passes());
    tell(Some(0));
    until(|| !passes());
    tell(None);
    until(passes);
}

struct Usage {
    subscription: Subscription,
    runtime: tokio::runtime::Runtime,
}

impl Usage {
    fn of(bus: &MemoryBus) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { subscription: bus.subscribe(Topic::RelayUsage), runtime }
    }

    /// The first report that fits.
    fn wait(&mut self, fits: impl Fn(&RelayUsage) -> bool) -> RelayUsage {
        let next = async {
            loop {
                match self.subscription.next().await {
                    Some(Delivery::Message(BusMessage::RelayUsage(usage))) if fits(&usage) => return usage,
                    Some(_) => {}
                    None => panic!("the bus is gone"),
                }
            }
        };
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, next).await }).expect("a report in time")
    }
}

fn expected(allocations: u32, sent_bytes: u64, received_bytes: u64, facts: RelayFacts) -> RelayUsage {
    RelayUsage {
        node: "node".parse().unwrap(),
        room: "kitchen".parse().unwrap(),
        peer: "alice".parse().unwrap(),
        allocations,
        sent_bytes,
        received_bytes,
        facts,
    }
}

/// A client with a credential of the kitchen, minted as rooms mint them.
fn client(relay: &TestRelay, peer: &str) -> Client {
    let TurnCredential { username, password, .. } = TurnIssuer::hs256(&secret())
        .issue(&TurnClaims {
            aud: TurnClaims::AUDIENCE.to_owned(),
            sub: peer.parse().unwrap(),
            room: "kitchen".parse().unwrap(),
            exp: clock::now().unix.plus(3600),
            jti: format!("jti-{peer}").parse().unwrap(),
            bps: None,
            bytes: None,
            allocs: None,
            peers: PeerPolicy::Public,
        })
        .unwrap();
    Client::new(relay.v4(), &username, &password)
}
