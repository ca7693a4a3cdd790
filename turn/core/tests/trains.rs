//! What was decided about one datagram holds for those behind it, and for none after something else has happened,
//! not even in the same moment.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use causeway_protocol::bus::{RelayOrder, Revocation};
use causeway_turn_core::*;
use common::*;

const CHANNEL: u16 = 0x4000;
const OTHER_PEER: &str = "9.9.9.9:5000";

#[test]
fn each_datagram_of_a_train_is_counted_and_goes_where_the_first_went() {
    let mut train = Train::new();
    for length in [1000, 1000, 7, 0] {
        let datagram = channel_data(CHANNEL, &vec![7; length]);
        let verdict = train.world.client_sends(train.client.address, &datagram);
        let (on, to, data) = sent_to_peer(verdict, &datagram);
        assert_eq!((on, to, data.len()), (train.relayed, PEER.parse().unwrap(), length));
        let data = vec![8; length];
        let verdict = train.world.peer_sends(train.relayed, PEER, &data);
        assert_eq!(sent_to_client(verdict, &data), (train.client.address, channel_data(CHANNEL, &data)));
    }
    let relayed = train.world.relay.counters().relayed;
    assert_eq!((relayed.sent.packets, relayed.sent.bytes), (4, 2007));
    assert_eq!((relayed.received.packets, relayed.received.bytes), (4, 2007));
}

#[test]
fn another_channel_peer_or_client_is_another_train() {
    let mut train = Train::new();
    train.client.bind(&mut train.world, CHANNEL + 1, OTHER_PEER);
    let (mut second, second_relayed) = train.world.allocated("1.1.1.2:1000");
    second.bind(&mut train.world, CHANNEL, OTHER_PEER);
    for _ in 0..2 {
        for (from, channel, on, to) in [
            (train.client.address, CHANNEL, train.relayed, PEER),
            (train.client.address, CHANNEL + 1, train.relayed, OTHER_PEER),
            (second.address, CHANNEL, second_relayed, OTHER_PEER),
        ] {
            let datagram = channel_data(channel, b"up");
            let verdict = train.world.client_sends(from, &datagram);
            assert_eq!(sent_to_peer(verdict, &datagram), (on, to.parse().unwrap(), b"up".to_vec()));
            let verdict = train.world.peer_sends(on, to, b"down");
            assert_eq!(sent_to_client(verdict, b"down"), (from, channel_data(channel, b"down")));
        }
    }
}

#[test]
fn a_limit_that_is_reached_within_a_train_cuts_it() {
    let mut config = config();
    config.limits.allocation_bytes_per_second = 1000;
    let mut train = Train::with(config);
    let datagram = channel_data(CHANNEL, &[7; 30_000]);
    let verdicts: Vec<_> =
        (0..3).map(|_| train.world.client_sends(train.client.address, &datagram)).collect();
    assert!(matches!(verdicts[0], Verdict::ToPeer { .. }), "{verdicts:?}");
    assert_eq!(verdicts[2], Verdict::Dropped(DropReason::AllocationRate));
}

#[test]
fn another_of_the_same_is_counted_and_needs_no_verdict() {
    let mut train = Train::new();
    train.passes();
    assert_eq!(train.another(PEER, 4), Again::Same);
    assert_eq!(train.another(PEER, 1000), Again::Same);
    let received = train.world.relay.counters().relayed.received;
    assert_eq!((received.packets, received.bytes), (3, 1008));
}

#[test]
fn another_of_something_else_needs_a_verdict() {
    let mut train = Train::new();
    assert_eq!(train.another(PEER, 4), Again::Unknown);
    train.passes();
    assert_eq!(train.another(OTHER_PEER, 4), Again::Unknown);
    let _verdict = train.world.client_sends(train.client.address, &channel_data(CHANNEL, b"between"));
    assert_eq!(train.another(PEER, 4), Again::Unknown);
    train.passes();
    let _dropped = train.world.peer_sends(train.relayed, "9.9.9.10:5000", b"a stranger's");
    assert_eq!(train.another(PEER, 4), Again::Unknown);
    train.passes();
    train.world.pass_without_timers(1);
    assert_eq!(train.another(PEER, 4), Again::Unknown);
    train.passes();
    train.client.refresh(&mut train.world, 600);
    assert_eq!(train.another(PEER, 4), Again::Unknown);
}

