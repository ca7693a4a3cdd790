//! Clients over connections and DTLS sessions: framing, and what the end of one brings.

mod common;

use causeway_stun::Method;
use causeway_stun::attributes::RequestedTransport;
use causeway_turn_core::*;
use common::*;

#[test]
fn channel_data_is_padded_in_streams_and_not_in_datagrams() {
    for (via, bytes) in [
        (Via::Udp, b"\x40\x00\x00\x05hello".to_vec()),
        (Via::Dtls(SessionId(7)), b"\x40\x00\x00\x05hello".to_vec()),
        (Via::Tcp(SessionId(7)), b"\x40\x00\x00\x05hello\0\0\0".to_vec()),
        (Via::Tls(SessionId(7)), b"\x40\x00\x00\x05hello\0\0\0".to_vec()),
    ] {
        let mut world = World::new();
        let (mut client, relayed) = world.allocated_via("1.1.1.1:1000", via);
        client.bind(&mut world, 0x4000, PEER);
        let verdict = world.peer_sends(relayed, PEER, b"hello");
        assert_eq!(sent_to_client(verdict, b"hello"), (client.address, bytes), "{via:?}");
    }
}

#[test]
fn the_end_of_a_session_ends_its_allocation_and_frees_its_port() {
    let mut world = World::new();
    let (client, relayed) = world.allocated_via("1.1.1.1:1000", Via::Tcp(SessionId(7)));
    world.relay.on_session_closed(client.address);
    world.perform();
    assert_eq!(world.unbound, [relayed]);
    assert_eq!(world.end_reasons(), [EndReason::Disconnected]);
    assert_eq!(world.relay.counters().allocations, 0);
}

#[test]
fn a_session_of_the_same_source_is_another_client() {
    let mut world = World::new();
    let (client, _) = world.allocated_via("1.1.1.1:1000", Via::Tcp(SessionId(7)));
    let (other, _) = world.allocated_via("1.1.1.1:1000", Via::Tcp(SessionId(8)));
    world.relay.on_session_closed(other.address);
    world.perform();
    assert_eq!(world.relay.counters().allocations, 1);
    let verdict = world.client_sends(client.address, &channel_data(0x4000, b"x"));
    assert_eq!(verdict, Verdict::Dropped(DropReason::NoChannel));
}

#[test]
fn a_session_that_ends_while_its_port_is_bound_gets_no_answer_and_leaves_nothing_behind() {
    let mut world = World::new();
    world.slow_binds = true;
    let mut client = Client::via("1.1.1.1:1000", Via::Tcp(SessionId(7)));
    client.learn_nonce(&mut world);
    let request = client.request(Method::Allocate, &[&RequestedTransport::UDP]);
    assert!(client.exchange(&mut world, &request).is_none());
    world.relay.on_session_closed(client.address);
    world.finish_binds();
    assert_eq!(world.replies.len(), 0);
    assert_eq!((world.bound.len(), world.unbound.len()), (0, 1));
    assert_eq!(world.relay.counters().allocations, 0);
}