#[test]
fn another_above_a_limit_is_dropped_and_counted_as_that() {
    let mut config = config();
    config.limits.allocation_bytes_per_second = 1000;
    let mut train = Train::with(config);
    train.passes();
    let outcomes = [30_000; 3].map(|length| train.another(PEER, length));
    assert_eq!(outcomes, [Again::Same, Again::Same, Again::Dropped]);
    assert_eq!(train.world.relay.counters().dropped(DropReason::AllocationRate), 1);
}

#[test]
fn after_an_allocation_is_given_back_nothing_follows() {
    check(DropReason::NoAllocation, DropReason::UnknownRelayPort, |train| {
        train.client.refresh(&mut train.world, 0);
    });
}

#[test]
fn after_a_revocation_nothing_follows() {
    check(DropReason::NoAllocation, DropReason::UnknownRelayPort, |train| {
        let revoke = Revocation::Credential { jti: "token1".parse().unwrap() };
        train.world.control(Control::Revoke(RelayOrder { revoke, until: UNIX.plus(60) }));
    });
}

#[test]
fn a_channel_that_is_bound_in_the_same_moment_is_used_at_once() {
    let mut train = Train::new();
    train.client.permit(&mut train.world, OTHER_PEER);
    let first = train.world.peer_sends(train.relayed, OTHER_PEER, b"down");
    let (_, indication) = sent_to_client(first, b"down");
    assert_ne!(indication, channel_data(CHANNEL + 1, b"down"));
    train.client.bind(&mut train.world, CHANNEL + 1, OTHER_PEER);
    let second = train.world.peer_sends(train.relayed, OTHER_PEER, b"down");
    assert_eq!(sent_to_client(second, b"down").1, channel_data(CHANNEL + 1, b"down"));
}

#[test]
fn a_moment_later_all_is_decided_anew() {
    let mut train = Train::new();
    train.passes();
    train.world.pass_without_timers(601);
    let datagram = channel_data(CHANNEL, b"up");
    let verdict = train.world.client_sends(train.client.address, &datagram);
    assert_eq!(verdict, Verdict::Dropped(DropReason::ChannelExpired));
}

/// A client with a channel.
struct Train {
    world: World,
    client: Client,
    relayed: std::net::SocketAddr,
}

impl Train {
    fn new() -> Self {
        Self::with(config())
    }

    fn with(config: RelayConfig) -> Self {
        let mut world = World::with(config);
        let mut client = Client::with(&room_credential(|_| {}), "1.1.1.1:1000");
        let relayed = client.allocate(&mut world);
        client.bind(&mut world, CHANNEL, PEER);
        Self { world, client, relayed }
    }

    fn another(&mut self, from: &str, length: usize) -> Again {
        let (now, port) = (self.world.now, self.world.port(self.relayed));
        self.world.relay.on_peer_again(now, port, &peer(from), length)
    }

    fn passes(&mut self) {
        let datagram = channel_data(CHANNEL, b"up");
        let up = self.world.client_sends(self.client.address, &datagram);
        assert!(matches!(up, Verdict::ToPeer { .. }), "{up:?}");
        let down = self.world.peer_sends(self.relayed, PEER, b"down");
        assert!(matches!(down, Verdict::ToClient { .. }), "{down:?}");
    }
}

/// Data passes, `change` happens in the same moment, and data does not pass any more.
#[track_caller]
fn check(up: DropReason, down: DropReason, change: impl FnOnce(&mut Train)) {
    let mut train = Train::new();
    let port = train.world.port(train.relayed);
    train.passes();
    change(&mut train);
    let datagram = channel_data(CHANNEL, b"up");
    assert_eq!(train.world.client_sends(train.client.address, &datagram), Verdict::Dropped(up));
    let now = train.world.now;
    assert_eq!(train.world.relay.on_peer_again(now, port, &peer(PEER), 4), Again::Unknown);
    assert_eq!(train.world.relay.on_peer(now, port, peer(PEER), b"down"), Verdict::Dropped(down));
}
